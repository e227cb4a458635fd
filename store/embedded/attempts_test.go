package embedded

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
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

// counters is how many counters of guesses the index holds, and how many records in all.
func counters(t *testing.T, s *Store) (guesses, records int) {
	t.Helper()
	s.index.mu.RLock()
	defer s.index.mu.RUnlock()
	return len(s.index.guesses), inUse(s.index)
}

// inUse is how many places hold a record, the time's apart.
func inUse(x *index) int { return int(x.places) - len(x.free) - 1 }

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
	dir := t.TempDir()
	s := open(t, dir)
	defer closeStore(t, s)
	id, limits := uuid.New(), store.AttemptLimits{Near: 1, NearWindow: time.Minute, All: 100, AllWindow: time.Hour}
	if !guess(t, s, id, limits) {
		t.Fatal("the first guess is not heard")
	}
	before, err := os.ReadFile(filepath.Join(dir, indexName))
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if guess(t, s, id, limits) {
			t.Fatal("a guess over the limit is heard")
		}
	}
	if after, err := os.ReadFile(filepath.Join(dir, indexName)); err != nil || !bytes.Equal(after, before) {
		t.Errorf("100 refused guesses have changed the index (%v)", err)
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
		guesses, records := counters(t, s)
		return guesses == 0 && records == 0
	})
}
