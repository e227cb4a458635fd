package charts_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"hakanai/store/storetest"
	"hakanai/store/valkey/valkeytest"
)

// insideVariable names the directory of a cluster to the test's own process in that cluster's namespaces.
const insideVariable = "CHART_TEST_CLUSTER"

// The chart's Valkeys, Sentinels and a server, as Kubernetes would start them: with the commands, files, environment, users and
// read-only roots that the chart renders, and under the names of pods, whose addresses change whenever they start. It runs in
// namespaces of its own, which have a loopback interface and these processes alone.
func TestSecretsOutliveThePods(t *testing.T) {
	for values, test := range map[string]func(*testing.T, *cluster){
		"defaults": outliveTheServer, "valkey": outliveTheValkey, "sentinel": outliveTheSentinels,
	} {
		t.Run(values, func(t *testing.T) {
			if dir := os.Getenv(insideVariable); dir != "" {
				test(t, enter(t, dir))
				return
			}
			t.Parallel()
			t.Logf("inside:\n%s", runInside(t, values))
		})
	}
}

// runInside runs this very test in namespaces of its own.
func runInside(t *testing.T, values string) (output []byte) {
	t.Helper()
	dir := t.TempDir()
	for parent := dir; strings.HasPrefix(parent, os.TempDir()+"/"); parent = filepath.Dir(parent) { // pods have other users
		if err := os.Chmod(parent, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, "hakanai"), "hakanai")
	build.Env = append(build.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text := template(t, "--values", "testdata/"+values+".yaml")
	if err := os.WriteFile(filepath.Join(dir, "manifest.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := []string{"--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"}
	if os.Getuid() != 0 {
		flags = append(flags, "--map-root-user")
	}
	flags = append(flags, os.Args[0], "-test.v", "-test.run=^"+strings.Replace(t.Name(), "/", "$/^", 1)+"$")
	inside := exec.CommandContext(t.Context(), "unshare", flags...)
	inside.Env = append(os.Environ(), insideVariable+"="+dir)
	output, err := inside.CombinedOutput()
	if err != nil || !strings.Contains(string(output), "--- PASS: "+t.Name()) {
		t.Fatalf("%v\n%s", err, output)
	}
	return output
}

func outliveTheServer(t *testing.T, c *cluster) {
	server := c.startServer()
	first, second := server.send("first"), server.send("second")
	server.wantOnce(first, "first")
	server.end(os.Kill)
	server.start()
	server.wantOnce(second, "second")
	server.wantGone(first)
	server.end(syscall.SIGTERM)
}

func outliveTheValkey(t *testing.T, c *cluster) {
	valkey := c.pods[0]
	valkey.start()
	server := c.startServer()
	first, second := server.send("first"), server.send("second")
	server.wantOnce(first, "first")
	valkey.kill()
	valkey.start()
	storetest.Eventually(t, "Valkey is ready", valkey.ready)
	server.wantOnce(second, "second")
	server.wantGone(first)
	valkey.wantNothingDenied()
	server.end(syscall.SIGTERM)
}

func outliveTheSentinels(t *testing.T, c *cluster) {
	// The first start. The first pod is the last to come.
	for _, i := range []int{2, 1} {
		c.pods[i].start()
		storetest.Eventually(t, "a Sentinel waits for the first pod", func() bool {
			return c.pods[i].sentinelSays("ip") == c.pods[0].host()
		})
	}
	c.pods[0].start()
	c.awaitWell()
	if primary := c.primary(); primary != c.pods[0] {
		t.Fatalf("the first primary is %s", primary.name)
	}
	server := c.startServer()
	first, second := server.send("first"), server.send("second")

	// The primary's pod goes without a word, and its name with it.
	lost := c.primary()
	lost.kill()
	c.awaitAnother(lost)
	server.wantOnce(first, "first")
	third := server.send("third")

	// It comes back with its data and another address, and has never been a primary since.
	lost.start()
	storetest.Eventually(t, "the pod that was the primary is a replica", func() bool {
		if lost.role() == "master" {
			t.Fatal("it came back as a primary")
		}
		return lost.ready()
	})
	c.awaitWell()
	server.wantGone(first)

	// A pod that is told to stop hands over before it does.
	leaving := c.primary()
	leaving.handOver()
	c.awaitAnother(leaving)
	leaving.stop()
	server.wantOnce(second, "second")
	leaving.start()
	c.awaitWell()

	// All go at once, and come back elsewhere. The primary is the last to come, and nobody has taken its place, though the
	// Sentinels think it down: the others might have been away for longer.
	fourth := server.send("fourth")
	before := c.primary()
	for _, p := range c.pods {
		p.kill()
	}
	others := slices.DeleteFunc(slices.Clone(c.pods), func(p *valkeyPod) bool { return p == before })
	for _, p := range others {
		p.start()
	}
	storetest.Eventually(t, "the Sentinels think the primary down", func() bool {
		return strings.Contains(others[0].sentinelSays("flags"), "o_down")
	})
	before.start()
	c.awaitWell()
	if c.primary() != before {
		t.Errorf("after all pods were away the primary is %s, and was %s", c.primary().name, before.name)
	}
	server.wantOnce(third, "third")
	for _, link := range []string{first, second, third} {
		server.wantGone(link)
	}

	// The primary's container alone is started again.
	again := c.primary()
	again.processes["valkey"].end(os.Kill)
	again.startContainer("valkey")
	c.awaitWell()
	server.wantOnce(fourth, "fourth")

	// The primary comes back at once, and without its volume: as a primary it would empty the others.
	fifth := server.send("fifth")
	empty := c.primary()
	empty.kill()
	for _, part := range []string{"valkey", "sentinel"} {
		if err := os.RemoveAll(filepath.Join(empty.volume("data"), part)); err != nil {
			t.Fatal(err)
		}
	}
	empty.start()
	c.awaitAnother(empty)
	c.awaitWell()
	server.wantOnce(fifth, "fifth")

	for _, p := range c.pods {
		p.wantNothingDenied()
	}
	server.end(syscall.SIGTERM)
}

// cluster is what Kubernetes would be, as far as the test needs it.
type cluster struct {
	t         *testing.T
	dir       string
	release   release
	pods      []*valkeyPod
	hosts     map[string]string // addresses of the pods that are there, by name
	addresses int
}

// enter makes the namespaces that this process is in a cluster.
func enter(t *testing.T, dir string) *cluster {
	t.Helper()
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "manifest.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, dir: dir, release: parse(t, string(text)), hosts: make(map[string]string)}
	for _, set := range c.release.of("StatefulSet") {
		config := c.release.named("ConfigMap", set.Metadata.Name).Data
		for _, file := range []string{"valkey.conf", "sentinel.conf"} { // who the test asks as
			config[file] += "\nuser watch on nopass -@all +acl|log\n"
		}
		for i := range *set.Spec.Replicas {
			c.pods = append(c.pods, &valkeyPod{
				cluster: c, name: fmt.Sprintf("%s-%d", set.Metadata.Name, i), service: set.Spec.ServiceName, pod: set.Spec.Template.Spec,
				processes: make(map[string]*process),
			})
		}
	}
	c.writeHosts()
	c.makeRoot()
	return c
}

// makeRoot makes the root of all containers: the machine's libraries, and as programs those of the small images, busybox and
// Valkey's.
func (c *cluster) makeRoot() {
	c.t.Helper()
	for _, dir := range []string{"root/bin", "root/usr", "root/etc", "root/dev", "root/proc"} {
		c.mkdir(dir)
	}
	c.link("/usr/bin/busybox", "root/bin/busybox")
	for _, name := range strings.Fields("sh cat date grep head mkdir mv sed sleep sort timeout uniq") {
		c.link("busybox", "root/bin/"+name)
	}
	for _, dir := range []string{"lib", "lib64", "sbin"} {
		c.link("usr/"+dir, "root/"+dir)
	}
	for _, kind := range []string{"server", "cli"} {
		c.link(valkeytest.Program(c.t, kind), "root/bin/valkey-"+kind)
	}
	c.write("root/etc/hosts", "")
	c.write("root/etc/nsswitch.conf", "hosts: files\n")
	c.write("root/hakanai", "")
	for _, name := range []string{"/data", "/run/valkey", "/etc/valkey/config", "/etc/valkey/passwords"} {
		c.mkdir("root" + name)
	}
}

func (c *cluster) mkdir(name string) {
	c.t.Helper()
	if err := os.MkdirAll(filepath.Join(c.dir, name), 0o755); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) link(to, name string) {
	c.t.Helper()
	if err := os.Symlink(to, filepath.Join(c.dir, name)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) write(name, text string) {
	c.t.Helper()
	c.mkdir(filepath.Dir(name))
	if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
}

// makeVolume makes a directory that belongs to root and, as Kubernetes does it, to the group of a pod.
func (c *cluster) makeVolume(name string, group int) {
	c.t.Helper()
	c.mkdir(name)
	path := filepath.Join(c.dir, name)
	if mayBeOthers() {
		if err := os.Chown(path, 0, group); err != nil {
			c.t.Fatal(err)
		}
	}
	if err := os.Chmod(path, 0o775|os.ModeSetgid); err != nil {
		c.t.Fatal(err)
	}
}

// writeHosts is the cluster's DNS.
func (c *cluster) writeHosts() {
	c.t.Helper()
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c.hosts)) {
		fmt.Fprintf(&text, "%s %s\n", c.hosts[name], name)
	}
	c.write("hosts", text.String())
}

// contain is a command in a container: its root is read-only, but for the volumes, and its user has no rights. A volume is
// FROM:TO or FROM:TO:ro.
const contain = `
set -eu
root=$1 user=$2; shift 2
mount --bind "$root" "$root"
for dir in usr dev proc; do mount --rbind "/$dir" "$root/$dir"; done
while [ "$1" != -- ]; do
	from=${1%%:*} rest=${1#*:}
	mount --bind "$from" "$root${rest%%:*}"
	case $rest in *:ro) mount -o remount,bind,ro "$root${rest%%:*}" ;; esac
	shift
done
shift
mount -o remount,bind,ro "$root"
if [ "$user" = - ]; then exec env PATH=/bin "$(command -v chroot)" "$root" /usr/bin/setpriv --no-new-privs -- "$@"; fi
exec env PATH=/bin "$(command -v chroot)" "$root" /usr/bin/setpriv --reuid "$user" --regid "$user" --clear-groups --no-new-privs --bounding-set -all --inh-caps -all -- "$@"
`

// command is that of a container.
func (c *cluster) command(user int, volumes []string, environment map[string]string, words ...string) *exec.Cmd {
	id := fmt.Sprint(user)
	if !mayBeOthers() {
		id = "-"
	}
	volumes = append(volumes, filepath.Join(c.dir, "hosts")+":/etc/hosts:ro", filepath.Join(c.dir, "hakanai")+":/hakanai:ro")
	args := slices.Concat([]string{"--mount", "sh", "-c", contain, "sh", filepath.Join(c.dir, "root"), id}, volumes, []string{"--"}, words)
	command := exec.Command("unshare", args...)
	command.Env = []string{"PATH=/bin:/usr/sbin:/usr/bin"}
	for name, value := range environment {
		command.Env = append(command.Env, name+"="+value)
	}
	return command
}

// mayBeOthers tells whether this process may become other users: not where a namespace has root alone.
func mayBeOthers() bool {
	users, err := os.ReadFile("/proc/self/uid_map") // the first here, the first there, how many
	return err == nil && !strings.HasSuffix(strings.TrimSpace(string(users)), " 1")
}

// process is a container that runs.
type process struct {
	running *exec.Cmd
	log     string // its file
}

func (c *cluster) start(name string, command *exec.Cmd) *process {
	c.t.Helper()
	p := &process{running: command, log: filepath.Join(c.dir, name+".log")}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		if c.t.Failed() {
			said, _ := os.ReadFile(p.log)
			lines := strings.Split(string(said), "\n")
			c.t.Logf("the last words of %s:\n%s", name, strings.Join(lines[max(0, len(lines)-40):], "\n"))
		}
	})
	return p
}

