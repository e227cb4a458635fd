//go:build unix

package valkey_test

import (
	"errors"
	"fmt"
	"net/netip"
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

var (
	guessFrom   = store.Origin{Near: netip.MustParsePrefix("192.0.2.0/24"), Wide: netip.MustParsePrefix("192.0.0.0/16")}
	guessLimits = store.AttemptLimits{Near: 5, NearWindow: time.Minute, All: 100, Reserve: 50, AllWindow: time.Hour}
)

func accounted(account byte, quota int64, ttl time.Duration) store.Secret {
	return store.Secret{TTL: ttl, Account: store.Account{account}, Quota: quota}
}

func TestKeysOfGuessesAndAccountsHaveAnEnd(t *testing.T) {
	server := valkeytest.Standalone(t, nil)
	s := open(t, server.DSN())
	defer s.Close()
	id := uuid.New()
	if err := storetest.TryCreate(s, id, []byte("x"), accounted(1, 1<<20, time.Hour)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := s.Attempt(t.Context(), id, guessFrom, guessLimits); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Forgive(t.Context(), id, guessFrom); err != nil {
		t.Fatal(err)
	}
	kinds := make(map[string]int)
	for key := range strings.Lines(server.MustCommand("--scan")) {
		key = strings.TrimSpace(key)
		if end := server.MustCommand("PEXPIRETIME", key); strings.HasPrefix(end, "-") {
			t.Errorf("%s has no end: %s", key, end)
		}
		kind, _, _ := strings.Cut(key[strings.Index(key, "}:")+2:], ":")
		kinds[kind]++
	}
	if kinds["guesses"] != 5 || kinds["members"] != 1 || kinds["charges"] != 1 { // of all, near, wide, and two marks
		t.Errorf("there are keys of the kinds %v", kinds)
	}
	if _, err := storetest.Take(s, id); err != nil {
		t.Fatal(err)
	}
	if left := server.MustCommand("--scan", "--pattern", "*account*"); left != "" {
		t.Errorf("an account with nothing stored leaves %s", left)
	}
}

func TestALostReplyToAnAttemptCountsItOnceOrNotAtAll(t *testing.T) {
	server := valkeytest.Standalone(t, nil)
	p := startProxy(t, server.Address())
	s := open(t, p.dsn())
	defer s.Close()
	id := uuid.New()
	counters := func() (all []string) {
		for key := range strings.Lines(server.MustCommand("--scan", "--pattern", "*guesses*")) {
			if key = strings.TrimSpace(key); !strings.Contains(key, ":mark:") {
				all = append(all, server.MustCommand("GET", key))
			}
		}
		return all
	}
	p.loseReplies(valkey.AttemptScript, 1)
	if wait, err := s.Attempt(t.Context(), id, guessFrom, guessLimits); err != nil || wait != 0 {
		t.Fatalf("the guess waits %s, %v", wait, err)
	}
	if got := fmt.Sprint(counters()); got != "[1 1 1]" || p.lost.Load() != 1 {
		t.Errorf("the counters are %s", got)
	}
	p.loseReplies(valkey.AttemptScript, 1<<30)
	if _, err := s.Attempt(t.Context(), id, guessFrom, guessLimits); !errors.Is(err, store.ErrDown) {
		t.Errorf("without an answer it is %v", err)
	}
	p.loseReplies("", 0)
	storetest.Eventually(t, "what was not answered is taken back", func() bool { return fmt.Sprint(counters()) == "[1 1 1]" })
}

func TestAGuessThatNoReplicaHasIsNotHeard(t *testing.T) {
	primary, replica := valkeytest.WithReplica(t)
	s := open(t, primary.DSN(), func(o *valkey.Options) { o.Replicas = 1 })
	defer s.Close()
	id := uuid.New()
	replica.Pause()
	for range 2 {
		if _, err := s.Attempt(t.Context(), id, guessFrom, guessLimits); !errors.Is(err, store.ErrDown) {
			t.Errorf("it is %v", err)
		}
	}
	replica.Resume()
	storetest.Eventually(t, "five guesses are left", func() bool { // none of the others counts
		heard := 0
		for range 5 {
			if wait, err := s.Attempt(t.Context(), id, guessFrom, guessLimits); err == nil && wait == 0 {
				heard++
			}
		}
		for range heard {
			if err := s.Forgive(t.Context(), id, guessFrom); err != nil {
				t.Error(err)
			}
		}
		return heard == 5
	})
}

func TestALostReplyToAReservationLeavesNothingReserved(t *testing.T) {
	server := valkeytest.Standalone(t, nil)
	p := startProxy(t, server.Address())
	s := open(t, p.dsn())
	defer s.Close()
	p.loseReplies(valkey.ReserveScript, 1)
	id := uuid.New()
	if err := storetest.TryCreate(s, id, []byte("x"), accounted(1, 1<<20, time.Hour)); err != nil || p.lost.Load() != 1 {
		t.Fatal(err)
	}
	if got := server.MustCommand("HGET", members(t, server, "charges"), "sum"); got != strconv.Itoa(store.Overhead+1) {
		t.Errorf("the account is charged %s", got)
	}
	if _, err := storetest.Take(s, id); err != nil {
		t.Fatal(err)
	}
	p.loseReplies(valkey.ReserveScript, 1<<30)
	if err := storetest.TryCreate(s, uuid.New(), []byte("x"), accounted(1, 1<<20, time.Hour)); !errors.Is(err, store.ErrDown) {
		t.Errorf("without an answer it is %v", err)
	}
	if p.lost.Load() < 2 {
		t.Error("no answer was lost, so this test shows nothing")
	}
	p.loseReplies("", 0)
	storetest.Eventually(t, "the share is given back", func() bool {
		return server.MustCommand("--scan", "--pattern", "*account*") == ""
	})
}

// members names the one key of an account of a kind.
func members(t *testing.T, server *valkeytest.Server, kind string) string {
	t.Helper()
	return strings.TrimSpace(server.MustCommand("--scan", "--pattern", "*account*"+kind))
}

func TestHoweverManyHaveExpiredTheirSharesAreFree(t *testing.T) {
	s := open(t, valkeytest.Standalone(t, valkeytest.Settings{"appendfsync": "no"}).DSN())
	defer s.Close()
	const secrets, quota = 3500, 3500 * (store.Overhead + 1)
	var all sync.WaitGroup
	const life = 12 * time.Second // in which all of them are created
	for range 50 {
		all.Go(func() {
			for range secrets / 50 {
				if err := storetest.TryCreate(s, uuid.New(), []byte("x"), accounted(1, quota, life)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	last := storetest.Bytes(quota - store.Overhead)
	if err := storetest.TryCreate(s, uuid.New(), last, accounted(1, quota, time.Hour)); !errors.Is(err, store.ErrQuota) {
		t.Errorf("while they live it is %v", err)
	}
	time.Sleep(life)
	if err := storetest.TryCreate(s, uuid.New(), last, accounted(1, quota, time.Hour)); err != nil {
		t.Errorf("at once after they have expired it is %v", err)
	}
}
