//go:build unix

package valkey_test

import (
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"

	"hakanai/store"
	"hakanai/store/storetest"
	"hakanai/store/valkey"
	"hakanai/store/valkey/valkeytest"
)

// open opens a store on a DSN, and waits until it is up.
func open(t *testing.T, dsn string, change ...func(*valkey.Options)) *valkey.Store {
	t.Helper()
	s := openDown(t, dsn, change...)
	storetest.Eventually(t, "the store is up", func() bool { return s.Check(t.Context()) == nil })
	return s
}

// openDown opens a store that need not be up.
func openDown(t *testing.T, dsn string, change ...func(*valkey.Options)) *valkey.Store {
	t.Helper()
	parsed, err := valkey.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	options := valkey.Options{
		DSN: parsed, Replicas: valkey.Auto,
		Report: func(err error) { t.Logf("report: %v", err) },
		Unsafe: func(finding string) { t.Logf("unsafe: %s", finding) },
	}
	for _, c := range change {
		c(&options)
	}
	return valkey.Open(options)
}

func TestConformanceStandalone(t *testing.T) {
	server := valkeytest.Standalone(t, nil)
	storetest.Run(t, func(t *testing.T) store.Store {
		server.MustCommand("FLUSHALL")
		return open(t, server.DSN())
	})
}

func TestConformanceTLSAndUser(t *testing.T) {
	server := valkeytest.StandaloneTLS(t)
	dsn := "rediss://" + url.UserPassword(server.User, server.Password).String() + "@" + server.Address() + "/3?ca=" + server.CA
	storetest.Run(t, func(t *testing.T) store.Store {
		server.MustCommand("--user", "admin", "--pass", "x", "FLUSHALL")
		return open(t, dsn)
	})
	if log := server.MustCommand("--no-auth-warning", "--user", "admin", "--pass", "x", "ACL", "LOG"); log != "" {
		t.Errorf("the user lacks permissions: %s", log)
	}
}

func TestConformanceSentinel(t *testing.T) {
	servers := valkeytest.WithSentinels(t)
	storetest.Run(t, func(t *testing.T) store.Store {
		servers.Primary().MustCommand("FLUSHALL")
		return open(t, servers.DSN())
	})
}

func TestSentinelsWithUsers(t *testing.T) {
	servers := valkeytest.WithSentinels(t)
	for _, sentinel := range servers.Sentinels {
		words := append([]string{"ACL", "SETUSER", "watcher", "on", ">p@ss"}, strings.Fields(valkeytest.SentinelPermissions)...)
		sentinel.MustCommand(words...)
		sentinel.MustCommand("ACL", "LOG", "RESET")
	}
	s := open(t, servers.DSN()+"&sentinel_user=watcher&sentinel_password=p%40ss", func(o *valkey.Options) {
		o.Unsafe = func(finding string) { t.Errorf("unsafe: %s", finding) }
	})
	defer s.Close()
	id := storetest.Create(t, s, []byte("watched"), storetest.Life)
	old := servers.Primary()
	old.Kill()
	servers.AwaitFailover(old)
	if got := takeInTheEnd(t, s, id); string(got) != "watched" {
		t.Errorf("%q comes", got)
	}
	for _, sentinel := range servers.Sentinels {
		if log := sentinel.MustCommand("ACL", "LOG"); log != "" {
			t.Errorf("the user lacks permissions: %s", log)
		}
	}
}

func TestTheDocumentedPermissionsAreThoseThatAreTested(t *testing.T) {
	text, err := os.ReadFile("../../docs/valkey.md")
	if err != nil {
		t.Fatal(err)
	}
	document := strings.Join(strings.Fields(string(text)), " ")
	for _, rule := range []string{valkeytest.Permissions, valkeytest.SentinelPermissions} {
		if !strings.Contains(document, rule) {
			t.Errorf("docs/valkey.md does not have %s", rule)
		}
	}
}

func TestConformanceCluster(t *testing.T) {
	cluster := valkeytest.NewCluster(t)
	storetest.Run(t, func(t *testing.T) store.Store {
		for _, primary := range cluster.Primaries() {
			primary.MustCommand("FLUSHALL")
		}
		return open(t, cluster.DSN())
	})
}

func TestConformanceUnixSocket(t *testing.T) {
	server := valkeytest.Standalone(t, nil)
	s := open(t, "unix://"+server.Socket()+"?db=2")
	defer s.Close()
	id := storetest.Create(t, s, []byte("through a socket"), storetest.Life)
	if got, err := storetest.Take(s, id); err != nil || string(got) != "through a socket" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := storetest.Take(s, id); !errors.Is(err, store.ErrGone) {
		t.Errorf("a second time: %v", err)
	}
}