func (p *process) end(signal os.Signal) {
	_ = p.running.Process.Signal(signal)
	_ = p.running.Wait()
}

// valkeyPod is one of the StatefulSet's.
type valkeyPod struct {
	*cluster
	name, service string
	pod           pod
	address       string
	processes     map[string]*process // by container
}

// host is the pod's name for the others.
func (p *valkeyPod) host() string { return p.name + "." + p.service }

func (p *valkeyPod) container(name string) container {
	i := slices.IndexFunc(p.pod.Containers, func(c container) bool { return c.Name == name })
	return p.pod.Containers[i]
}

// volume is the directory of a volume. One that is persistent is there as long as the test.
func (p *valkeyPod) volume(name string) string { return filepath.Join(p.dir, p.name, name) }

// start starts the pod, at a new address, with its persistent volume and what the release says.
func (p *valkeyPod) start() {
	p.t.Helper()
	p.addresses++
	p.address = fmt.Sprintf("127.0.1.%d", p.addresses)
	for _, volume := range p.pod.Volumes {
		if volume.Name != "data" {
			if err := os.RemoveAll(p.volume(volume.Name)); err != nil {
				p.t.Fatal(err)
			}
		}
		p.mkdir(p.name + "/" + volume.Name)
		content := make(map[string]string)
		switch {
		case volume.ConfigMap != nil:
			content = p.release.named("ConfigMap", volume.ConfigMap.Name).Data
		case volume.Secret != nil:
			content = p.release.secret(p.t, volume.Secret.SecretName)
		}
		for name, text := range content {
			p.write(p.name+"/"+volume.Name+"/"+name, text)
		}
	}
	for _, volume := range []string{"data", "run"} {
		p.makeVolume(p.name+"/"+volume, p.pod.SecurityContext.RunAsUser)
	}
	p.hosts[p.service] = p.address // which is enough where it is alone
	p.hosts[p.host()] = p.address
	p.writeHosts()
	for _, c := range p.pod.Containers {
		p.startContainer(c.Name)
	}
}

