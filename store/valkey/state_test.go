//go:build unix

package valkey_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"hakanai/store"
	"hakanai/store/storetest"
	"hakanai/store/valkey"
	"hakanai/store/valkey/valkeytest"
)

func TestEveryKeyHasAnEnd(t *testing.T) {
	server := valkeytest.Standalone(t, nil)
	s := open(t, server.DSN())
	defer s.Close()
	for i := range 20 {
		id := storetest.Create(t, s, storetest.Bytes(300_000), storetest.Life)
		claim, err := s.Claim(t.Context(), id, storetest.NewClaimant(), time.Duration(i%2)*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if i%3 == 0 {
			if err := claim.Undo(t.Context()); err != nil {
				t.Fatal(err)
			}
		} // the others are left as a crash would leave them
	}
	draft, err := s.Draft(t.Context(), uuid.New())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := draft.Write(storetest.Bytes(400_000)); err != nil {
		t.Fatal(err)
	}
	if err := s.PutToken(t.Context(), store.TokenHash{1}, store.Token{Kind: store.UserToken, TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	kinds := make(map[string]bool)
	for key := range strings.Lines(server.MustCommand("--scan")) {
		key = strings.TrimSpace(key)
		if end := server.MustCommand("PEXPIRETIME", key); strings.HasPrefix(end, "-") {
			t.Errorf("%s has no end: %s", key, end)
		}
		if parts := strings.Split(key, ":"); len(parts) > 2 {
			kinds[parts[2]] = true
		}
	}
	for _, kind := range []string{"secret", "gone", "claimed", "live", "draft"} {
		if !kinds[kind] {
			t.Errorf("there is no key of the kind %q to look at", kind)
		}
	}
}

func TestWhatFailsLeavesTheLifeOfASecretAsItIs(t *testing.T) {
	server := valkeytest.Standalone(t, nil)
	s := open(t, server.DSN())
	defer s.Close()
	id := storetest.Create(t, s, []byte("as it was"), storetest.Life)
	key := server.MustCommand("--scan", "--pattern", "*:secret:*")
	before := server.MustCommand("PEXPIRETIME", key)
	for range 1000 {
		if _, err := s.Look(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if err := storetest.TryCreate(s, id, []byte("other"), store.Secret{TTL: time.Hour}); !errors.Is(err, store.ErrExists) {
			t.Fatalf("creating again: %v", err)
		}
		claim, err := s.Claim(t.Context(), id, storetest.NewClaimant(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := claim.Undo(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if after := server.MustCommand("PEXPIRETIME", key); after != before {
		t.Errorf("the end has moved from %s to %s", before, after)
	}
	if got, err := storetest.Take(s, id); err != nil || string(got) != "as it was" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAnUploadOutlastsAPauseOfValkey(t *testing.T) {
	server := valkeytest.Standalone(t, nil)
	s := open(t, server.DSN())
	defer s.Close()
	id, ciphertext := uuid.New(), storetest.Bytes(1_000_000)
	draft, err := s.Draft(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := draft.Write(ciphertext[:500_000]); err != nil {
		t.Fatal(err)
	}
	server.Pause()
	time.AfterFunc(4*time.Second, server.Resume)
	if _, err := draft.Write(ciphertext[500_000:]); err != nil {
		t.Fatal(err)
	}
	if err := draft.Commit(t.Context(), store.Secret{TTL: storetest.Life}); err != nil {
		t.Fatal(err)
	}
	if got, err := storetest.Take(s, id); err != nil || !bytes.Equal(got, ciphertext) {
		t.Errorf("%d bytes come: %v", len(got), err)
	}
}

func TestWhatWasReadUnderALeaseGoesWithIt(t *testing.T) {
	server := valkeytest.Standalone(t, nil)
	s := open(t, server.DSN())
	const lease = time.Minute
	id := storetest.Create(t, s, storetest.Bytes(300_000), storetest.Life)
	claim, err := s.Claim(t.Context(), id, storetest.NewClaimant(), lease)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, claim); err != nil {
		t.Error(err)
	}
	if err := claim.Release(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil { // which waits for it
		t.Error(err)
	}
	key := server.MustCommand("--scan", "--pattern", "*claimed*")
	if left, err := strconv.Atoi(server.MustCommand("PTTL", key)); err != nil || left > int(lease.Milliseconds()) {
		t.Errorf("the ciphertext lives for %d ms (%v)", left, err)
	}
}

func TestScriptsThatValkeyHasForgottenAreSentAgain(t *testing.T) {
	servers := valkeytest.WithSentinels(t)
	s := open(t, servers.DSN())
	defer s.Close()
	for range 5 {
		servers.Primary().MustCommand("SCRIPT", "FLUSH")
		id := storetest.Create(t, s, storetest.Bytes(300_000), storetest.Life)
		servers.Primary().MustCommand("SCRIPT", "FLUSH")
		if _, err := storetest.Take(s, id); err != nil {
			t.Error(err)
		}
	}
}

func TestAllReplicasThatMayBePromotedMustConfirm(t *testing.T) {
	servers := valkeytest.WithSentinels(t)
	s := open(t, servers.DSN())
	defer s.Close()
	create := func() (store.ID, error) {
		id := uuid.New()
		return id, storetest.TryCreate(s, id, []byte("confirmed"), store.Secret{TTL: storetest.Life})
	}
	storetest.Eventually(t, "creating is confirmed", func() bool { _, err := create(); return err == nil })
	time.Sleep(time.Second) // both replicas have been seen
	id, err := create()
	if err != nil {
		t.Fatal(err)
	}
	replica := servers.Replicas()[0]
	for _, sentinel := range servers.Sentinels { // so that it takes longer than the store waits
		sentinel.MustCommand("SENTINEL", "SET", valkeytest.MasterName, "down-after-milliseconds", "8000")
	}
	replica.Pause()
	if _, err := storetest.Take(s, id); !errors.Is(err, store.ErrDown) {
		t.Errorf("taking, with a replica that may be promoted and does not confirm, gives %v", err)
	}
	if _, err := create(); !errors.Is(err, store.ErrDown) {
		t.Errorf("creating, with a replica that may be promoted and does not confirm, gives %v", err)
	}
	storetest.Eventually(t, "the Sentinels think that the replica is down", func() bool { _, err := create(); return err == nil })
	if got := takeInTheEnd(t, s, id); string(got) != "confirmed" {
		t.Errorf("%q comes", got)
	}
	replica.Resume()
}

func TestAReplicaThatMayNotBePromotedConfirmsNothingInAnothersPlace(t *testing.T) {
	servers := valkeytest.WithSentinels(t)
	s := open(t, servers.DSN())
	defer s.Close()
	replicas := servers.Replicas()
	replicas[0].MustCommand("CONFIG", "SET", "replica-priority", "0")
	storetest.Eventually(t, "the Sentinels know that it is not to be promoted", func() bool {
		return !slices.ContainsFunc(servers.Sentinels, func(sentinel *valkeytest.Server) bool {
			return !strings.Contains(sentinel.MustCommand("SENTINEL", "REPLICAS", valkeytest.MasterName), "slave-priority\n0")
		})
	})
	var id store.ID
	storetest.Eventually(t, "creating is confirmed", func() bool {
		id = uuid.New()
		return storetest.TryCreate(s, id, []byte("confirmed"), store.Secret{TTL: storetest.Life}) == nil
	})
	for _, sentinel := range servers.Sentinels { // so that it takes longer than the store waits
		sentinel.MustCommand("SENTINEL", "SET", valkeytest.MasterName, "down-after-milliseconds", "8000")
	}
	replicas[1].Pause() // the one that would be promoted
	if _, err := storetest.Take(s, id); !errors.Is(err, store.ErrDown) {
		t.Errorf("taking gives %v", err)
	}
	replicas[1].Resume()
	if got := takeInTheEnd(t, s, id); string(got) != "confirmed" {
		t.Errorf("%q comes", got)
	}
}

func TestUnsafeSettingsOfAReplicaAreNamed(t *testing.T) {
	servers := valkeytest.WithSentinels(t)
	replica := servers.Replicas()[0]
	replica.MustCommand("CONFIG", "SET", "appendonly", "no")
	found := make(chan string, 100)
	s := open(t, servers.DSN(), func(o *valkey.Options) { o.Unsafe = func(finding string) { found <- finding } })
	defer s.Close()
	if finding := <-found; !strings.Contains(finding, "replica at "+replica.Address()) || !strings.Contains(finding, "appendonly") {
		t.Errorf("it says %q", finding)
	}
}

func TestWithoutReplicasToConfirmNothingIsAcknowledged(t *testing.T) {
	server := valkeytest.Standalone(t, nil)
	s := openDown(t, server.DSN(), func(o *valkey.Options) { o.Replicas = 1 })
	defer s.Close()
	for range 20 {
		if err := storetest.TryCreate(s, uuid.New(), []byte("x"), store.Secret{TTL: storetest.Life}); !errors.Is(err, store.ErrDown) {
			t.Errorf("creating gives %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	if keys := server.MustCommand("--scan"); keys != "" {
		t.Errorf("something is stored: %s", keys)
	}
}

func TestAValkeyThatCannotBeUsedIsDown(t *testing.T) {
	locked := valkeytest.Standalone(t, valkeytest.Settings{"requirepass": "secret"})
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	replica := valkeytest.Standalone(t, valkeytest.Settings{"replicaof": "127.0.0.1 1"})
	tls := valkeytest.StandaloneTLS(t, nil)
	notTLS := valkeytest.Standalone(t, nil)
	for name, dsn := range map[string]string{
		"wrong password":          "redis://:wrong@" + locked.Address(),
		"no password":             locked.DSN(),
		"no such host":            "redis://no-such-host.invalid",
		"nobody listens":          "redis://127.0.0.1:1",
		"silence":                 "redis://" + silent.Addr().String(),
		"no socket":               "unix://" + filepath.Join(t.TempDir(), "none"),
		"a replica":               replica.DSN(),
		"TLS, unknown issuer":     "rediss://" + tls.Address(),
		"TLS where there is none": "rediss://" + notTLS.Address(),
		"no TLS where there is":   "redis://" + tls.Address(),
		"no permission":           "rediss://nobody:x@" + tls.Address() + "?ca=" + tls.CA,
		"no such master":          "redis://" + locked.Address() + "?master=none",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openDown(t, dsn)
			defer s.Close()
			for range 10 {
				_, look := s.Look(t.Context(), uuid.New())
				_, claim := s.Claim(t.Context(), uuid.New(), storetest.NewClaimant(), 0)
				create := storetest.TryCreate(s, uuid.New(), []byte("x"), store.Secret{TTL: storetest.Life})
				_, count := s.Count(t.Context())
				token := s.PutToken(t.Context(), store.TokenHash{}, store.Token{Kind: store.UserToken, TTL: time.Hour})
				for what, err := range map[string]error{
					"Look": look, "Claim": claim, "Create": create, "Count": count, "PutToken": token, "Check": s.Check(t.Context()),
				} {
					if !errors.Is(err, store.ErrDown) {
						t.Errorf("%s gives %v", what, err)
					} else if strings.Contains(err.Error(), "wrong") {
						t.Errorf("%s gives the password away: %v", what, err)
					}
				}
				time.Sleep(100 * time.Millisecond)
			}
		})
	}
}

func TestAStalledValkeyHoldsUpNobodyForLong(t *testing.T) {
	server := valkeytest.Standalone(t, nil)
	s := open(t, server.DSN())
	defer s.Close()
	id := storetest.Create(t, s, []byte("patience"), storetest.Life)
	before := runtime.NumGoroutine()
	for range 5 {
		server.Pause()
		var all sync.WaitGroup
		for range 2000 {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if _, err := s.Claim(ctx, uuid.New(), storetest.NewClaimant(), 0); !errors.Is(err, store.ErrDown) {
					t.Errorf("claiming gives %v", err)
				}
			})
		}
		all.Wait()
		server.Resume()
		storetest.Eventually(t, "it is back", func() bool { return s.Check(t.Context()) == nil })
	}
	storetest.Eventually(t, "what waited has gone", func() bool { return runtime.NumGoroutine() < before+20 })
	if got := takeInTheEnd(t, s, id); string(got) != "patience" {
		t.Errorf("%q comes", got)
	}
}

func TestALoadingValkeyIsDownUntilItHasLoaded(t *testing.T) {
	server := valkeytest.Standalone(t, nil)
	s := open(t, server.DSN())
	defer s.Close()
	id := storetest.Create(t, s, []byte("kept"), storetest.Life)
	server.MustCommand("EVAL", "for i = 1, 20000 do redis.call('SET', 'other' .. i, i) end", "0")
	server.MustCommand("BGREWRITEAOF") // it tells that it is loading only between the parts of a file
	storetest.Eventually(t, "the file is rewritten", func() bool {
		state := server.MustCommand("INFO", "persistence")
		return strings.Contains(state, "aof_rewrite_in_progress:0") && strings.Contains(state, "aof_rewrite_scheduled:0")
	})
	server.Stop()
	configuration := filepath.Join(server.Dir, "server.conf")
	text, err := os.ReadFile(configuration)
	if err != nil {
		t.Fatal(err)
	}
	slow := "key-load-delay 100\nloading-process-events-interval-bytes 1024\n"
	if err := os.WriteFile(configuration, append(text, slow...), 0o600); err != nil {
		t.Fatal(err)
	}
	started := make(chan error)
	go func() { started <- server.TryStart() }() // returns when it has loaded
	storetest.Eventually(t, "it is loading, and down", func() bool {
		err := s.Check(t.Context())
		return errors.Is(err, store.ErrDown) && strings.Contains(err.Error(), "LOADING")
	})
	if _, err := storetest.Take(s, id); !errors.Is(err, store.ErrDown) {
		t.Errorf("taking while it loads gives %v", err)
	}
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	if got := takeInTheEnd(t, s, id); string(got) != "kept" {
		t.Errorf("%q comes", got)
	}
}

func TestAReplicaConfirmsWhatIsOnItsDisk(t *testing.T) {
	servers := valkeytest.WithSentinels(t)
	s := open(t, servers.DSN())
	defer s.Close()
	create := func() error {
		return storetest.TryCreate(s, uuid.New(), []byte("confirmed"), store.Secret{TTL: storetest.Life})
	}
	storetest.Eventually(t, "creating is confirmed", func() bool { return create() == nil })
	for range 100 {
		_ = create()
	}
	replica := servers.Replicas()[0]
	replica.MustCommand("CONFIG", "SET", "rdb-key-save-delay", "30000") // µs a key: its file takes some seconds
	replica.MustCommand("CONFIG", "SET", "appendonly", "no")
	replica.MustCommand("CONFIG", "SET", "appendonly", "yes")
	if state := servers.Primary().MustCommand("WAIT", "2", "1000"); state != "2" {
		t.Fatalf("%s replicas have everything in memory, not 2", state)
	}
	if err := create(); !errors.Is(err, store.ErrDown) {
		t.Errorf("creating, while a replica has in memory alone what it would confirm, gives %v", err)
	}
	storetest.Eventually(t, "its file is written", func() bool { return create() == nil })
}

func TestAReplicaThatHungForASecondConfirmsInTime(t *testing.T) {
	primary, replica := valkeytest.WithReplica(t)
	s := open(t, primary.DSN())
	defer s.Close()
	const rounds = 8
	confirmed := 0
	for range rounds {
		replica.Pause()
		resumed := make(chan struct{})
		time.AfterFunc(1100*time.Millisecond, func() { replica.Resume(); close(resumed) })
		if err := storetest.TryCreate(s, uuid.New(), []byte("x"), store.Secret{TTL: storetest.Life}); err == nil {
			confirmed++
		}
		<-resumed
	}
	if confirmed < rounds-1 {
		t.Errorf("it confirmed %d of %d secrets", confirmed, rounds)
	}
}

func TestAReplicaWithoutADiskConfirmsWithItsMemory(t *testing.T) {
	servers := valkeytest.WithSentinels(t)
	for _, replica := range servers.Replicas() {
		replica.MustCommand("CONFIG", "SET", "appendonly", "no")
	}
	s := open(t, servers.DSN())
	defer s.Close()
	for range 20 {
		if err := storetest.TryCreate(s, uuid.New(), []byte("x"), store.Secret{TTL: storetest.Life}); err != nil {
			t.Errorf("creating gives %v", err)
		}
	}
}

func TestAValkeyThatDoesNotWaitForDisksIsNamedAndUsed(t *testing.T) {
	primary, _ := valkeytest.WithReplica(t)
	primary.MustCommand("ACL", "SETUSER", "default", "-waitaof")
	found := make(chan string, 100)
	s := open(t, primary.DSN(), func(o *valkey.Options) { o.Unsafe = func(finding string) { found <- finding } })
	defer s.Close()
	if finding := <-found; !strings.Contains(finding, "WAITAOF") {
		t.Errorf("it says %q", finding)
	}
	storetest.Create(t, s, []byte("x"), storetest.Life)
}
