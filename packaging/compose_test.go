package packaging_test

import (
	"bufio"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"hakanai/store/valkey/valkeytest"
)

// loadCompose loads the project as compose does in its directory, with an override of some name beside it.
func loadCompose(t *testing.T, overrideName, override string, env ...string) (*types.Project, error) {
	t.Helper()
	dir := t.TempDir()
	compose, err := os.ReadFile("compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"compose.yaml": string(compose)}
	if overrideName != "" {
		files[overrideName] = override
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	options, err := cli.NewProjectOptions(nil, cli.WithWorkingDirectory(dir), cli.WithEnv(env), cli.WithDefaultConfigPath)
	if err != nil {
		t.Fatal(err)
	}
	return options.LoadProject(t.Context())
}

// A password with all that one of openssl rand -hex may have.
const composePassword = "VALKEY_PASSWORD=0123456789abcdef"

func mustLoadCompose(t *testing.T, overrideName, override string) *types.Project {
	t.Helper()
	project, err := loadCompose(t, overrideName, override, composePassword)
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestComposeWithoutAPasswordSaysWhatToDo(t *testing.T) {
	if _, err := loadCompose(t, "", ""); err == nil || !strings.Contains(err.Error(), "docs/deployment.md says how to make one") {
		t.Errorf("it says %v", err)
	}
}

func TestComposeGivesServicesNoMoreThanTheyNeed(t *testing.T) {
	example, err := os.ReadFile("compose.override.example.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, project := range map[string]*types.Project{
		"alone": mustLoadCompose(t, "", ""), "with the example": mustLoadCompose(t, "compose.override.yaml", string(example)),
	} {
		for _, s := range project.Services {
			if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) ||
				s.Privileged || s.Restart != "unless-stopped" {
				t.Errorf("%s: %s has rights that it does not need: %+v", name, s.Name, s)
			}
			if s.HealthCheck == nil && s.Name != "caddy" {
				t.Errorf("%s: nobody asks whether %s is well", name, s.Name)
			}
			_, inStore := s.Networks["store"]
			_, inFront := s.Networks["front"]
			if inStore != (s.Name != "caddy") || inFront != (s.Name != "valkey") {
				t.Errorf("%s: %s is in the networks %v", name, s.Name, s.Networks)
			}
			public := map[string]bool{"alone/hakanai": true, "with the example/caddy": true}[name+"/"+s.Name]
			for _, port := range s.Ports {
				if !public || s.Name == "hakanai" && port.HostIP != "127.0.0.1" {
					t.Errorf("%s: %s is published at %s:%s", name, s.Name, port.HostIP, port.Published)
				}
			}
			if public && len(s.Ports) == 0 {
				t.Errorf("%s: %s cannot be reached", name, s.Name)
			}
		}
		if !project.Networks["store"].Internal {
			t.Errorf("%s: Valkey's network leads out", name)
		}
		if on := project.Services["hakanai"].DependsOn["valkey"]; on.Condition != types.ServiceConditionHealthy {
			t.Errorf("%s: hakanai starts before Valkey is well", name)
		}
	}
}

func TestComposeIsOverriddenBesideIt(t *testing.T) {
	const override = `
services:
  hakanai:
    environment:
      HAKANAI_ALLOW_ANONYMOUS: "true"
      HAKANAI_ANONYMOUS_UPLOAD_SIZE_LIMIT: "64"
`
	plain := settingsOf(mustLoadCompose(t, "", "").Services["hakanai"])
	for _, name := range []string{"compose.override.yaml", "docker-compose.override.yml"} {
		got := settingsOf(mustLoadCompose(t, name, override).Services["hakanai"])
		want := maps.Clone(plain)
		want["HAKANAI_ALLOW_ANONYMOUS"], want["HAKANAI_ANONYMOUS_UPLOAD_SIZE_LIMIT"] = "true", "64"
		if !maps.Equal(got, want) {
			t.Errorf("%s: the environment is %v, want %v", name, got, want)
		}
	}
	if _, err := loadCompose(t, "compose.override.yaml", strings.Replace(override, "environment", "settings", 1), composePassword); err == nil {
		t.Error("what compose does not know is let through")
	}
}

// settingsOf is the environment of a service; what has no value is left out of it.
func settingsOf(service types.ServiceConfig) map[string]string {
	settings := make(map[string]string)
	for name, value := range service.Environment {
		if value != nil {
			settings[name] = *value
		}
	}
	return settings
}

// composeValkey is the Valkey of the compose file: its very command, with what the machine of a test adds.
type composeValkey struct {
	t       *testing.T
	service types.ServiceConfig
	dir     string
	port    string
	process *exec.Cmd
}

func (v *composeValkey) start() {
	v.t.Helper()
	v.process = exec.Command(valkeytest.Program(v.t, kindOf(v.service.Command[0])), append(v.service.Command[1:],
		"--port", v.port, "--bind", "127.0.0.1", "--dir", v.dir, "--user", "admin", "on", "nopass", "~*", "+@all")...)
	output, err := v.process.StdoutPipe()
	if err != nil {
		v.t.Fatal(err)
	}
	if err := v.process.Start(); err != nil {
		v.t.Fatal(err)
	}
	var log strings.Builder
	for lines := bufio.NewScanner(output); lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "eady to accept connections") {
			go func() { // it must not wait for somebody to read
				for lines.Scan() {
				}
			}()
			return
		}
	}
	v.t.Fatalf("Valkey has not started:\n%s", &log)
}

