//go:build unix

package valkey_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"

	"hakanai/store"
	"hakanai/store/storetest"
	"hakanai/store/valkey"
	"hakanai/store/valkey/valkeytest"
)

// open opens a store on a DSN, and waits until it is up.
func open(t testing.TB, dsn string, change ...func(*valkey.Options)) *valkey.Store {
	t.Helper()
	s := openDown(t, dsn, change...)
	storetest.Eventually(t, "the store is up", func() bool { return s.Check(t.Context()) == nil })
	return s
}

// openDown opens a store that need not be up.
func openDown(t testing.TB, dsn string, change ...func(*valkey.Options)) *valkey.Store {
	t.Helper()
	parsed, err := valkey.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	options := valkey.Options{
		DSN:    parsed,
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
	server := valkeytest.StandaloneTLS(t, nil)
	dsn := server.DSN() + "&db=3"
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

func TestEveryFormOfDSNReachesItsServer(t *testing.T) {
	plain := valkeytest.Standalone(t, nil)
	locked := valkeytest.Standalone(t, valkeytest.Settings{"requirepass": "p%ss"})
	tls := valkeytest.StandaloneTLS(t, valkeytest.Settings{"tls-auth-clients": "yes"})
	client := "&cert=" + tls.Cert + "&key=" + tls.Key
	_, port, _ := net.SplitHostPort(tls.Address())
	sentinels := valkeytest.WithSentinels(t)
	cluster := valkeytest.NewCluster(t)
	const password = "word"
	for _, server := range sentinels.Servers {
		server.MustCommand("CONFIG", "SET", "masterauth", password)
		server.MustCommand("CONFIG", "SET", "requirepass", password)
	}
	for _, server := range sentinels.Sentinels {
		_, _ = server.Command("-a", password, "SENTINEL", "SET", valkeytest.MasterName, "auth-pass", password)
	}
	for _, server := range cluster.Servers {
		server.MustCommand("CONFIG", "SET", "masterauth", password)
		server.MustCommand("CONFIG", "SET", "requirepass", password)
	}
	for name, dsn := range map[string]string{
		"socket":             "unix://" + plain.Socket() + "?db=2",
		"another scheme":     "valkey://" + plain.Address(),
		"database":           "redis://" + plain.Address() + "/3",
		"password alone":     "redis://:p%25ss@" + locked.Address(),
		"client certificate": tls.DSN() + client,
		"name of the server": strings.Replace(tls.DSN(), tls.Address(), "localhost:"+port, 1) + client + "&server_name=" + tls.Name,
		"Sentinel, password": strings.Replace(sentinels.DSN(), "redis://", "redis://:"+password+"@", 1),
		"Cluster, password":  strings.Replace(cluster.DSN(), "redis://", "redis://:"+password+"@", 1),
		"one node":           "redis://:" + password + "@" + cluster.Servers[0].Address(),
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, dsn)
			defer s.Close()
			id := storetest.Create(t, s, storetest.Bytes(300_000), storetest.Life)
			if _, err := storetest.Take(s, id); err != nil {
				t.Error(err)
			}
			if _, err := storetest.Take(s, id); !errors.Is(err, store.ErrGone) {
				t.Errorf("a second time: %v", err)
			}
		})
	}
}
