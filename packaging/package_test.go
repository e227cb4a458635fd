//go:build linux

package packaging_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// machine is a copy of this machine that packages are installed on: its own view of the same files, whose changes are in
// memory and go with it. Nothing of this machine changes.
type machine struct {
	t     *testing.T
	pid   int      // a process there
	enter []string // what precedes a command that runs there
	root  string   // where others see its files
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	dir := t.TempDir()
	const script = `
		mount -t tmpfs tmpfs "$0" && cd "$0" && mkdir upper work root
		mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
		for dir in proc dev sys; do mount --rbind /$dir root/$dir; done
		for dir in run tmp; do mount -t tmpfs tmpfs root/$dir; done
		echo ready && exec cat` // until nobody is there to say anything
	cmd := exec.Command("unshare", "--mount", "--propagation=private", "sh", "-ec", script, dir)
	cmd.Stderr = t.Output()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Error("the machine:", err)
		}
	})
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatal("there is no machine to install on: file systems can be mounted by root alone", line, err)
	}
	root := filepath.Join(dir, "root")
	m := &machine{
		t: t, pid: cmd.Process.Pid, root: fmt.Sprintf("/proc/%d/root%s", cmd.Process.Pid, root),
		enter: []string{"nsenter", fmt.Sprintf("--mount=/proc/%d/ns/mnt", cmd.Process.Pid), "chroot", root},
	}
	// systemd does not run there. What it is told, it would do.
	m.write("/usr/bin/systemctl", "#!/bin/sh\necho \"$*\" >>/tmp/systemctl\n", 0o755)
	return m
}

func (m *machine) command(words ...string) *exec.Cmd {
	words = append(slices.Clone(m.enter), words...)
	return exec.Command(words[0], words[1:]...)
}

// run runs what must work, and returns what it prints.
func (m *machine) run(words ...string) string {
	m.t.Helper()
	out, status := m.try(words...)
	if status != 0 {
		m.t.Fatalf("%q ends with %d:\n%s", words, status, out)
	}
	return out
}

func (m *machine) try(words ...string) (out string, status int) {
	m.t.Helper()
	text, err := m.command(words...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatal(err)
	}
	if exit != nil {
		status = exit.ExitCode()
	}
	return string(text), status
}

func (m *machine) write(name, content string, mode os.FileMode) {
	m.t.Helper()
	if err := os.WriteFile(m.root+name, []byte(content), mode); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) read(name string) string {
	m.t.Helper()
	content, err := os.ReadFile(m.root + name)
	if err != nil {
		m.t.Fatal(err)
	}
	return string(content)
}

// has checks which files are there.
func (m *machine) has(want bool, names ...string) {
	m.t.Helper()
	for _, name := range names {
		if _, err := os.Lstat(m.root + name); (err == nil) != want {
			m.t.Errorf("%s is there: %v", name, err == nil)
		}
	}
}

