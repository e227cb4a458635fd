package commands

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"hakanai/httpapi/api"
	"hakanai/store/storetest"
)

// byFlagAndVariable runs a test with a setting made either way.
func byFlagAndVariable(t *testing.T, flag, value string, run func(t *testing.T, flags ...string)) {
	t.Helper()
	t.Run("flag", func(t *testing.T) { run(t, "--"+flag+"="+value) })
	t.Run("variable", func(t *testing.T) {
		t.Setenv("HAKANAI_"+strings.ToUpper(strings.ReplaceAll(flag, "-", "_")), value)
		run(t)
	})
}

// line is a line of the log.
type line map[string]any

// requests returns the lines about requests.
func (d *daemon) requests() (lines []line) {
	for _, text := range d.logged(`"message":"request"`) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			d.t.Errorf("%s: %v", text, err)
		}
		lines = append(lines, l)
	}
	return lines
}

// request waits for the line about the request with an id.
func (d *daemon) request(id string) (found line) {
	d.t.Helper()
	storetest.Eventually(d.t, "the request is logged", func() bool {
		for _, l := range d.requests() {
			if l["request_id"] == id {
				found = l
			}
		}
		return found != nil
	})
	return found
}

func TestLogLevels(t *testing.T) {
	for level, want := range map[string]struct{ ready, config bool }{"debug": {true, true}, "info": {false, true}} {
		t.Run(level, func(t *testing.T) {
			byFlagAndVariable(t, "log-level", level, func(t *testing.T, flags ...string) {
				d := startAt(t, []string{"--data-dir", t.TempDir()}, flags...)
				d.ask("GET", api.ConfigPath, "")
				storetest.Eventually(t, "the request is logged", func() bool { return len(d.logged(`"route":"/config.json"`)) == 1 })
				if ready := len(d.logged(`"route":"/ready"`)) > 0; ready != want.ready {
					t.Errorf("/ready is logged: %v", ready)
				}
			})
		})
	}
	for _, level := range []string{"warn", "error"} {
		t.Run(level, func(t *testing.T) {
			byFlagAndVariable(t, "log-level", level, func(t *testing.T, flags ...string) {
				seen := runAlone(t, nil, append(flags, "--log-format", "json")...)
				if strings.Contains(seen, `"level"`) {
					t.Errorf("the log says %s", seen)
				}
			})
		})
	}
}

