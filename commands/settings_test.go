//go:build unix

package commands

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/urfave/cli/v2"

	"hakanai/httpapi/api"
	"hakanai/store/storetest"
	"hakanai/store/valkey/valkeytest"
)

// serveSettings are the flags of serve, as they are defined.
func serveSettings(t *testing.T) (all []option) {
	t.Helper()
	for _, command := range (&program{}).app().Commands {
		if command.Name == "serve" {
			all = options(command.Flags)
		}
	}
	if len(all) < 20 {
		t.Fatalf("serve has %d settings", len(all))
	}
	return all
}

func TestEverySettingOfServeIsInACategoryAndHasAVariable(t *testing.T) {
	for _, o := range serveSettings(t) {
		if o.Category == "" || len(o.Variables) != 1 || !strings.HasPrefix(o.Variables[0], "HAKANAI_") {
			t.Errorf("%s is in category %q and has variables %q", o.Names[0], o.Category, o.Variables)
		}
	}
}

func TestEverySettingOfServeIsInATest(t *testing.T) {
	names, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(text)
	}
	for _, o := range serveSettings(t) {
		name := strings.TrimPrefix(o.Names[0], "--")
		if strings.Contains(tests.String(), `byFlagAndVariable(t, "`+name+`"`) {
			continue // which makes the variable's name of the flag's
		}
		for _, text := range []string{name, o.Variables[0]} {
			if !regexp.MustCompile(`"(--)?` + text + `["=]`).MatchString(tests.String()) {
				t.Errorf("no test sets %s", text)
			}
		}
	}
}

func TestHelpOfServeIsInParts(t *testing.T) {
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(program, "serve", "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	var titles []string
	for _, o := range serveSettings(t) {
		if title := strings.ToUpper(o.Category) + ":"; !slices.Contains(titles, title) {
			titles = append(titles, title)
		}
	}
	part, at := "", 0
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSuffix(line, "\n"); at < len(titles) && line == titles[at] {
			part, at = line, at+1
		} else if found := regexp.MustCompile(`^   (--[a-z-]+)`).FindStringSubmatch(line); found != nil && found[1] != "--help" {
			for _, o := range serveSettings(t) {
				if o.Names[0] == found[1] && part != strings.ToUpper(o.Category)+":" {
					t.Errorf("%s is under %q", found[1], part)
				}
			}
		}
	}
	if at != len(titles) || at < 7 {
		t.Errorf("of the parts %q there are %d", titles, at)
	}
}

// asFlagsAndAsVariables starts the program with settings (name, variable, value), once as flags and once as variables.
func asFlagsAndAsVariables(t *testing.T, flags []string, settings [][3]string, check func(t *testing.T, d *daemon)) {
	t.Helper()
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	run := func(t *testing.T, cmd *exec.Cmd) {
		d := start(t, cmd)
		check(t, d)
		if status := d.end(syscall.SIGTERM); status != 0 {
			t.Errorf("the server ended with %d", status)
		}
	}
	t.Run("by flag", func(t *testing.T) {
		args := append([]string{"serve"}, flags...)
		for _, s := range settings {
			args = append(args, "--"+s[0]+"="+s[2])
		}
		run(t, exec.Command(program, args...))
	})
	t.Run("by variable", func(t *testing.T) {
		cmd := exec.Command(program, append([]string{"serve"}, flags...)...)
		cmd.Env = os.Environ()
		for _, s := range settings {
			cmd.Env = append(cmd.Env, s[1]+"="+s[2])
		}
		run(t, cmd)
	})
}

func TestTheServerListensWhereItIsTold(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	settings := [][3]string{{"port", "HAKANAI_PORT", port}, {"listen", "HAKANAI_LISTEN_ADDRESS", "127.0.0.2"}}
	asFlagsAndAsVariables(t, []string{"--data-dir", t.TempDir()}, settings, func(t *testing.T, d *daemon) {
		if d.url != "http://127.0.0.2:"+port {
			t.Errorf("it listens at %s", d.url)
		}
	})
}

