package embedded

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/uuid"

	"hakanai/store"
	"hakanai/store/storetest"
)

var guessFrom = store.Origin{Near: netip.MustParsePrefix("192.0.2.0/24"), Wide: netip.MustParsePrefix("192.0.0.0/16")}

// guess makes one, and tells whether it is heard.
func guess(t *testing.T, s *Store, id store.ID, limits store.AttemptLimits) bool {
	t.Helper()
	wait, err := s.Attempt(t.Context(), id, guessFrom, limits)
	if err != nil {
		t.Fatal(err)
	}
	return wait == 0
}

// counters is how many counters of guesses the index holds, and how many ends there are for anything.
func counters(t *testing.T, s *Store) (guesses, ends int) {
	t.Helper()
	err := s.index.view(func(tx *indexTx) error {
		guesses, ends = tx.guesses.Stats().KeyN, tx.ends.Stats().KeyN
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return guesses, ends
}

func TestARestartForgivesNoGuess(t *testing.T) {
	dir, id := t.TempDir(), uuid.New()
	limits := store.AttemptLimits{Near: 3, NearWindow: time.Minute, All: 100, AllWindow: time.Hour}
	s := open(t, dir)
	for range 3 {
		if !guess(t, s, id, limits) {
			t.Fatal("a guess within the limit is not heard")
		}
	}
	closeStore(t, s)
	s = open(t, dir)
	defer closeStore(t, s)
	if guess(t, s, id, limits) {
		t.Error("after a restart more guesses are heard")
	}
}

func TestARefusedGuessWritesNothing(t *testing.T) {
	s := open(t, t.TempDir())
	defer closeStore(t, s)
	id, limits := uuid.New(), store.AttemptLimits{Near: 1, NearWindow: time.Minute, All: 100, AllWindow: time.Hour}
	if !guess(t, s, id, limits) {
		t.Fatal("the first guess is not heard")
	}
	writes := func() int64 { stats := s.index.db.Stats().TxStats; return stats.GetWrite() }
	before := writes()
	for range 100 {
		if guess(t, s, id, limits) {
			t.Fatal("a guess over the limit is heard")
		}
	}
	if after := writes(); after != before {
		t.Errorf("100 refused guesses made %d writes", after-before)
	}
}

func TestGuessesLeaveNothing(t *testing.T) {
	s := open(t, t.TempDir())
	defer closeStore(t, s)
	limits := store.AttemptLimits{Near: 1, NearWindow: 20 * time.Millisecond, All: 100, AllWindow: 50 * time.Millisecond}
	id := uuid.New()
	for range 20 { // windows that begin again before and after the sweeper has been there
		guess(t, s, id, limits)
		guess(t, s, uuid.New(), limits)
		time.Sleep(15 * time.Millisecond)
	}
	storetest.Eventually(t, "nothing is left of them", func() bool {
		guesses, ends := counters(t, s)
		return guesses == 0 && ends == 0
	})
}

func FuzzGuesses(f *testing.F) {
	f.Add(encodeGuesses(guesses{n: 5, ends: 1 << 40}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if g, err := decodeGuesses(b); err == nil && string(encodeGuesses(g)) != string(b) {
			t.Errorf("%x is read as %+v", b, g)
		}
	})
}