// told returns what systemd was told since it was last asked.
func (m *machine) told() []string {
	m.t.Helper()
	text := m.run("sh", "-c", "cat /tmp/systemctl 2>/dev/null; rm -f /tmp/systemctl")
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

func (m *machine) expectTold(when string, want ...string) {
	m.t.Helper()
	if got := m.told(); !slices.Equal(got, want) {
		m.t.Errorf("%s: systemd was told %q", when, got)
	}
}

// service is the server as the unit runs it.
type service struct {
	*machine
	cmd        *exec.Cmd
	notified   *net.UnixConn
	url, token string
}

// unitValue is a setting of the unit that is installed.
func (m *machine) unitValue(name string) string {
	m.t.Helper()
	_, rest, found := strings.Cut(m.read("/usr/lib/systemd/system/hakanai.service"), "\n"+name+"=")
	if !found {
		m.t.Fatalf("the unit has no %s", name)
	}
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

const dynamicUser = "61184" // the first that systemd would take

// start does what systemd would do with the unit, as far as that can be done without it: a user who owns nothing but the
// state directory, no capabilities, a file system that cannot be written, the environment file. It waits until the server
// says that it is ready. Before its command may come another that runs it.
func (m *machine) start(before ...string) *service {
	m.t.Helper()
	state := m.unitValue("StateDirectory")
	environment := []string{"STATE_DIRECTORY=/var/lib/" + state}
	for line := range strings.Lines(m.read(m.unitValue("EnvironmentFile"))) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			environment = append(environment, line)
		}
	}
	// Others must not enter private; systemd mounts what is in it where the service can, which this makes up for.
	m.run("sh", "-ec", `mkdir -p /var/lib/private/$0 && chmod 0711 /var/lib/private && chmod $1 /var/lib/private/$0 && chown $2:$2 /var/lib/private/$0
		ln -sfn private/$0 /var/lib/$0`, state, m.unitValue("StateDirectoryMode"), dynamicUser)

	name := fmt.Sprintf("@hakanai-package-%d", m.pid)
	notified, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { notified.Close() }) // a second time, if all is well

	words := slices.Concat([]string{"unshare", "--mount", "sh", "-ec", `
		mount --bind /var/lib/private/hakanai /var/lib/private/hakanai
		mount -o remount,bind,ro /
		exec "$@"`, "sh"}, before, []string{"setpriv", "--reuid=" + dynamicUser, "--regid=" + dynamicUser, "--clear-groups",
		"--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "env", "-i", "NOTIFY_SOCKET=" + name},
		environment, strings.Fields(m.unitValue("ExecStart")))
	s := &service{machine: m, cmd: m.command(words...), notified: notified}
	said, err := s.cmd.StderrPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = s.cmd.Process.Kill() }) // it has ended, if all is well
	address, token := regexp.MustCompile(`"address":"([^"]+)"`), regexp.MustCompile(`HAKANAI_TOKEN=(\S+)`)
	lines := bufio.NewScanner(said)
	for s.url == "" && lines.Scan() {
		m.t.Log(lines.Text())
		if found := token.FindStringSubmatch(lines.Text()); found != nil {
			s.token = found[1]
		}
		if found := address.FindStringSubmatch(lines.Text()); found != nil {
			s.url = found[1]
		}
	}
	if s.url == "" {
		m.t.Fatal("it ended:", s.cmd.Wait())
	}
	go func() {
		for lines.Scan() { // it must not wait for a reader
			continue
		}
	}()
	s.hear("READY=1")
	return s
}

func (s *service) hear(want string) {
	s.t.Helper()
	if err := s.notified.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	buffer := make([]byte, 100)
	if n, err := s.notified.Read(buffer); err != nil || string(buffer[:n]) != want {
		s.t.Fatalf("systemd hears %q, not %s: %v", buffer[:max(n, 0)], want, err)
	}
}

// stop ends it as systemd does.
func (s *service) stop() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	s.hear("STOPPING=1")
	if err := s.cmd.Wait(); err != nil {
		s.t.Error("the service:", err)
	}
	s.notified.Close()
}

func (s *service) send(text, token string) (link string) {
	s.t.Helper()
	const script = `printf %s "$0" | HAKANAI_TOKEN="$1" hakanai send --quiet --server "$2"`
	return strings.TrimSpace(s.run("sh", "-c", script, text, token, s.url))
}

// get retrieves a secret, whose link may be of an earlier run of the server.
func (s *service) get(link string) (text string, status int) {
	s.t.Helper()
	_, rest, _ := strings.Cut(link, "/s/")
	return s.try("hakanai", "get", s.url+"/s/"+rest)
}

func (s *service) expect(link, want string) {
	s.t.Helper()
	if got, status := s.get(link); status != 0 || strings.TrimSuffix(got, "\n") != want {
		s.t.Errorf("the secret is %q (%d)", got, status)
	}
}

// packages are two versions, the second of which has another settings file.
type packages struct {
	deb, rpm [2]string // as others see them
}

func buildPackages(t *testing.T) (p packages) {
	t.Helper()
	dir := checkout(t)
	for i, version := range []string{"1.2.3", "1.3.0"} {
		if i == 1 {
			appendLine(t, filepath.Join(dir, "packaging/hakanai.env"), "# Something new\n")
			command(t, dir, "git", "commit", "--quiet", "--all", "--message=Add something new")
		}
		dist := releaseOf(t, dir, "v"+version, "linux_"+runtime.GOARCH)
		architecture := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
		kept := t.TempDir() // the next release empties dist
		for _, name := range []string{"hakanai_" + version + "_" + runtime.GOARCH + ".deb", "hakanai-" + version + "-1." + architecture + ".rpm"} {
			copyFile(t, filepath.Join(dist, name), filepath.Join(kept, name))
			if strings.HasSuffix(name, ".deb") {
				p.deb[i] = filepath.Join(kept, name)
			} else {
				p.rpm[i] = filepath.Join(kept, name)
			}
		}
	}
	return p
}