func TestTheStoreIsWhereItIsTold(t *testing.T) {
	dir := t.TempDir()
	isThere := func(t *testing.T, _ *daemon) {
		if _, err := os.Stat(filepath.Join(dir, "hakanai.index")); err != nil {
			t.Error(err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}
	asFlagsAndAsVariables(t, []string{"--port", "0"}, [][3]string{{"data-dir", "HAKANAI_DATA_DIR", dir}}, isThere)

	for variables, want := range map[[2]string]string{
		{"STATE_DIRECTORY=DIR:/elsewhere", "XDG_STATE_HOME=/elsewhere"}: "",
		{"STATE_DIRECTORY=", "XDG_STATE_HOME=DIR"}:                      "hakanai",
		{"XDG_STATE_HOME=", "HOME=DIR"}:                                 ".local/state/hakanai",
	} {
		dir := t.TempDir()
		program, err := buildProgram()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, "serve", "--port", "0")
		cmd.Env = os.Environ()
		for _, variable := range variables {
			cmd.Env = append(cmd.Env, strings.Replace(variable, "=DIR", "="+dir, 1))
		}
		d := start(t, cmd)
		if _, err := os.Stat(filepath.Join(dir, want, "hakanai.index")); err != nil {
			t.Errorf("%v: %v", variables, err)
		}
		d.end(syscall.SIGTERM)
	}
}

func TestTheValkeyIsTheOneThatIsTold(t *testing.T) {
	server := valkeytest.Standalone(t, nil)
	settings := [][3]string{{"redis-dsn", "HAKANAI_REDIS_DSN", server.DSN()}}
	asFlagsAndAsVariables(t, []string{"--port", "0"}, settings, func(t *testing.T, d *daemon) {
		d.awaitReady()
		if lines := d.logged("Valkey at " + server.Address()); len(lines) == 0 {
			t.Errorf("it uses another:\n%s", strings.Join(d.logged(""), "\n"))
		}
	})
	settings = append(settings, [3]string{"redis-wait-replicas", "HAKANAI_REDIS_WAIT_REPLICAS", "1"})
	asFlagsAndAsVariables(t, []string{"--port", "0"}, settings, func(t *testing.T, d *daemon) { // there is none
		storetest.Eventually(t, "it waits for a replica", func() bool {
			return len(d.logged("0 replicas are connected to it, and 1 must confirm")) > 0
		})
	})
}

func TestAnUnsafeValkeyIsRefusedIfThatIsTold(t *testing.T) {
	server := valkeytest.Standalone(t, valkeytest.Settings{"maxmemory-policy": "allkeys-lru", "maxmemory": "100mb"})
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	for _, strict := range [][2]string{{"--strict-store-check", ""}, {"--port=0", "HAKANAI_STRICT_STORE_CHECK=true"}} {
		cmd := exec.Command(program, "serve", "--port", "0", "--redis-dsn", server.DSN(), strict[0])
		cmd.Env = append(os.Environ(), strict[1])
		if out, err := cmd.CombinedOutput(); err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "allkeys-lru") {
			t.Errorf("%q: %v\n%s", strict, err, out)
		}
	}
}