// runAlone runs a server that is asked for nothing, and returns what it prints. It prints to a terminal if there is one.
func runAlone(t *testing.T, terminal *os.File, flags ...string) string {
	t.Helper()
	program, err := buildProgram()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{"serve", "--port", "0", "--data-dir", t.TempDir()}, flags...)...)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if cmd.Stderr = in; terminal != nil {
		cmd.Stderr = terminal
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	time.AfterFunc(500*time.Millisecond, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	seen, err := io.ReadAll(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the server: %v", err)
	}
	return string(seen)
}

func TestTheLogIsForProgramsOrForPeople(t *testing.T) {
	text := regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d INF listening address=http://127`)
	object := regexp.MustCompile(`(?m)^\{"level":"info","address":"http://127.*"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d)","message":"listening"\}\r?$`)
	onATerminal := func(t *testing.T, flags ...string) string {
		master, slave := openTerminal(t)
		defer master.Close()
		shown := make(chan string)
		go func() {
			var b strings.Builder
			lines := bufio.NewScanner(master)
			for lines.Scan() { // it ends with an error when the last writer is gone
				b.WriteString(lines.Text() + "\n")
			}
			shown <- b.String()
		}()
		runAlone(t, slave, flags...)
		slave.Close()
		return <-shown
	}
	for _, format := range []string{"auto", "json", "text"} {
		t.Run(format, func(t *testing.T) {
			byFlagAndVariable(t, "log-format", format, func(t *testing.T, flags ...string) {
				if seen := runAlone(t, nil, flags...); object.MatchString(seen) == (format == "text") || text.MatchString(seen) != (format == "text") {
					t.Errorf("a file gets %s", seen)
				}
				t.Setenv("NO_COLOR", "1")
				if seen := onATerminal(t, flags...); object.MatchString(seen) != (format == "json") || text.MatchString(seen) == (format == "json") {
					t.Errorf("a terminal gets %s", seen)
				}
			})
		})
	}
	if seen := onATerminal(t); !strings.Contains(seen, "\x1b[") {
		t.Errorf("without NO_COLOR a terminal gets no colors: %s", seen)
	}
}

func TestRequestsAreLoggedByTheirRoutes(t *testing.T) {
	d := startAt(t, []string{"--data-dir", t.TempDir()})
	token, _ := d.firstTokens(false)
	ids := make([]string, 4)
	for i := range ids {
		ids[i] = uuid.NewString()
	}
	created := d.ask("POST", api.SecretPath, createBody(100, ""), "Authorization", bearerOf(token), "X-Request-Id", ids[0])
	var secret api.CreateResponse
	if err := json.Unmarshal([]byte(created.body), &secret); err != nil {
		t.Fatal(err)
	}
	path := api.SecretPath + "/" + secret.ID
	answers := []answer{
		created,
		d.ask("GET", path, "", "X-Request-Id", strings.ToUpper(ids[1])),
		d.ask("GET", path, "", "X-Request-Id", ids[2]),
		d.ask("GET", api.SecretPath+"/"+uuid.NewString()+"?token="+token, "", "X-Request-Id", ids[3]),
	}
	names := make(map[any]int)
	for i, want := range []struct{ method, route string }{
		{"POST", api.SecretPath}, {"GET", api.SecretPath + "/{id}"}, {"GET", api.SecretPath + "/{id}"}, {"GET", api.SecretPath + "/{id}"},
	} {
		l := d.request(ids[i])
		if l["method"] != want.method || l["route"] != want.route || l["status"] != float64(answers[i].status) ||
			l["bytes"] != float64(len(answers[i].body)) {
			t.Errorf("%d: %v", i, l)
		}
		if ms, ok := l["ms"].(float64); !ok || ms <= 0 || ms > 60_000 {
			t.Errorf("it took %v ms", l["ms"])
		}
		names[l["secret"]]++
		if _, ok := l["secret_id"]; ok {
			t.Errorf("the id is logged: %v", l)
		}
	}
	if len(names) != 2 || names[d.request(ids[0])["secret"]] != 3 {
		t.Errorf("the lines do not tell which are about one secret: %v", names)
	}
	if lines := d.logged(secret.ID); len(lines) > 0 {
		t.Errorf("the id is in %q", lines)
	}
}

func TestARequestsIDIsAUUIDAndNeverTheSecrets(t *testing.T) {
	d := startAt(t, []string{"--data-dir", t.TempDir()})
	secret := uuid.NewString()
	for _, sent := range []string{"", "canary", "{" + uuid.NewString() + "}", strings.Repeat("a", 36), secret} {
		d.ask("GET", api.SecretPath+"/"+secret, "", "X-Request-Id", sent)
	}
	storetest.Eventually(t, "all are logged", func() bool { return len(d.logged("/secret/{id}")) == 5 })
	seen := make(map[any]bool)
	for _, l := range d.requests() {
		text, _ := l["request_id"].(string)
		id, err := uuid.Parse(text)
		if err != nil || id.Version() != 4 || text == secret || seen[text] {
			t.Errorf("the id of a request is %q", text)
		}
		seen[text] = true
	}
}

func TestSecretIDsAreLoggedForWhoAsksForThem(t *testing.T) {
	byFlagAndVariable(t, "log-secret-ids", "true", func(t *testing.T, flags ...string) {
		d := startAt(t, []string{"--data-dir", t.TempDir()}, flags...)
		token, _ := d.firstTokens(false)
		path := d.secret(token, "")
		d.ask("GET", path, "")
		secret := strings.TrimPrefix(path, api.SecretPath+"/")
		storetest.Eventually(t, "both requests are logged with it", func() bool {
			return len(d.logged(`"secret_id":"`+secret+`"`)) == 2
		})
	})
}

// scrape returns what Prometheus would see.
func (d *daemon) scrape() string {
	d.t.Helper()
	found := regexp.MustCompile(`"metrics":"([^"]+)"`).FindStringSubmatch(strings.Join(d.logged("listening"), ""))
	if found == nil {
		d.t.Fatal("the server does not say where its metrics are")
	}
	response, err := http.Get(found[1])
	if err != nil {
		d.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		d.t.Fatalf("the metrics give %d, %v", response.StatusCode, err)
	}
	return string(text)
}

func TestMetricsAreOnAnAddressOfTheirOwn(t *testing.T) {
	byFlagAndVariable(t, "metrics-listen", "127.0.0.1:0", func(t *testing.T, flags ...string) {
		onBothStores(t, func(t *testing.T, place []string) {
			d := startAt(t, place, flags...)
			token, _ := d.firstTokens(false)
			d.ask("GET", d.secret(token, ""), "")
			d.secret(token, "")
			if a := d.ask("GET", "/metrics", ""); a.status != http.StatusNotFound {
				t.Errorf("on the public address /metrics is %d", a.status)
			}
			text := d.scrape()
			for _, want := range []string{
				"hakanai_secrets_created_total 2", "hakanai_secrets_retrieved_total 1", "hakanai_live_secrets 1", "hakanai_live_tokens 1",
				"hakanai_store_up 1", "hakanai_secret_size_bytes_count 2", "hakanai_secret_ttl_seconds_count 2",
				`hakanai_http_request_duration_seconds_count{method="POST",route="/api/v1/secret",status="2xx"} 2`,
				`hakanai_store_operation_duration_seconds_count{operation="claim"} 1`, "go_goroutines", "process_open_fds", "hakanai_build_info{",
			} {
				if !strings.Contains(text, want) {
					t.Errorf("there is no %s in\n%s", want, text)
				}
			}
			if expired := strings.Contains(text, "hakanai_secrets_expired_total"); expired != (place[0] == "--data-dir") {
				t.Errorf("whether expired secrets are counted on %s: %v", place[0], expired)
			}
		})
	})
	d := startAt(t, []string{"--data-dir", t.TempDir()})
	if lines := d.logged(`"metrics"`); len(lines) > 0 {
		t.Errorf("without the setting: %q", lines)
	}
}