func appendLine(t *testing.T, name, line string) {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, append(content, line...), 0o600); err != nil {
		t.Fatal(err)
	}
}

// bring puts a package on the machine.
func (m *machine) bring(file string) string {
	m.t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		m.t.Fatal(err)
	}
	name := "/tmp/" + filepath.Base(file)
	m.write(name, string(content), 0o644)
	return name
}

const (
	settingsFile = "/etc/hakanai/hakanai.env"
	changedFile  = "HAKANAI_PORT=0\nHAKANAI_MAX_TTL=2d\n"
	stateDir     = "/var/lib/private/hakanai"
)

func TestPackages(t *testing.T) {
	p := buildPackages(t)
	t.Run("A Debian package has every file where it belongs", func(t *testing.T) {
		for file, mode := range packagedFiles(t, "/usr/share/zsh/vendor-completions/_hakanai") {
			listed := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(mode) + ` root/root +\d+ 2026-01-02 \S+ \.` + regexp.QuoteMeta(file) + `/?$`)
			if list := command(t, ".", "dpkg-deb", "--contents", p.deb[0]); !listed.MatchString(list) {
				t.Errorf("%s %s is not there:\n%s", mode, file, list)
			}
		}
		if got := command(t, ".", "dpkg-deb", "--info", p.deb[0], "conffiles"); strings.TrimSpace(got) != settingsFile {
			t.Errorf("what upgrades leave alone is %q", got)
		}
		command(t, ".", "lintian", "--fail-on=error", p.deb[0])
	})
	t.Run("A package of Red Hat has every file where it belongs", func(t *testing.T) {
		if got := command(t, ".", "rpm", "--query", "--package", "--queryformat", "%{BUILDHOST}", p.rpm[0]); got != "localhost" {
			t.Errorf("it tells the machine that it was built on: %q", got)
		}
		list := command(t, ".", "rpm", "--query", "--package", "--queryformat",
			"[%{FILEMODES:perms} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILENAMES} %{FILEFLAGS:fflags}\n]", p.rpm[0])
		for file, mode := range packagedFiles(t, "/usr/share/zsh/site-functions/_hakanai") {
			flags := ""
			if file == settingsFile {
				flags = "cn" // configuration that is not replaced
			}
			if !strings.Contains("\n"+list, "\n"+mode+" root root "+file+" "+flags+"\n") {
				t.Errorf("%s %s is not there:\n%s", mode, file, list)
			}
		}
	})
	t.Run("A Debian package is installed, upgraded, removed and purged", func(t *testing.T) { testDebian(t, p) })
	t.Run("A package of Red Hat is installed, upgraded and removed", func(t *testing.T) { testRedHat(t, p) })
	t.Run("The unit is sound, and lets the server do what it does and little else", func(t *testing.T) { testUnit(t, p) })
}

// packagedFiles are those that must be in a package, with their modes.
func packagedFiles(t *testing.T, zsh string) map[string]string {
	t.Helper()
	all := map[string]string{"/usr/bin/hakanai": "-rwxr-xr-x", "/etc/hakanai": "drwxr-xr-x", settingsFile: "-rw-------"}
	for _, name := range []string{
		"/usr/lib/systemd/system/hakanai.service", "/usr/lib/systemd/system/hakanai.socket", "/usr/share/man/man1/hakanai.1.gz",
		"/usr/share/bash-completion/completions/hakanai", "/usr/share/fish/vendor_completions.d/hakanai.fish", zsh,
	} {
		all[name] = "-rw-r--r--"
	}
	docs := "copyright NOTICE README.md CHANGELOG.md SECURITY.md third-party-licenses.txt " + command(t, repository, "git", "ls-files", "docs")
	for _, name := range strings.Fields(docs) {
		all["/usr/share/doc/hakanai/"+name] = "-rw-r--r--"
	}
	return all
}