func (p *valkeyPod) in(name string, words []string) *exec.Cmd {
	c := p.container(name)
	var volumes []string
	for _, mount := range c.VolumeMounts {
		volume := p.volume(mount.Name) + ":" + mount.MountPath
		if mount.Name == "config" || mount.Name == "passwords" {
			volume += ":ro"
		}
		volumes = append(volumes, volume)
	}
	fields := map[string]string{"metadata.name": p.name, "status.podIP": p.address}
	return p.command(p.pod.SecurityContext.RunAsUser, volumes, p.release.environment(p.t, c, fields), words...)
}

func (p *valkeyPod) startContainer(name string) {
	p.t.Helper()
	p.processes[name] = p.cluster.start(p.name+"-"+name, p.in(name, p.container(name).Command))
}

// run runs a hook or a probe in a container, and tells whether it succeeds.
func (p *valkeyPod) run(name string, words []string) bool {
	p.t.Helper()
	out, err := p.in(name, words).CombinedOutput()
	if failed := new(exec.ExitError); err != nil && !errors.As(err, &failed) {
		p.t.Fatal(err)
	}
	if len(out) > 0 {
		p.t.Logf("%s in %s says %s", strings.Join(words, " "), p.name, out)
	}
	return err == nil
}

func (p *valkeyPod) ready() bool {
	return p.run("valkey", p.container("valkey").ReadinessProbe.Exec.Command)
}

