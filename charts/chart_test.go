package charts_test

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"hakanai/httpapi/api"
	"hakanai/store/valkey/valkeytest"
)

func TestEverySetOfValuesGivesWhatKubernetesKnows(t *testing.T) {
	for name, file := range valueSets(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mustHelm(t, "lint", "--strict", "--kube-version", kubernetes, "hakanai", "--values", file)
			text := template(t, "--values", file)
			seen := make(map[string]bool)
			var own []string
			for _, document := range documents(text) {
				o := parseOne(t, document)
				name := o.Kind + " " + o.Metadata.Name
				if seen[name] {
					t.Errorf("%s is there twice", name)
				}
				seen[name] = true
				if !strings.Contains(document, "\napiVersion: monitoring.coreos.com/v1\n") { // those below
					own = append(own, document)
				}
			}
			command := exec.Command("go", "run", "./strict")
			command.Dir = "../tools/helm"
			command.Stdin = strings.NewReader(strings.Join(own, "\n---\n"))
			if out, err := command.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// The types of Prometheus' operator, as far as the chart uses them.
type monitoring struct {
	APIVersion, Kind string
	Metadata         struct {
		Name   string
		Labels map[string]string
	}
	Spec struct {
		Selector  struct{ MatchLabels map[string]string }
		Endpoints []struct{ Port, Interval string }
		Groups    []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
}

func TestPrometheusFindsTheServersAndTheRulesOfTheDocs(t *testing.T) {
	r := parse(t, template(t, "--values", "testdata/everything.yaml"))
	decode := func(kind string) (m monitoring) {
		t.Helper()
		var fields map[string]any
		if err := yaml.Unmarshal([]byte(r.of(kind)[0].text), &fields); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		decoder := json.NewDecoder(strings.NewReader(string(text)))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&m); err != nil {
			t.Fatal(err)
		}
		if m.Metadata.Labels["release"] != "prometheus" {
			t.Errorf("the %s has the labels %v", kind, m.Metadata.Labels)
		}
		return m
	}
	monitor := decode("ServiceMonitor")
	var found []object
	for _, service := range r.of("Service") {
		if selects(monitor.Spec.Selector.MatchLabels, service.Metadata.Labels) {
			found = append(found, service)
		}
	}
	if len(found) != 1 || found[0].Spec.Ports[0].Name != monitor.Spec.Endpoints[0].Port {
		t.Errorf("the monitor selects %v", found)
	}
	alerts, err := os.ReadFile("../docs/observability/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var groups, rendered any
	var rules struct{ Spec any }
	for text, into := range map[string]any{string(alerts): &groups, r.of("PrometheusRule")[0].text: &rules} {
		if err := yaml.Unmarshal([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	rendered = rules.Spec
	if fmt.Sprint(groups) != fmt.Sprint(rendered) || len(decode("PrometheusRule").Spec.Groups[0].Rules) < 5 {
		t.Errorf("the rules are %v", rendered)
	}
	dashboard, err := os.ReadFile("../docs/observability/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if shown := r.named("ConfigMap", "hakanai-dashboard").Data["hakanai.json"]; strings.TrimSpace(shown) != strings.TrimSpace(string(dashboard)) {
		t.Error("the dashboard is not that of the docs")
	}
}

func TestEveryPodIsRestricted(t *testing.T) {
	onEverySet(t, func(t *testing.T, r release) {
		is := func(what *bool, want bool) bool { return what != nil && *what == want }
		for _, w := range r.workloads() {
			pod := w.SecurityContext
			for what, ok := range map[string]bool{
				"is not root":                pod.RunAsNonRoot && pod.RunAsUser > 0,
				"has a seccomp profile":      pod.SeccompProfile.Type == "RuntimeDefault",
				"has no token":               is(w.AutomountServiceAccountToken, false),
				"has no variables of links":  is(w.EnableServiceLinks, false),
				"is apart from its machine":  !w.HostNetwork && !w.HostPID && !w.HostIPC,
				"has containers":             len(w.Containers) > 0,
				"has volumes that it can be": !strings.Contains(fmt.Sprint(r), "hostPath"),
			} {
				if !ok {
					t.Errorf("it is not so that %s %s", w.name, what)
				}
			}
			for _, c := range slices.Concat(w.InitContainers, w.Containers) {
				security := c.SecurityContext
				for what, ok := range map[string]bool{
					"gains nothing":          is(security.AllowPrivilegeEscalation, false) && !security.Privileged,
					"writes to volumes":      security.ReadOnlyRootFilesystem,
					"drops all":              slices.Equal(security.Capabilities.Drop, []string{"ALL"}) && security.Capabilities.Add == nil,
					"keeps the pod's user":   security.RunAsUser == nil,
					"has a limit of memory":  c.Resources.Limits["memory"] != nil,
					"has an image that is a": regexp.MustCompile(`^[^@]+(:[^:@/]+|@sha256:[0-9a-f]{64})$`).MatchString(c.Image),
				} {
					if !ok {
						t.Errorf("it is not so that %s of %s %s", c.Name, w.name, what)
					}
				}
			}
		}
		for _, account := range r.of("ServiceAccount") {
			if !is(account.AutomountServiceAccountToken, false) {
				t.Errorf("the account %s has a token", account.Metadata.Name)
			}
		}
	})
}

func TestWhatIsNamedIsThere(t *testing.T) {
	given := map[string]bool{"dsn": true, "webhook": true, "passwords": true, "somebody": true} // by the sets of values
	onEverySet(t, func(t *testing.T, r release) {
		has := func(kind, name, who string) {
			t.Helper()
			if r.named(kind, name) == nil && !given[name] {
				t.Errorf("%s needs the %s %s, which is not there", who, kind, name)
			}
		}
		for _, o := range r {
			if (o.Kind == "Deployment" || o.Kind == "StatefulSet") && !selects(o.Spec.Selector, o.Spec.Template.Metadata.Labels) {
				t.Errorf("%s does not select its own pods", o.Metadata.Name)
			}
			if o.Kind == "StatefulSet" {
				has("Service", o.Spec.ServiceName, o.Metadata.Name)
			}
			if o.Kind == "HorizontalPodAutoscaler" {
				has(o.Spec.ScaleTargetRef.Kind, o.Spec.ScaleTargetRef.Name, o.Metadata.Name)
				if r.named("Deployment", o.Spec.ScaleTargetRef.Name).Spec.Replicas != nil {
					t.Error("the Deployment takes back what the autoscaler does")
				}
			}
			if o.Kind == "PodDisruptionBudget" && len(r.selected(o.Spec.Selector)) != 1 {
				t.Errorf("the budget %s selects %v", o.Metadata.Name, r.selected(o.Spec.Selector))
			}
			if o.Kind != "Service" {
				continue
			}
			pods := r.selected(o.Spec.Selector)
			if len(pods) != 1 {
				t.Errorf("the service %s selects %v", o.Metadata.Name, pods)
			}
			for _, p := range o.Spec.Ports {
				if !pods[0].listens(p.TargetPort) {
					t.Errorf("nobody listens where the service %s leads: %v", o.Metadata.Name, p.TargetPort)
				}
			}
		}
		for _, w := range r.workloads() {
			if w.ServiceAccountName != "" {
				has("ServiceAccount", w.ServiceAccountName, w.name)
			}
			volumes := []string{"data"} // which a StatefulSet makes
			for _, v := range w.Volumes {
				volumes = append(volumes, v.Name)
				switch {
				case v.ConfigMap != nil:
					has("ConfigMap", v.ConfigMap.Name, w.name)
				case v.Secret != nil:
					has("Secret", v.Secret.SecretName, w.name)
				case v.PersistentVolumeClaim != nil:
					has("PersistentVolumeClaim", v.PersistentVolumeClaim.ClaimName, w.name)
				}
			}
			for _, c := range w.Containers {
				for _, mount := range c.VolumeMounts {
					if !slices.Contains(volumes, mount.Name) {
						t.Errorf("%s has no volume %s", w.name, mount.Name)
					}
				}
				for _, from := range c.EnvFrom {
					has("ConfigMap", from.ConfigMapRef.Name, w.name)
				}
				for _, variable := range c.Env {
					if from := variable.ValueFrom.SecretKeyRef; from != nil {
						has("Secret", from.Name, w.name)
						if secret := r.named("Secret", from.Name); secret != nil && secret.Data[from.Key] == "" {
							t.Errorf("the Secret %s has no %s", from.Name, from.Key)
						}
					}
				}
				for _, probe := range []*probe{c.ReadinessProbe, c.LivenessProbe, c.StartupProbe} {
					if probe == nil {
						continue
					}
					for _, p := range []*port{probe.HTTPGet, probe.TCPSocket} {
						if p != nil && !w.listens(p.Port) {
							t.Errorf("a probe of %s asks at %v", w.name, p.Port)
						}
					}
				}
			}
		}
		for _, ingress := range r.of("Ingress") {
			backend := ingress.Spec.Rules[0].HTTP.Paths[0].Backend.Service
			has("Service", backend.Name, "the Ingress")
			if r.named("Service", backend.Name).Spec.Ports[0].Name != backend.Port.Name {
				t.Errorf("the Ingress leads to the port %v", backend.Port)
			}
		}
	})
}

// Policies let through what the parts need of each other, and name no port that nobody has.
func TestPoliciesFitThePods(t *testing.T) {
	onEverySet(t, func(t *testing.T, r release) {
		policies := r.of("NetworkPolicy")
		for _, w := range r.workloads() {
			covered := slices.ContainsFunc(policies, func(p object) bool { return selects(p.Spec.PodSelector, w.labels) })
			if len(policies) > 0 && !covered && w.labels["app.kubernetes.io/component"] != "test" {
				t.Errorf("no policy is about %s", w.name)
			}
		}
		for _, policy := range policies {
			if !slices.Equal(policy.Spec.PolicyTypes, []string{"Ingress", "Egress"}) {
				t.Errorf("%s is about %v", policy.Metadata.Name, policy.Spec.PolicyTypes)
			}
			subject := r.selected(policy.Spec.PodSelector)
			if len(subject) != 1 {
				t.Fatalf("%s is about %v", policy.Metadata.Name, subject)
			}
			for _, in := range policy.Spec.Ingress {
				if len(in.From) == 0 || len(in.Ports) == 0 {
					t.Errorf("%s lets anybody in, or to any port: %v", policy.Metadata.Name, in)
				}
				for _, p := range in.Ports {
					if !subject[0].listens(p.Port) {
						t.Errorf("%s lets in to a port that nobody has: %v", policy.Metadata.Name, p.Port)
					}
				}
				for _, from := range in.From {
					if from.PodSelector != nil && len(r.selected(from.PodSelector)) == 0 {
						t.Errorf("%s lets in pods that are not there: %v", policy.Metadata.Name, from.PodSelector)
					}
				}
			}
			for _, out := range policy.Spec.Egress {
				if len(out.Ports) == 0 {
					t.Errorf("%s lets out to any port", policy.Metadata.Name)
				}
				for _, to := range out.To {
					others := r.selected(to.PodSelector)
					if len(others) != 1 {
						t.Fatalf("%s lets out to %v", policy.Metadata.Name, others)
					}
					for _, p := range out.Ports {
						if !others[0].listens(p.Port) || !r.letsIn(others[0], subject[0], p.Port) {
							t.Errorf("%s lets out to %s at %v, which is not let in", policy.Metadata.Name, others[0].name, p.Port)
						}
					}
				}
			}
		}
	})
}

// letsIn tells whether the policies about a pod let in another to a port, given as a number.
func (r release) letsIn(to, from workload, number any) bool {
	for _, policy := range r.of("NetworkPolicy") {
		if !selects(policy.Spec.PodSelector, to.labels) {
			continue
		}
		for _, in := range policy.Spec.Ingress {
			known := slices.ContainsFunc(in.From, func(f struct{ PodSelector selector }) bool { return selects(f.PodSelector, from.labels) })
			for _, c := range to.Containers {
				for _, p := range c.Ports {
					if known && p.ContainerPort == number && slices.ContainsFunc(in.Ports, func(open port) bool { return open.Port == p.Name }) {
						return true
					}
				}
			}
		}
	}
	return false
}

// What the server reaches is let out, and nothing else.
func TestTheServerReachesWhatItIsTold(t *testing.T) {
	for name, want := range map[string]string{
		"defaults":   "",
		"valkey":     "53 53 6379",
		"sentinel":   "26379 53 53 6379",
		"external":   "53 53 6380 8443",
		"everything": "26379 4318 53 53 6379 8000 9999",
	} {
		r := parse(t, template(t, "--values", "testdata/"+name+".yaml"))
		var ports []string
		for _, out := range r.named("NetworkPolicy", "hakanai").Spec.Egress {
			for _, p := range out.Ports {
				ports = append(ports, fmt.Sprint(p.Port))
			}
		}
		slices.Sort(ports)
		if got := strings.Join(ports, " "); got != want {
			t.Errorf("with %s the server may reach the ports %s, want %s", name, got, want)
		}
	}
}

func TestSecretsAreInSecretsAlone(t *testing.T) {
	for name, least := range map[string]int{"external": 3, "everything": 2 + 3, "valkey": 3} {
		r := parse(t, template(t, "--values", "testdata/"+name+".yaml"))
		var all []string
		for _, secret := range r.of("Secret") {
			for _, value := range r.secret(t, secret.Metadata.Name) {
				all = append(all, value)
			}
		}
		if len(all) < least {
			t.Errorf("with %s there are %d secrets", name, len(all))
		}
		for _, o := range r {
			for _, secret := range append(all, "canary-of") {
				if o.Kind != "Secret" && strings.Contains(o.text, secret) {
					t.Errorf("with %s the %s %s tells a secret", name, o.Kind, o.Metadata.Name)
				}
			}
		}
	}
}

func TestBodiesOfTheUploadLimitPassTheIngress(t *testing.T) {
	const annotation = "nginx.ingress.kubernetes.io/proxy-body-size"
	size := func(words ...string) string {
		t.Helper()
		words = append([]string{"--set", "ingress.enabled=true"}, words...)
		return parse(t, template(t, words...)).of("Ingress")[0].Metadata.Annotations[annotation]
	}
	for text, limit := range map[string]int64{
		"": 10 << 20, "1": 1, "100": 100, "1k": 1 << 10, "100K": 100 << 10, "1.5m": 3 << 19, "10m": 10 << 20, "33m": 33 << 20, "2g": 2 << 30,
		"1000000": 1e6, "123456789": 123456789,
	} {
		got, err := strconv.ParseInt(size("--set-string", "config.HAKANAI_UPLOAD_SIZE_LIMIT="+text), 10, 64)
		if want := api.RequestBound(api.CiphertextBound(limit)); err != nil || got < want || got > want+want/6 {
			t.Errorf("for secrets of %q bodies of %d pass (%v), and the server reads %d", text, got, err, want)
		}
	}
	if got := size("--set", "config.HAKANAI_UPLOAD_SIZE_LIMIT=20000000"); len(got) != 8 {
		t.Errorf("a number gives %s", got)
	}
	for name, words := range map[string][]string{
		"trusted callers": {"--set", "config.HAKANAI_TRUSTED_IP_RANGES=192.0.2.0/24"},
		"a size of 0":     {"--set", "ingress.nginx.bodySize=0"},
	} {
		if got := size(words...); got != "0" {
			t.Errorf("with %s bodies of %s pass", name, got)
		}
	}
}

// documented are the server's settings, with what they are for: docs/configuration.md is made of their definitions.
func documented(t *testing.T) map[string]string {
	t.Helper()
	docs, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	settings := make(map[string]string)
	for _, row := range regexp.MustCompile("(?m)^\\| `--[^|]+\\| `(HAKANAI_[A-Z_]+)` \\|[^|]+\\| (.+) \\|$").FindAllSubmatch(docs, -1) {
		settings[string(row[1])] = string(row[2])
	}
	if len(settings) < 30 {
		t.Fatalf("there are %v", settings)
	}
	return settings
}

func TestEverySettingIsAValue(t *testing.T) {
	settings := documented(t)
	var values struct{ Config map[string]any }
	file, err := os.ReadFile("hakanai/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(file, &values); err != nil {
		t.Fatal(err)
	}
	for name := range values.Config {
		if settings[name] == "" {
			t.Errorf("the server has no setting %s", name)
		}
	}
	given := make(map[string]bool)
	for _, set := range []string{"everything", "embedded"} {
		r := parse(t, template(t, "--values", "testdata/"+set+".yaml"))
		for name, value := range r.environment(t, r.of("Deployment")[0].Spec.Template.Spec.Containers[0], nil) {
			given[name] = true
			if strings.HasPrefix(name, "HAKANAI_") && (settings[name] == "" || value == "") {
				t.Errorf("the server is given %s, %q", name, value)
			}
		}
	}
	for name := range settings {
		if !given[name] {
			t.Errorf("nothing sets %s", name)
		}
	}
}

func TestWrongValuesAreRefused(t *testing.T) {
	for _, words := range []string{
		"nothing=known", "image.tga=v1", "config.HAKANAI_NOTHING=x", "store=redis", "replicaCount=2", "replicaCount=0",
		"autoscaling.enabled=true", "store=external", "external.dsn=http://valkey,store=external",
		"config.HAKANAI_PORT=80", "config.HAKANAI_PORT=", "config.HAKANAI_UPLOAD_SIZE_LIMIT=10mb", "config.HAKANAI_MAX_TTL=soon",
		"config.HAKANAI_ALLOW_ANONYMOUS=perhaps", "config.HAKANAI_LOG_LEVEL=trace", "config.HAKANAI_ENABLE_ADMIN_TOKEN=true",
		"config.HAKANAI_TRUSTED_PROXIES=everybody", "config.HAKANAI_CORS_ALLOWED_ORIGINS=*", "config.HAKANAI_WEBHOOK_URL=hooks.example.com",
		"config.HAKANAI_REDIS_WAIT_REPLICAS=some", "webhook.signingKey=short", "image.digest=sha256:abc", "image.repository=",
		"metrics.serviceMonitor.enabled=true", "metrics.port=http", "persistence.size=large", "persistence.accessModes={ReadWriteMany}",
		"service.type=None", "ingress.host=UPPER.example.com", "ingress.nginx.bodySize=big", "valkey.maxmemory=1g", "valkey.downAfter=1",
		"podSecurityContext.runAsUser=0", "valkey.podSecurityContext.runAsUser=0", "preStopSeconds=-1", "podLabels.a=1",
	} {
		t.Run(words, func(t *testing.T) {
			t.Parallel()
			stdout, stderr, err := helm(t, "template", "hakanai", "hakanai", "--kube-version", kubernetes, "--set", words)
			if err == nil || !strings.Contains(stderr, "don't meet the specifications of the schema") {
				t.Errorf("it gives %v, %s%s", err, stderr, stdout)
			}
		})
	}
}

func TestValkeysUsersMayDoWhatTheStoreNeeds(t *testing.T) {
	r := parse(t, template(t, "--values", "testdata/sentinel.yaml"))
	config := r.named("ConfigMap", "hakanai-valkey").Data
	for file, want := range map[string]string{"valkey.conf": valkeytest.Permissions, "sentinel.conf": valkeytest.SentinelPermissions} {
		if line := "\nuser hakanai on >@hakanai@ " + want + "\n"; !strings.Contains(config[file], line) {
			t.Errorf("the user in %s is not that of package valkeytest, %s", file, want)
		}
	}
}

func TestAServerIsGivenTimeToStop(t *testing.T) {
	for seconds, want := range map[string]int{"0": 40, "5": 45, "30": 70} {
		server := parse(t, template(t, "--set", "preStopSeconds="+seconds)).of("Deployment")[0].Spec.Template.Spec
		hook := server.Containers[0].Lifecycle.PreStop
		if server.TerminationGracePeriodSeconds != want || (hook == nil) != (seconds == "0") || hook != nil && strconv.Itoa(hook.Sleep.Seconds) != seconds {
			t.Errorf("with %s it has %d s, and %v", seconds, server.TerminationGracePeriodSeconds, hook)
		}
	}
}

func TestOneServerAtATimeHasTheVolume(t *testing.T) {
	r := parse(t, template(t))
	server := r.of("Deployment")[0]
	if server.Spec.Strategy.Type != "Recreate" || *server.Spec.Replicas != 1 || len(r.of("PersistentVolumeClaim")) != 1 {
		t.Errorf("it is %s", server.text)
	}
}

func TestOtherSettingsStartServersAnew(t *testing.T) {
	annotations := func(kind string, words ...string) string {
		words = append([]string{"--values", "testdata/sentinel.yaml"}, words...)
		return fmt.Sprint(parse(t, template(t, words...)).of(kind)[0].Spec.Template.Metadata.Annotations)
	}
	for kind, other := range map[string]string{
		"Deployment": "config.HAKANAI_MAX_TTL=1d", "StatefulSet": "valkey.maxmemory=1gb",
	} {
		before := annotations(kind)
		if before != annotations(kind) {
			t.Errorf("the same values start the %s anew", kind)
		}
		if before == annotations(kind, "--set", other) {
			t.Errorf("%s does not start the %s anew", other, kind)
		}
	}
	if annotations("Deployment", "--set", "webhook.token=a") == annotations("Deployment", "--set", "webhook.token=b") {
		t.Error("another token does not start the servers anew")
	}
}

// helm test asks the server by its service.
func TestTheTestAsksTheService(t *testing.T) {
	onEverySet(t, func(t *testing.T, r release) {
		test := r.of("Pod")[0]
		service := r.named("Service", r.of("Deployment")[0].Metadata.Name)
		want := []string{"healthcheck", "--listen", service.Metadata.Name, "--port", fmt.Sprint(service.Spec.Ports[0].Port)}
		if got := test.Spec.Containers[0].Args; test.Metadata.Annotations["helm.sh/hook"] != "test" || !slices.Equal(got, want) {
			t.Errorf("it runs %v, want %v", got, want)
		}
	})
}

// Helm asks the cluster for the Secret that is there. The cluster is one that knows nothing else.
func TestPasswordsAreKept(t *testing.T) {
	answers := map[string]string{
		"/version": `{"major":"1","minor":"34","gitVersion":"v1.34.0"}`,
		"/api":     `{"kind":"APIVersions","versions":["v1"]}`,
		"/apis":    `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`,
		"/api/v1": `{"kind":"APIResourceList","groupVersion":"v1","resources":[
			{"name":"secrets","singularName":"secret","namespaced":true,"kind":"Secret","verbs":["get"]}]}`,
		"/api/v1/namespaces/secrets/secrets/hakanai-valkey": `{"kind":"Secret","apiVersion":"v1",
			"metadata":{"name":"hakanai-valkey","namespace":"secrets"},"data":{"hakanai":"b25l","sentinel":"dHdv"}}`,
	}
	cluster := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer, ok := answers[r.URL.Path]
		if w.Header().Set("Content-Type", "application/json"); !ok {
			w.WriteHeader(http.StatusNotFound)
			answer = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`
		}
		_, _ = io.WriteString(w, answer)
	}))
	defer cluster.Close()
	access := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(access, fmt.Appendf(nil, `{apiVersion: v1, kind: Config, current-context: test,
		clusters: [{name: test, cluster: {server: "%s"}}], contexts: [{name: test, context: {cluster: test}}]}`, cluster.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	text := template(t, "--values", "testdata/sentinel.yaml", "--dry-run=server", "--disable-openapi-validation", "--kubeconfig", access)
	kept := parse(t, text).secret(t, "hakanai-valkey")
	if kept["hakanai"] != "one" || kept["sentinel"] != "two" || len(kept["replica"]) != 40 {
		t.Errorf("the passwords are %v", kept)
	}
	made := parse(t, template(t, "--values", "testdata/sentinel.yaml")).secret(t, "hakanai-valkey")
	for user, password := range made {
		if !regexp.MustCompile(`^[A-Za-z0-9]{40}$`).MatchString(password) {
			t.Errorf("the password of %s is not for files and URLs", user)
		}
	}
}

func TestThePackageHasTheChartAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	mustHelm(t, "package", "hakanai", "--destination", dir, "--version", "1.2.3", "--app-version", "v1.2.3")
	archive := filepath.Join(dir, "hakanai-1.2.3.tgz")
	names := packed(t, archive)
	for _, want := range []string{"Chart.yaml", "README.md", "values.yaml", "values.schema.json", "templates/NOTES.txt", "valkey/valkey.sh", "observability/alerts.yaml"} {
		if !slices.Contains(names, "hakanai/"+want) {
			t.Errorf("there is no %s", want)
		}
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".go") || strings.Contains(name, "testdata") || strings.Contains(name, "/.") {
			t.Errorf("there is %s", name)
		}
	}
	everything := []string{"--kube-version", kubernetes, "--values", "testdata/everything.yaml", "--set", "valkey.existingSecret=x"}
	fromFiles := mustHelm(t, append([]string{"template", "a", "hakanai"}, everything...)...)
	fromPackage := mustHelm(t, append([]string{"template", "a", archive}, everything...)...)
	fromFiles = strings.NewReplacer("hakanai-0.0.0", "hakanai-1.2.3", `version: "latest"`, `version: "v1.2.3"`).Replace(fromFiles)
	checksum := regexp.MustCompile(`checksum/.*`) // of texts with the version
	if a, b := checksum.ReplaceAllString(fromFiles, ""), checksum.ReplaceAllString(fromPackage, ""); a != b {
		t.Error("the package renders to something else")
	}
}

func packed(t *testing.T, archive string) (names []string) {
	t.Helper()
	file, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	plain, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	files := tar.NewReader(plain)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, header.Name)
	}
}

var update = flag.Bool("update", false, "write the chart's README anew")

func TestTheReadmeTellsOfEveryValue(t *testing.T) {
	const path = "hakanai/README.md"
	file, err := os.ReadFile("hakanai/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var values yaml.Node
	if err := yaml.Unmarshal(file, &values); err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	table.WriteString("| value | default | |\n|---|---|---|\n")
	tell(&table, "", values.Content[0], documented(t))
	readme, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- values -->\n", "<!-- end -->"
	before, rest, _ := strings.Cut(string(readme), begin)
	_, after, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatal("there is no place for the values")
	}
	want := before + begin + table.String() + end + after
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(readme) != want {
		t.Error("the README is not what values.yaml says; go test ./charts -run TestTheReadme -update writes it anew")
	}
}

// tell writes a row for each value: its path, its default, and what its setting is for or the comment before it.
func tell(table *strings.Builder, path string, values *yaml.Node, settings map[string]string) {
	for i := 0; i+1 < len(values.Content); i += 2 {
		key, value := values.Content[i], values.Content[i+1]
		name := strings.TrimPrefix(path+"."+key.Value, ".")
		comment := strings.Join(strings.Fields(strings.ReplaceAll("\n"+key.HeadComment, "\n#", "\n")), " ")
		if value.Kind == yaml.MappingNode && value.Style&yaml.FlowStyle == 0 && len(value.Content) > 0 {
			if comment != "" {
				fmt.Fprintf(table, "| **`%s`** | | %s |\n", name, comment)
			}
			tell(table, name, value, settings)
			continue
		}
		if setting := settings[key.Value]; setting != "" {
			comment = strings.TrimSpace(setting + ". " + comment)
		}
		fmt.Fprintf(table, "| `%s` | %s | %s |\n", name, shown(value), comment)
	}
}

// shown is a default on one line.
func shown(value *yaml.Node) string {
	var plain any
	if err := value.Decode(&plain); err != nil {
		return err.Error()
	}
	text, err := json.Marshal(plain)
	if err != nil {
		return err.Error()
	}
	switch string(text) {
	case `""`, "[]", "{}":
		return ""
	}
	return "`" + string(text) + "`"
}