func testDebian(t *testing.T, p packages) {
	m := newMachine(t)
	m.run("dpkg", "--install", m.bring(p.deb[0]))
	m.expectTold("where there is no systemd", "")
	m.run("mkdir", "-p", "/run/systemd/system")
	m.run("dpkg", "--install", m.bring(p.deb[0]))
	m.expectTold("installed again", "daemon-reload", "try-restart hakanai.service")
	if got := m.run("hakanai", "--version"); !strings.Contains(got, "v1.2.3") {
		t.Errorf("it is %q", got)
	}

	m.write(settingsFile, changedFile, 0o600)
	s := m.start()
	token := s.token
	link, another := s.send("the first", token), s.send("the second", token)
	s.expect(link, "the first")
	if out, status := s.get(link); status == 0 {
		t.Errorf("it can be had again: %q", out)
	}
	if out, status := s.try("sh", "-c", `echo x | HAKANAI_TOKEN="$0" hakanai send --ttl 3d --server "$1"`, token, s.url); status == 0 {
		t.Errorf("the settings do not count: %q", out)
	}
	s.stop()

	m.run("dpkg", "--force-confdef", "--force-confold", "--install", m.bring(p.deb[1])) // as unattended upgrades do
	m.expectTold("upgraded", "daemon-reload", "try-restart hakanai.service")
	if got := m.run("hakanai", "--version"); !strings.Contains(got, "v1.3.0") {
		t.Errorf("it is %q", got)
	}
	if got := m.read(settingsFile); got != changedFile {
		t.Errorf("an upgrade has changed the settings: %q", got)
	}
	m.has(true, settingsFile+".dpkg-dist")
	s = m.start()
	if s.token != "" {
		t.Error("an upgrade has made a new store")
	}
	s.expect(another, "the second")
	// As the settings file says: the first token is in the journal, and so is replaced while the server runs.
	said := s.run("sh", "-c", "hakanai admin reset --user-tokens --data-dir /var/lib/hakanai 2>&1")
	if _, status := s.try("sh", "-c", `echo x | HAKANAI_TOKEN="$0" hakanai send --server "$1"`, token, s.url); status == 0 {
		t.Errorf("the first token is still good: %s", said)
	}
	s.stop()

	m.run("dpkg", "--remove", "hakanai")
	m.expectTold("removed", "stop hakanai.socket hakanai.service", "--quiet disable hakanai.socket hakanai.service", "daemon-reload")
	m.has(false, "/usr/bin/hakanai", "/usr/lib/systemd/system/hakanai.service")
	m.has(true, settingsFile, stateDir, "/var/lib/hakanai")

	m.run("dpkg", "--purge", "hakanai")
	m.has(false, "/etc/hakanai", stateDir, "/var/lib/hakanai", "/usr/share/doc/hakanai")
	m.has(true, "/var/lib/private", "/usr/bin/env")
}

func testRedHat(t *testing.T, p packages) {
	m := newMachine(t)
	m.run("mkdir", "-p", "/run/systemd/system")
	rpm := func(words ...string) { // without what other packages there are on a Debian machine
		t.Helper()
		m.run(append([]string{"rpm", "--force-debian", "--nodeps", "--dbpath=/tmp/rpm"}, words...)...)
	}
	rpm("--install", m.bring(p.rpm[0]))
	m.expectTold("installed", "daemon-reload")
	m.write(settingsFile, changedFile, 0o600)
	s := m.start()
	link := s.send("the first", s.token)
	s.stop()

	rpm("--upgrade", m.bring(p.rpm[1]))
	m.expectTold("upgraded", "daemon-reload", "try-restart hakanai.service")
	if got := m.read(settingsFile); got != changedFile {
		t.Errorf("an upgrade has changed the settings: %q", got)
	}
	m.has(true, settingsFile+".rpmnew")
	s = m.start()
	s.expect(link, "the first")
	s.stop()

	rpm("--erase", "hakanai")
	m.expectTold("removed", "stop hakanai.socket hakanai.service", "--quiet disable hakanai.socket hakanai.service", "daemon-reload")
	m.has(false, "/usr/bin/hakanai", "/usr/lib/systemd/system/hakanai.service")
	m.has(true, settingsFile+".rpmsave", stateDir)
}