func TestThePagesAndTheLongestLifeAreAsTold(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"impressum", "privacy"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("the text of "+name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	settings := [][3]string{
		{"impressum-file", "HAKANAI_IMPRESSUM_FILE", filepath.Join(dir, "impressum")},
		{"privacy-file", "HAKANAI_PRIVACY_FILE", filepath.Join(dir, "privacy")},
		{"max-ttl", "HAKANAI_MAX_TTL", "1h"}, {"allow-anonymous", "HAKANAI_ALLOW_ANONYMOUS", "true"},
	}
	asFlagsAndAsVariables(t, []string{"--port", "0", "--data-dir", t.TempDir()}, settings, func(t *testing.T, d *daemon) {
		for _, name := range []string{"impressum", "privacy"} {
			if a := d.ask(http.MethodGet, "/"+name+".txt", ""); a.status != http.StatusOK || a.body != "the text of "+name {
				t.Errorf("/%s.txt is %d %s", name, a.status, a.body)
			}
		}
		if a := d.ask(http.MethodGet, api.ConfigPath, ""); !strings.Contains(a.body, `"impressum":true,"privacy":true`) || !strings.Contains(a.body, `"maxTTL":3600`) {
			t.Errorf("the configuration is %s", a.body)
		}
		for seconds, want := range map[int]int{3600: 200, 3601: 400} {
			if a := d.ask(http.MethodPost, api.SecretPath, fmt.Sprintf(`{"data":"QUJD","expires_in":%d}`, seconds)); a.status != want {
				t.Errorf("a life of %d s: %d", seconds, a.status)
			}
		}
	})
}

func TestTheOriginsThatAreToldMayUseTheAPI(t *testing.T) {
	settings := [][3]string{
		{"cors-allowed-origins", "HAKANAI_CORS_ALLOWED_ORIGINS", "https://App.example.com:443, http://localhost:3000"},
		{"allow-anonymous", "HAKANAI_ALLOW_ANONYMOUS", "true"},
	}
	asFlagsAndAsVariables(t, []string{"--port", "0", "--data-dir", t.TempDir()}, settings, func(t *testing.T, d *daemon) {
		for origin, want := range map[string]int{
			"https://app.example.com": 200, "http://localhost:3000": 200, "https://evil.example": 403, "null": 403, "http://app.example.com": 403,
		} {
			a := d.ask(http.MethodPost, api.SecretPath, createBody(10, ""), "Origin", origin, "Sec-Fetch-Site", "cross-site")
			if shared := a.header.Get("Access-Control-Allow-Origin") == origin; a.status != want || shared != (want == 200) {
				t.Errorf("%s: %d %v", origin, a.status, a.header)
			}
		}
	})
}

// startLine is what the log says at the start.
func (d *daemon) startLine() (line struct {
	Version  string
	Settings map[string]string
}) {
	d.t.Helper()
	lines := d.logged(`"message":"starting"`)
	if len(lines) != 1 || json.Unmarshal([]byte(lines[0]), &line) != nil {
		d.t.Fatalf("the start is %q", lines)
	}
	return line
}

func TestTheStartSaysWhatIsNotADefault(t *testing.T) {
	dir := t.TempDir()
	d := startServe(t, []string{"--data-dir", dir, "--port", "0", "--max-ttl", "7d", "--listen=127.0.0.1"}) // two of them are the defaults
	line := d.startLine()
	if want := map[string]string{"port": "0", "data-dir": dir}; fmt.Sprint(line.Settings) != fmt.Sprint(want) || line.Version == "" {
		t.Errorf("it says %v", line)
	}
	d.end(syscall.SIGTERM)

	server := valkeytest.Standalone(t, nil)
	address := server.Address()
	settings := [][3]string{
		{"redis-dsn", "HAKANAI_REDIS_DSN", "redis://default:hunter2@" + address + "/3"},
		{"webhook-url", "HAKANAI_WEBHOOK_URL", "https://hooks.example.com/hunter2?hunter2"},
		{"webhook-token", "HAKANAI_WEBHOOK_TOKEN", "hunter2"},
		{"webhook-signing-key", "HAKANAI_WEBHOOK_SIGNING_KEY", "hunter2hunter2hunter2"},
		{"webhook-headers", "HAKANAI_WEBHOOK_HEADERS", "X-Request-ID"},
		{"trusted-ip-ranges", "HAKANAI_TRUSTED_IP_RANGES", "192.0.2.0/24"},
		{"enable-admin-token", "HAKANAI_ENABLE_ADMIN_TOKEN", "true"},
		{"country-header", "HAKANAI_COUNTRY_HEADER", "cf-ipcountry"},
		{"cors-allowed-origins", "HAKANAI_CORS_ALLOWED_ORIGINS", "https://app.example.com"},
		{"upload-size-limit", "HAKANAI_UPLOAD_SIZE_LIMIT", "2048k"},
	}
	want := map[string]string{
		"port": "0", "redis-dsn": address + " database 3", "webhook-url": "https://hooks.example.com/...", "webhook-token": "set",
		"webhook-signing-key": "set", "webhook-headers": "x-request-id", "trusted-ip-ranges": "192.0.2.0/24", "enable-admin-token": "true",
		"country-header": "cf-ipcountry", "cors-allowed-origins": "https://app.example.com", "upload-size-limit": "2m",
	}
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	flags, variables := exec.Command(program, "serve", "--port", "0"), exec.Command(program, "serve", "--port", "0")
	variables.Env = os.Environ()
	for _, s := range settings {
		flags.Args = append(flags.Args, "--"+s[0]+"="+s[2])
		variables.Env = append(variables.Env, s[1]+"="+s[2])
	}
	for _, cmd := range []*exec.Cmd{flags, variables} {
		d := start(t, cmd)
		if line := d.startLine(); fmt.Sprint(line.Settings) != fmt.Sprint(want) {
			t.Errorf("it says\n%v, want\n%v", line.Settings, want)
		}
		d.end(syscall.SIGTERM)
		if lines := d.logged("hunter2"); len(lines) > 0 {
			t.Errorf("a secret is shown: %s", lines)
		}
	}
}

func TestAVariableThatIsNoSettingIsNamed(t *testing.T) {
	for _, name := range []string{"HAKANAI_WEBHOOK_URLS", "HAKANAI_TRUSTED_PROXY", "HAKANAI_TOKEN", "HAKANAI_SERVER", "HAKANAI_PORT_8080_TCP", "OTHER"} {
		t.Setenv(name, "hunter2")
	}
	d := startDaemon(t, t.TempDir())
	lines := d.logged("look like settings and are none")
	if len(lines) != 1 || !strings.Contains(lines[0], "HAKANAI_WEBHOOK_URLS") || !strings.Contains(lines[0], "HAKANAI_TRUSTED_PROXY") {
		t.Fatalf("it says %s", lines)
	}
	for _, text := range []string{"HAKANAI_TOKEN", "HAKANAI_SERVER", "8080_TCP", "OTHER", "hunter2"} {
		if strings.Contains(lines[0], text) {
			t.Errorf("it says %s", lines[0])
		}
	}
	d.end(syscall.SIGTERM)
}

func TestTheCollectorIsASettingToo(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1/hunter2")
	d := startDaemon(t, t.TempDir())
	if got := d.startLine().Settings["OTEL_EXPORTER_OTLP_ENDPOINT"]; got != "set" {
		t.Errorf("it is %q", got)
	}
	_ = d.cmd.Process.Kill()
	_ = d.cmd.Wait()
}

// A text that nobody has decided to show is not shown.
func TestOfSettingsThatAreTextsThoseAreShownThatHoldNoSecret(t *testing.T) {
	for _, flag := range (&program{}).serveCommand().Flags {
		text, isText := flag.(*cli.StringFlag)
		if !isText {
			continue
		}
		shown := slices.Contains(plainSettings(), text.Name)
		if secret := regexp.MustCompile(`dsn|url|token|key|secret|password`).MatchString(text.Name); shown == secret {
			t.Errorf("--%s: shown is %t: decide in plainSettings", text.Name, shown)
		}
	}
}

const configuration = "../docs/configuration.md"

// TestDocsHaveEverySetting holds docs/configuration.md to the definitions: its tables are made of them.
func TestDocsHaveEverySetting(t *testing.T) {
	raw, err := os.ReadFile(configuration)
	if err != nil {
		t.Fatal(err)
	}
	tables := make(map[string]string)
	for _, o := range serveSettings(t) {
		if tables[o.Category] == "" {
			tables[o.Category] = "| flag | variable | default | |\n|---|---|---|---|\n"
		}
		value, without := "", o.Default
		if o.Value != "" {
			value = " " + o.Value
		} else {
			without = "false"
		}
		tables[o.Category] += fmt.Sprintf("| `%s`%s | `%s` | %s | %s |\n",
			o.Names[0], value, o.Variables[0], markdownText(without), markdownText(o.Usage))
	}
	got := string(raw)
	want := regexp.MustCompile(`(?s)(<!-- settings: ([^\n]*) -->\n).*?(<!-- end -->)`).ReplaceAllStringFunc(got, func(part string) string {
		title := strings.TrimSuffix(strings.TrimPrefix(strings.SplitN(part, "\n", 2)[0], "<!-- settings: "), " -->")
		table, known := tables[title]
		if !known {
			t.Errorf("there are no settings of the category %q", title)
		}
		delete(tables, title)
		return "<!-- settings: " + title + " -->\n" + table + "<!-- end -->"
	})
	for title := range tables {
		t.Errorf("the category %q is not in it", title)
	}
	if *update {
		if err := os.WriteFile(configuration, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		got = want
	}
	if got != want {
		t.Errorf("docs/configuration.md is not what the definitions say; go test ./commands -run TestDocs -update writes its tables anew")
	}
	known := (&program{}).app()
	m := newManual(known).markdown()
	for _, word := range regexp.MustCompile(`HAKANAI_[A-Z_]+|--[a-z][a-z-]+`).FindAllString(got, -1) {
		if !strings.Contains(m, "`"+word+"`") && !strings.Contains(m, " "+word) {
			t.Errorf("it names %s, which there is not", word)
		}
	}
}
