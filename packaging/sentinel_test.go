package packaging_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hakanai/store/storetest"
	"hakanai/store/valkey/valkeytest"
)

// confServer is a Valkey or a Sentinel with the configuration that is shipped.
type confServer struct {
	t                    *testing.T
	port, user, password string // of one who may look
}

// startConf starts a server with the shipped configuration, adapted to a test, and a line of its own.
func startConf(t *testing.T, file, line string, sentinel bool, oldNew ...string) confServer {
	t.Helper()
	s := confServer{t: t, port: unusedPort(t), user: "looker", password: "x"}
	dir := t.TempDir()
	standard, looker := "port 6379", "\nuser looker on >x ~* &* +@all\n"
	if sentinel {
		standard = "port 26379"
	}
	text := adapt(t, file, append([]string{"bind 10.0.0.1", "bind 127.0.0.1", standard, "port " + s.port, "dir /var/lib/valkey", "dir " + dir}, oldNew...)...)
	conf := filepath.Join(dir, "server.conf")
	if err := os.WriteFile(conf, []byte(text+looker+line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	words := []string{conf}
	if sentinel {
		words = append(words, "--sentinel")
	}
	cmd := exec.Command(valkeytest.Program(t, "server"), words...)
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, io.Discard
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("%s at %s says:\n%s", file, s.port, &log)
		}
	})
	return s
}

func (s confServer) ask(words ...string) string {
	cmd := exec.Command(valkeytest.Program(s.t, "cli"), append([]string{"-p", s.port, "--user", s.user}, words...)...)
	cmd.Env = append(os.Environ(), "REDISCLI_AUTH="+s.password)
	out, _ := cmd.CombinedOutput() // what is expected of it is looked for
	return strings.TrimSpace(string(out))
}

// TestValkeyAndSentinelsAsShippedTakeOver starts three of each, and lets another machine become the primary.
func TestValkeyAndSentinelsAsShippedTakeOver(t *testing.T) {
	passwords := []string{"HAKANAI-PASSWORD", "aaa", "SENTINEL-PASSWORD", "ccc"}
	forValkey := append(slices.Clone(passwords), "REPLICA-PASSWORD", "bbb")
	primary := startConf(t, "valkey.conf", "", false, forValkey...)
	replica := "replicaof 127.0.0.1 " + primary.port
	valkeys := []confServer{primary, startConf(t, "valkey.conf", replica, false, forValkey...), startConf(t, "valkey.conf", replica, false, forValkey...)}
	storetest.Eventually(t, "both replicas are there", func() bool {
		return strings.Count(primary.ask("INFO", "replication"), "state=online") == 2
	})
	var sentinels []confServer
	var addresses []string
	for range 3 {
		s := startConf(t, "sentinel.conf", "", true, append(passwords,
			"monitor main 10.0.0.1 6379", "monitor main 127.0.0.1 "+primary.port, "BETWEEN-SENTINELS", "ddd")...)
		sentinels, addresses = append(sentinels, s), append(addresses, "127.0.0.1:"+s.port)
	}
	for _, s := range sentinels {
		storetest.Eventually(t, "the Sentinels know each other and both replicas", func() bool {
			out := s.ask("SENTINEL", "MASTER", "main")
			return strings.Contains(out, "num-other-sentinels\n2") && strings.Contains(out, "num-slaves\n2")
		})
	}

	program := hakanaiProgram(t)
	serve := exec.Command(program, "serve", "--port", "0", "--strict-store-check")
	serve.Env = append(os.Environ(), "HAKANAI_REDIS_DSN=redis://hakanai:aaa@"+strings.Join(addresses, ",")+
		"/0?master=main&sentinel_user=hakanai&sentinel_password=aaa")
	server := startServing(t, serve)
	token := <-server.tokens
	passSecret(t, program, server.url, token)
	waiting, stderr, status := runClient(program, "waiting", []string{"HAKANAI_TOKEN=" + token}, "send", "--server", server.url)
	if status != 0 {
		t.Fatal(stderr)
	}
	storetest.Eventually(t, "a failover begins", func() bool { return sentinels[0].ask("SENTINEL", "FAILOVER", "main") == "OK" })
	storetest.Eventually(t, "another machine is the primary, with a replica", func() bool {
		return slices.ContainsFunc(valkeys[1:], func(v confServer) bool {
			return strings.Contains(v.ask("ROLE"), "master") && strings.Contains(v.ask("INFO", "replication"), "state=online")
		})
	})
	if got, stderr, status := untilBack(program, strings.TrimSpace(waiting)); got != "waiting" || status != 0 {
		t.Errorf("what waited is %q, %d: %s", got, status, stderr)
	}
	passSecret(t, program, server.url, token)

	for _, s := range append(valkeys, sentinels...) {
		if refused := s.ask("ACL", "LOG"); refused != "" {
			t.Errorf("%s has refused what is needed:\n%s", s.port, refused)
		}
	}
	if got, want := aclOf(primary.ask("ACL", "LIST")), aclOf("user hakanai on "+valkeytest.Permissions); !slices.Equal(got, want) {
		t.Errorf("at Valkey hakanai may do\n%v, and should\n%v", got, want)
	}
	if got, want := aclOf(sentinels[0].ask("ACL", "LIST")), aclOf("user hakanai on "+valkeytest.SentinelPermissions); !slices.Equal(got, want) {
		t.Errorf("at a Sentinel hakanai may do\n%v, and should\n%v", got, want)
	}
	if rules := primary.ask("ACL", "LIST"); !strings.Contains(rules, "user default off sanitize-payload ~* &* +@all") {
		t.Errorf("a restart would lose everything, since the default user has no rights:\n%s", rules)
	}
	if said := server.said(); strings.Contains(said, "unsafe") {
		t.Errorf("the server complains:\n%s", said)
	}
}