func testUnit(t *testing.T, p packages) {
	m := newMachine(t)
	m.run("dpkg", "--install", m.bring(p.deb[0]))
	const units = "/usr/lib/systemd/system/hakanai."
	if out := m.run("systemd-analyze", "verify", "--man=no", units+"service", units+"socket"); strings.Contains(out, "hakanai") {
		t.Error(out)
	}
	m.run("systemd-analyze", "security", "--offline=true", "--threshold=19", units+"service") // in tenths

	m.write(settingsFile, changedFile, 0o600)
	s := m.start("strace", "--follow-forks", "--quiet=all", "--output=/tmp/calls", "--inject=prlimit64:error=EPERM")
	s.expect(s.send("the first", s.token), "the first")
	pid, _, _ := strings.Cut(m.read("/tmp/calls"), " ") // strace passes no signal on
	m.run("kill", pid)
	s.hear("STOPPING=1")
	if err := s.cmd.Wait(); err != nil {
		t.Error(err)
	}
	_, calls, found := strings.Cut(m.read("/tmp/calls"), `execve("/usr/bin/hakanai"`)
	if !found {
		t.Fatal("the calls of the server were not seen")
	}
	used := map[string]bool{}
	for _, call := range regexp.MustCompile(`(?m)^\d+ +([a-z0-9_]+)\(`).FindAllStringSubmatch(calls, -1) {
		used[call[1]] = true
	}
	if len(used) < 30 || !used["fdatasync"] && !used["fsync"] {
		t.Fatalf("too few calls were seen: %v", used)
	}
	allowed := m.allowedCalls()
	for call := range used {
		// The server is well without it, as was seen: its limits are the unit's already.
		if !allowed[call] && call != "prlimit64" {
			t.Errorf("the server uses %s, which the unit denies", call)
		}
	}
	families := strings.Fields(m.unitValue("RestrictAddressFamilies"))
	for _, socket := range regexp.MustCompile(`socket\((\w+)`).FindAllStringSubmatch(calls, -1) {
		if !slices.Contains(families, socket[1]) {
			t.Errorf("the server uses %s, which the unit denies", socket[1])
		}
	}
	if strings.Contains(calls, "PROT_WRITE|PROT_EXEC") {
		t.Error("the server writes to memory that it executes, which the unit denies")
	}
	for _, never := range []string{"ptrace", "mount", "setuid", "kexec_load", "bpf"} {
		if allowed[never] {
			t.Errorf("the unit allows %s", never)
		}
	}
}

// allowedCalls are those that the unit lets through.
func (m *machine) allowedCalls() map[string]bool {
	m.t.Helper()
	allowed := map[string]bool{}
	for _, filter := range regexp.MustCompile(`(?m)^SystemCallFilter=(~?)(.*)$`).FindAllStringSubmatch(m.read("/usr/lib/systemd/system/hakanai.service"), -1) {
		for _, group := range strings.Fields(filter[2]) {
			for call := range m.systemCalls(group) {
				if allowed[call] = true; filter[1] == "~" {
					delete(allowed, call)
				}
			}
		}
	}
	return allowed
}

// systemCalls are those of a group of systemd, which has groups in it.
func (m *machine) systemCalls(group string) map[string]bool {
	m.t.Helper()
	all := map[string]bool{}
	for line := range strings.Lines(m.run("systemd-analyze", "syscall-filter", group)) {
		name := strings.TrimSpace(line)
		switch {
		case name == "" || name == group || !strings.HasPrefix(line, " ") || name[0] == '#':
		case name[0] == '@':
			for call := range m.systemCalls(name) {
				all[call] = true
			}
		default:
			all[name] = true
		}
	}
	return all
}

func TestTheSettingsFileHasEverySettingWithItsDefault(t *testing.T) {
	documented, err := os.ReadFile(filepath.Join(repository, "docs/configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	settings, err := os.ReadFile("hakanai.env")
	if err != nil {
		t.Fatal(err)
	}
	defaults := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": ""} // it has no flag
	for _, row := range regexp.MustCompile("(?m)^\\| `--.*\\| `(HAKANAI_\\w+)` \\| ([^ |,:\\\\]*)(.*?)\\|").FindAllSubmatch(documented, -1) {
		value := string(row[2])
		if text := strings.TrimSpace(value + string(row[3])); value == "none" || strings.HasPrefix(text, `\`) || strings.HasPrefix(text, "loopback and") {
			value = ""
		} else if strings.HasPrefix(text, "user-agent,") {
			value = text
		}
		defaults[string(row[1])] = value
	}
	if len(defaults) < 30 {
		t.Fatalf("the documents have few settings: %v", defaults)
	}
	for line := range bytes.Lines(settings) {
		name, value, is := strings.Cut(strings.TrimPrefix(strings.TrimSpace(string(line)), "#"), "=")
		if !is || strings.Contains(name, " ") {
			continue
		}
		want, known := defaults[name]
		if !known || value != want || line[0] != '#' {
			t.Errorf("%s is %q there, and documented: %q", name, value, want)
		}
		delete(defaults, name)
	}
	for name := range defaults {
		t.Errorf("%s is not there", name)
	}
}
