// Package charts_test holds the Helm chart against Kubernetes, the server and real Valkeys. It is no part of the chart.
package charts_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v4"
)

// kubernetes is the version that the chart is rendered for: the helm that go builds knows none.
const kubernetes = "1.34.0"

// buildHelm builds the real helm once.
var buildHelm = sync.OnceValues(func() (string, error) {
	build := exec.Command("go", "tool", "-modfile=tools/helm/go.mod", "-n", "helm")
	build.Dir = ".."
	var said bytes.Buffer
	build.Stderr = &said
	out, err := build.Output()
	if err != nil {
		err = fmt.Errorf("building helm: %w: %s", err, said.String())
	}
	return strings.TrimSpace(string(out)), err
})

// helm runs helm, and returns what it prints and what it complains of.
func helm(t testing.TB, words ...string) (stdout, stderr string, err error) {
	t.Helper()
	program, err := buildHelm()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	command := exec.Command(program, words...)
	command.Env = append(command.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	err = command.Run()
	return out.String(), said.String(), err
}

func mustHelm(t testing.TB, words ...string) (stdout string) {
	t.Helper()
	stdout, stderr, err := helm(t, words...)
	if err != nil {
		t.Fatalf("helm %s: %v\n%s%s", strings.Join(words, " "), err, stdout, stderr)
	}
	return stdout
}

// template renders the chart as the release "hakanai".
func template(t testing.TB, words ...string) (text string) {
	t.Helper()
	return mustHelm(t, append([]string{"template", "hakanai", "hakanai", "--kube-version", kubernetes, "--namespace", "secrets"}, words...)...)
}

// valueSets are the files of values that the tests go through, by name.
func valueSets(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) < 8 {
		t.Fatalf("the sets of values are %v, %v", files, err)
	}
	sets := make(map[string]string)
	for _, file := range files {
		sets[strings.TrimSuffix(filepath.Base(file), ".yaml")] = file
	}
	return sets
}

// onEverySet runs a test on the objects of every set of values.
func onEverySet(t *testing.T, test func(t *testing.T, r release)) {
	for name, file := range valueSets(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, parse(t, template(t, "--values", file)))
		})
	}
}

// documents are the objects in what helm prints, as text.
func documents(text string) (all []string) {
	for _, document := range strings.Split("\n"+text, "\n---\n") {
		if strings.TrimSpace(document) != "" {
			all = append(all, document)
		}
	}
	return all
}

// object is what the tests need to know of one.
type object struct {
	Kind     string
	Metadata struct {
		Name                string
		Labels, Annotations map[string]string
	}
	AutomountServiceAccountToken *bool
	Data                         map[string]string
	Spec                         struct {
		pod      // of a Pod
		Template struct {
			Metadata struct{ Labels, Annotations map[string]string }
			Spec     pod
		}
		Selector, PodSelector selector
		Replicas              *int
		ServiceName           string
		Strategy              struct{ Type string }
		Ports                 []port
		ScaleTargetRef        struct{ Kind, Name string }
		PolicyTypes           []string
		Ingress, Egress       []rule
		Rules                 []struct {
			HTTP struct {
				Paths []struct {
					Backend struct {
						Service struct {
							Name string
							Port port
						}
					}
				}
			}
		}
		Endpoints []port
	}
	text string
}

// selector are the labels that are selected by: matchLabels, or a Service's.
type selector map[string]string

func (s *selector) UnmarshalJSON(text []byte) error {
	var full struct{ MatchLabels map[string]string }
	if err := json.Unmarshal(text, &full); err != nil {
		return err
	}
	if *s = full.MatchLabels; *s != nil {
		return nil
	}
	return json.Unmarshal(text, (*map[string]string)(s))
}

// port is one of a container, a Service, a policy or a probe. The numbers of JSON are floating.
type port struct {
	Name, Protocol, Path            string
	Port, TargetPort, ContainerPort any
}

// rule is one of a NetworkPolicy.
type rule struct {
	From, To []struct{ PodSelector selector }
	Ports    []port
}

type pod struct {
	ServiceAccountName                               string
	AutomountServiceAccountToken, EnableServiceLinks *bool
	TerminationGracePeriodSeconds                    int
	SecurityContext                                  struct {
		RunAsNonRoot   bool
		RunAsUser      int
		SeccompProfile struct{ Type string }
	}
	HostNetwork, HostPID, HostIPC bool
	InitContainers, Containers    []container
	Volumes                       []struct {
		Name                  string
		ConfigMap             *struct{ Name string }
		Secret                *struct{ SecretName string }
		PersistentVolumeClaim *struct{ ClaimName string }
		EmptyDir              any
	}
}