func (v *composeValkey) kill() {
	_ = v.process.Process.Kill()
	_ = v.process.Wait() // it was killed
}

// asked is what Valkey answers to a user.
func (v *composeValkey) asked(user, password string, words ...string) (string, error) {
	cmd := exec.Command(valkeytest.Program(v.t, "cli"), append([]string{"-e", "-p", v.port, "--user", user}, words...)...)
	cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+password)
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// admin is what it answers to one who may do everything.
func (v *composeValkey) admin(words ...string) string {
	v.t.Helper()
	out, err := v.asked("admin", "", words...)
	if err != nil {
		v.t.Fatalf("%v: %v\n%s", words, err, out)
	}
	return out
}

// kindOf is which of Valkey's programs a command begins with.
func kindOf(program string) string { return strings.TrimPrefix(program, "valkey-") }

// unusedPort is one of loopback that nobody listens on just now.
func unusedPort(t *testing.T) string {
	t.Helper()
	return strconv.Itoa(valkeytest.FreePort(t))
}

// hakanaiProgram builds the program as it is shipped.
func hakanaiProgram(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "hakanai")
	build := exec.Command("go", "build", "-trimpath", "-o", program, "hakanai")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return program
}

func TestWhatComposeStartsKeepsItsPromises(t *testing.T) {
	project, program := mustLoadCompose(t, "", ""), hakanaiProgram(t)
	valkey := &composeValkey{t: t, service: project.Services["valkey"], dir: t.TempDir(), port: unusedPort(t)}
	valkey.start()
	t.Cleanup(func() { valkey.kill() })

	serve := exec.Command(program, "serve", "--port", "0")
	serve.Env = os.Environ()
	for name, value := range settingsOf(project.Services["hakanai"]) {
		here := strings.Replace(value, "@valkey:6379", "@127.0.0.1:"+valkey.port, 1)
		if name == "HAKANAI_REDIS_DSN" && here == value {
			t.Fatal("the DSN does not lead to the service")
		}
		serve.Env = append(serve.Env, name+"="+here)
	}
	s := startServing(t, serve)
	token := <-s.tokens
	passSecret(t, program, s.url, token)

	var links []string
	for range 2 {
		link, stderr, status := runClient(program, "waiting", []string{"HAKANAI_TOKEN=" + token}, "send", "--server", s.url)
		if status != 0 {
			t.Fatal(stderr)
		}
		links = append(links, strings.TrimSpace(link))
	}
	if _, stderr, status := runClient(program, "", nil, "get", links[0]); status != 0 {
		t.Fatal(stderr)
	}
	health := valkey.service.HealthCheck.Test[1:]
	well := func() error {
		cmd := exec.Command(valkeytest.Program(t, kindOf(health[0])), append([]string{"-p", valkey.port}, health[1:]...)...)
		cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+settingsOf(valkey.service)["REDISCLI_AUTH"])
		return cmd.Run()
	}
	if err := well(); err != nil {
		t.Errorf("Valkey is well, and its health check says: %v", err)
	}
	if refused := valkey.admin("ACL", "LOG"); refused != "" {
		t.Errorf("Hakanai was refused what it needs:\n%s", refused)
	}
	if got, want := aclOf(valkey.admin("ACL", "LIST")), aclOf("user hakanai on "+valkeytest.Permissions); !slices.Equal(got, want) {
		t.Errorf("the user may do\n%v, and should\n%v", got, want)
	}

	for _, user := range []string{"default", "hakanai"} {
		if out, err := valkey.asked(user, "x", "PING"); err == nil {
			t.Errorf("%s gets in without the password: %s", user, out)
		}
	}

	valkey.kill() // as a power cut would
	if err := well(); err == nil {
		t.Error("Valkey is away, and its health check is content")
	}
	valkey.start()
	if got, stderr, status := untilBack(program, links[0]); got != "" || status != 3 {
		t.Errorf("what was taken is taken again: %q, %d, %s", got, status, stderr)
	}
	if got, stderr, status := untilBack(program, links[1]); got != "waiting" || status != 0 {
		t.Errorf("what was not taken is lost: %q, %d, %s", got, status, stderr)
	}
	if said := s.said(); strings.Contains(said, "unsafe") || strings.Contains(said, "look like settings") {
		t.Errorf("the server complains:\n%s", said)
	}
	if status := s.end(syscall.SIGTERM); status != 0 {
		t.Errorf("the server ended with %d", status)
	}
}

// aclOf is what a list of users says of hakanai, sorted, without the password.
func aclOf(list string) (rules []string) {
	for line := range strings.Lines(list) {
		if words := strings.Fields(line); len(words) > 1 && words[1] == "hakanai" {
			rules = slices.DeleteFunc(words, func(w string) bool { return w[0] == '#' || w == "sanitize-payload" || w == "resetchannels" })
		}
	}
	slices.Sort(rules)
	return rules
}

// untilBack gets a secret from a server whose Valkey has just come back, or changes its primary: until it has noticed, and
// has replicas that confirm, it says that it is down. That is over within 30 s.
func untilBack(program, link string) (stdout, stderr string, status int) {
	for range 600 {
		if stdout, stderr, status = runClient(program, "", nil, "get", link); status != 1 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	return stdout, stderr, status
}
