//go:build unix

package valkey_test

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"time"

	"hakanai/store"
	"hakanai/store/storetest"
	"hakanai/store/valkey"
	"hakanai/store/valkey/valkeytest"

	"github.com/google/uuid"
)

// takeInTheEnd takes a secret that may wait to be given back, and tells what there was.
func takeInTheEnd(t *testing.T, s store.Store, id store.ID) []byte {
	t.Helper()
	var got []byte
	storetest.Eventually(t, "the secret can be taken", func() (ok bool) {
		b, err := storetest.Take(s, id)
		got = b
		return err == nil
	})
	return got
}

func TestALostReplyToAClaimDeliversTheSecretOnceOrLeavesIt(t *testing.T) {
	t.Run("alone", func(t *testing.T) { loseClaims(t, valkeytest.Standalone(t, nil), 1000) })
	t.Run("with a replica that confirms", func(t *testing.T) {
		primary, _ := valkeytest.WithReplica(t)
		loseClaims(t, primary, 300)
	})
}

func loseClaims(t *testing.T, server *valkeytest.Server, times int) {
	p := startProxy(t, server.Address())
	s := open(t, p.dsn())
	defer s.Close()
	delivered, left := 0, 0
	for i := range times {
		ciphertext := storetest.Bytes([]int{10, 5_000, 50_000, 300_000}[i%4])
		id := storetest.Create(t, s, ciphertext, storetest.Life)
		p.loseReplies(valkey.ClaimScript, 1)
		got, err := storetest.Take(s, id)
		if err == nil {
			delivered++
		} else {
			left++
			got = takeInTheEnd(t, s, id)
		}
		if !bytes.Equal(got, ciphertext) {
			t.Fatalf("%d: other bytes come", i)
		}
		if _, err := storetest.Take(s, id); !errors.Is(err, store.ErrGone) {
			t.Fatalf("%d: once more: %v", i, err)
		}
	}
	storetest.Report(t, "%d replies lost: %d secrets delivered all the same, %d left", p.lost.Load(), delivered, left)
	if p.lost.Load() != int64(times) {
		t.Errorf("%d replies were lost, not %d", p.lost.Load(), times)
	}
}

func TestAClaimWithoutAnyReplyIsUndone(t *testing.T) {
	p := startProxy(t, valkeytest.Standalone(t, nil).Address())
	s := open(t, p.dsn())
	defer s.Close()
	const secrets = 100
	var ids [secrets]store.ID
	for i := range ids {
		ids[i] = storetest.Create(t, s, []byte("still there"), storetest.Life)
	}
	p.loseReplies(valkey.ClaimScript, 1<<30)
	var all sync.WaitGroup
	for _, id := range ids {
		all.Go(func() {
			if _, err := storetest.Take(s, id); !errors.Is(err, store.ErrDown) {
				t.Errorf("a claim without a reply gives %v", err)
			}
		})
	}
	all.Wait()
	p.loseReplies("", 0)
	for _, id := range ids {
		if got := takeInTheEnd(t, s, id); string(got) != "still there" {
			t.Errorf("%q comes", got)
		}
		storetest.Eventually(t, "it is gone", func() bool { // until the undoing has been tried, that is not certain
			_, err := storetest.Take(s, id)
			if err == nil {
				t.Error("it comes twice")
			}
			return errors.Is(err, store.ErrGone)
		})
	}
}

func TestALostReplyToAnythingElseIsHarmless(t *testing.T) {
	primary, _ := valkeytest.WithReplica(t)
	p := startProxy(t, primary.Address())
	s := open(t, p.dsn())
	defer s.Close()
	for i := range 100 {
		ciphertext := storetest.Bytes(300_000)
		p.loseReplies(valkey.AppendScript, 1)
		id := storetest.Create(t, s, ciphertext, storetest.Life)
		claim, err := s.Claim(t.Context(), id, storetest.NewClaimant(), 0)
		if err != nil {
			t.Fatal(err)
		}
		p.loseReplies(valkey.UndoScript, 1)
		if err := claim.Undo(t.Context()); err != nil {
			t.Errorf("undoing: %v", err)
		}
		if got := takeInTheEnd(t, s, id); !bytes.Equal(got, ciphertext) {
			t.Fatal("other bytes come")
		}
		p.loseReplies(valkey.PutTokenScript, 1)
		hash := store.TokenHash{byte(i)}
		if err := s.PutToken(t.Context(), hash, store.Token{Kind: store.UserToken, TTL: time.Hour}); err != nil {
			t.Errorf("storing a token: %v", err)
		}
		if _, err := s.Token(t.Context(), store.UserToken, hash); err != nil {
			t.Errorf("the token: %v", err)
		}
	}
	if p.lost.Load() != 300 {
		t.Errorf("%d replies were lost, not 300", p.lost.Load())
	}
}

func TestALostReplyToACommitLeavesOneSecretOrNone(t *testing.T) {
	server := valkeytest.Standalone(t, nil)
	p := startProxy(t, server.Address())
	s := open(t, p.dsn())
	defer s.Close()
	for i := range 200 {
		ciphertext := storetest.Bytes([]int{10, 300_000}[i%2])
		id := uuid.New()
		p.loseReplies(valkey.CommitScript, 1)
		err := storetest.TryCreate(s, id, ciphertext, store.Secret{TTL: storetest.Life})
		if err != nil {
			t.Fatalf("%d: creating: %v", i, err)
		}
		if got, err := storetest.Take(s, id); err != nil || !bytes.Equal(got, ciphertext) {
			t.Fatalf("%d: taking: %v", i, err)
		}
	}
	p.loseReplies(valkey.CommitScript, 1<<30)
	id := uuid.New()
	if err := storetest.TryCreate(s, id, storetest.Bytes(300_000), store.Secret{TTL: storetest.Life}); !errors.Is(err, store.ErrDown) {
		t.Errorf("a commit without a reply gives %v", err)
	}
	p.loseReplies("", 0)
	storetest.Eventually(t, "what was not acknowledged is removed", func() bool {
		counts, err := s.Count(t.Context())
		return err == nil && counts.Secrets == 0 && server.MustCommand("--scan", "--pattern", "*secret*") == "" &&
			server.MustCommand("--scan", "--pattern", "*draft*") == ""
	})
	time.Sleep(100 * time.Millisecond)
	if _, err := storetest.Take(s, id); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("taking it gives %v", err)
	}
}