type container struct {
	Name, Image     string
	Command, Args   []string
	SecurityContext struct {
		AllowPrivilegeEscalation           *bool
		ReadOnlyRootFilesystem, Privileged bool
		RunAsUser                          *int
		Capabilities                       struct{ Add, Drop []string }
	}
	EnvFrom []struct{ ConfigMapRef struct{ Name string } }
	Env     []struct {
		Name, Value string
		ValueFrom   struct {
			SecretKeyRef *struct {
				Name, Key string
				Optional  bool
			}
			FieldRef *struct{ FieldPath string }
		}
	}
	Ports                                       []port
	ReadinessProbe, LivenessProbe, StartupProbe *probe
	Lifecycle                                   struct{ PreStop *probe }
	Resources                                   struct{ Limits map[string]any }
	VolumeMounts                                []struct{ Name, MountPath string }
}

// probe is one, or a hook.
type probe struct {
	HTTPGet, TCPSocket *port
	Exec               *struct{ Command []string }
	Sleep              *struct{ Seconds int }
}

// release is all that helm would install.
type release []object

func parse(t testing.TB, text string) (all release) {
	t.Helper()
	for _, document := range documents(text) {
		all = append(all, parseOne(t, document))
	}
	return all
}

func parseOne(t testing.TB, document string) (o object) {
	t.Helper()
	var fields map[string]any
	if err := yaml.Unmarshal([]byte(document), &fields); err != nil {
		t.Fatalf("%v in\n%s", err, document)
	}
	text, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatalf("%v in\n%s", err, document)
	}
	o.text = document
	return o
}

// of returns the objects of a kind.
func (r release) of(kind string) (all release) {
	for _, o := range r {
		if o.Kind == kind {
			all = append(all, o)
		}
	}
	return all
}

// named returns the one object of a kind with a name, or nil.
func (r release) named(kind, name string) *object {
	for _, o := range r.of(kind) {
		if o.Metadata.Name == name {
			return &o
		}
	}
	return nil
}

// workload is a pod with its labels.
type workload struct {
	name   string
	labels map[string]string
	pod
}

// workloads are all pods that there would be.
func (r release) workloads() (all []workload) {
	for _, o := range r {
		switch o.Kind {
		case "Pod":
			all = append(all, workload{o.Metadata.Name, o.Metadata.Labels, o.Spec.pod})
		case "Deployment", "StatefulSet":
			all = append(all, workload{o.Metadata.Name, o.Spec.Template.Metadata.Labels, o.Spec.Template.Spec})
		}
	}
	return all
}

// selects tells whether a selector selects labels.
func selects(selector, labels map[string]string) bool {
	for name, value := range selector {
		if labels[name] != value {
			return false
		}
	}
	return len(selector) > 0
}

// selected are the pods that a selector selects.
func (r release) selected(selector map[string]string) []workload {
	return slices.DeleteFunc(r.workloads(), func(w workload) bool { return !selects(selector, w.labels) })
}

// listens tells whether a pod has a port.
func (w workload) listens(port any) bool {
	for _, c := range w.Containers {
		for _, p := range c.Ports {
			if p.Name == port || p.ContainerPort == port { // by name, or number
				return true
			}
		}
	}
	return false
}

// secret is the content of one.
func (r release) secret(t testing.TB, name string) map[string]string {
	t.Helper()
	content := make(map[string]string)
	for key, value := range r.named("Secret", name).Data {
		text, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			t.Fatal(err)
		}
		content[key] = string(text)
	}
	return content
}

// environment is that of a container, with what Kubernetes would put in.
func (r release) environment(t testing.TB, c container, fields map[string]string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, from := range c.EnvFrom {
		maps.Copy(all, r.named("ConfigMap", from.ConfigMapRef.Name).Data)
	}
	for _, variable := range c.Env {
		value := variable.Value
		switch from := variable.ValueFrom; {
		case from.SecretKeyRef != nil:
			value = r.secret(t, from.SecretKeyRef.Name)[from.SecretKeyRef.Key]
		case from.FieldRef != nil:
			value = fields[from.FieldRef.FieldPath]
		}
		for name, other := range all {
			value = strings.ReplaceAll(value, "$("+name+")", other)
		}
		all[variable.Name] = value
	}
	return all
}