func (p *valkeyPod) handOver() {
	p.t.Helper()
	if !p.run("valkey", p.container("valkey").Lifecycle.PreStop.Exec.Command) {
		p.t.Errorf("the hook of %s fails", p.name)
	}
}

// kill ends the pod at once, stop in order. Its name is gone then.
func (p *valkeyPod) kill() { p.endAll(os.Kill) }
func (p *valkeyPod) stop() { p.endAll(syscall.SIGTERM) }

func (p *valkeyPod) endAll(signal os.Signal) {
	p.t.Helper()
	p.wantNothingDenied()
	for _, process := range p.processes {
		process.end(signal)
	}
	delete(p.hosts, p.host())
	p.writeHosts()
}

// ask sends a command to the pod's Valkey or Sentinel.
func (p *valkeyPod) ask(port, user string, words ...string) string {
	args := append([]string{"-h", p.address, "-p", port, "--user", user, "--no-auth-warning", "--raw"}, words...)
	command := exec.Command(filepath.Join(p.dir, "root/bin/valkey-cli"), args...)
	command.Env = append(os.Environ(), "REDISCLI_AUTH="+p.release.secret(p.t, "hakanai-valkey")["sentinel"])
	out, err := command.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// role is master, slave, or nothing when it does not answer.
func (p *valkeyPod) role() string {
	role, _, _ := strings.Cut(p.ask("6379", "sentinel", "role"), "\n")
	return role
}

// sentinelSays is one of the fields that the pod's Sentinel has of the primary.
func (p *valkeyPod) sentinelSays(field string) string {
	lines := strings.Split(p.ask("26379", "sentinel", "sentinel", "master", "main"), "\n")
	if i := slices.Index(lines, field); i >= 0 && i+1 < len(lines) {
		return lines[i+1]
	}
	return ""
}

// wantNothingDenied wants that nobody has tried what the users may not do.
func (p *valkeyPod) wantNothingDenied() {
	p.t.Helper()
	for _, port := range []string{"6379", "26379"} {
		if said := p.ask(port, "watch", "acl", "log"); said != "" {
			p.t.Errorf("%s at %s has denied %s", p.name, port, said)
		}
	}
}

// primary is the pod that all Sentinels which are there call so; nil if they do not agree.
func (c *cluster) primary() (primary *valkeyPod) {
	for _, p := range c.pods {
		if c.hosts[p.host()] == "" {
			continue
		}
		said := p.sentinelSays("ip")
		i := slices.IndexFunc(c.pods, func(other *valkeyPod) bool { return other.host() == said })
		if i < 0 || primary != nil && primary != c.pods[i] {
			return nil
		}
		primary = c.pods[i]
	}
	return primary
}

// awaitAnother waits until the Sentinels call another pod the primary, and it says so itself.
func (c *cluster) awaitAnother(old *valkeyPod) {
	c.t.Helper()
	storetest.Eventually(c.t, "another pod is the primary", func() bool {
		primary := c.primary()
		return primary != nil && primary != old && primary.role() == "master"
	})
}

// awaitWell waits until all pods are ready, one is the primary of the others, and the Sentinels know all of them.
func (c *cluster) awaitWell() {
	c.t.Helper()
	storetest.Eventually(c.t, "all pods are well", func() bool {
		primary := c.primary()
		if primary == nil || primary.role() != "master" {
			return false
		}
		for _, p := range c.pods {
			if p != primary && p.role() != "slave" || !p.ready() || p.sentinelSays("flags") != "master" ||
				p.sentinelSays("num-slaves") != "2" || p.sentinelSays("num-other-sentinels") != "2" {
				return false
			}
		}
		return strings.Count(primary.ask("6379", "sentinel", "info", "replication"), "state=online") == 2
	})
}

// server is a hakanai serve as the chart starts it.
type server struct {
	*process
	*cluster
	pod        pod
	volumes    []string
	url, token string
}

func (c *cluster) startServer() *server {
	c.t.Helper()
	s := &server{cluster: c, pod: c.release.of("Deployment")[0].Spec.Template.Spec}
	for _, mount := range s.pod.Containers[0].VolumeMounts {
		c.makeVolume("server/"+mount.Name, s.pod.SecurityContext.RunAsUser)
		s.volumes = append(s.volumes, filepath.Join(c.dir, "server", mount.Name)+":"+mount.MountPath)
	}
	s.start()
	token := regexp.MustCompile(`(?m)^    ([A-Za-z0-9_-]{43})$`)
	storetest.Eventually(c.t, "the server has said a token", func() bool {
		said, err := os.ReadFile(s.log)
		found := token.FindSubmatch(said)
		if err != nil || found == nil {
			return false
		}
		s.token = string(found[1])
		return true
	})
	s.awaitReady()
	return s
}

func (s *server) start() {
	s.t.Helper()
	main := s.pod.Containers[0]
	environment := s.release.environment(s.t, main, nil)
	words := append([]string{"/hakanai"}, main.Args...) // the image's entry point
	s.process = s.cluster.start("server", s.command(s.pod.SecurityContext.RunAsUser, s.volumes, environment, words...))
	s.url = "http://127.0.0.1:" + environment["HAKANAI_PORT"]
}

// awaitReady asks as the chart's probe does.
func (s *server) awaitReady() {
	s.t.Helper()
	client := &http.Client{Timeout: 10 * time.Second}
	path := s.pod.Containers[0].ReadinessProbe.HTTPGet.Path
	storetest.Eventually(s.t, "the server is ready", func() bool {
		response, err := client.Get(s.url + path)
		if err != nil {
			return false
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// client runs a subcommand, again while the server says that its store is away: then nothing was taken.
func (s *server) client(input string, words ...string) (stdout, stderr string, err error) {
	s.t.Helper()
	storetest.Eventually(s.t, "the server is available", func() bool {
		command := exec.Command(filepath.Join(s.dir, "hakanai"), words...)
		command.Env = append(os.Environ(), "HAKANAI_SERVER="+s.url, "HAKANAI_TOKEN="+s.token)
		var out, said bytes.Buffer
		command.Stdin, command.Stdout, command.Stderr = strings.NewReader(input), &out, &said
		err = command.Run()
		stdout, stderr = out.String(), said.String()
		return err == nil || !strings.Contains(stderr, "not available just now") && !strings.Contains(stderr, "refused")
	})
	return stdout, stderr, err
}

func (s *server) send(text string) (link string) {
	s.t.Helper()
	link, said, err := s.client(text, "send")
	if err != nil {
		s.t.Fatalf("sending gives %v: %s", err, said)
	}
	return strings.TrimSpace(link)
}

// wantOnce wants that a link gives a text, and nothing afterwards.
func (s *server) wantOnce(link, want string) {
	s.t.Helper()
	got, said, err := s.client("", "get", link)
	if err != nil || got != want {
		s.t.Fatalf("a link gives %q, %v: %s, want %q", got, err, said, want)
	}
	s.wantGone(link)
}

func (s *server) wantGone(link string) {
	s.t.Helper()
	if got, said, err := s.client("", "get", link); err == nil || got != "" || !strings.Contains(said, "gone") {
		s.t.Errorf("a link that was opened gives %q, %v: %s", got, err, said)
	}
}
