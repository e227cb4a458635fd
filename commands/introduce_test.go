package commands

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"hakanai/store"
	"hakanai/store/storetest"
)

// reluctant is a store that takes a first token only when it has been asked often enough.
type reluctant struct {
	store.Store
	mu      sync.Mutex
	refuses int
	asked   map[store.TokenKind][]store.TokenHash
}

func (r *reluctant) PutFirstToken(_ context.Context, hash store.TokenHash, token store.Token) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked[token.Kind] = append(r.asked[token.Kind], hash)
	if len(r.asked[token.Kind]) <= r.refuses {
		return false, fmt.Errorf("a disk: %w", store.ErrFull)
	}
	return true, nil
}

// lockedBuffer is a buffer for several to write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestFirstTokensAreOfferedUntilTheyAreTaken(t *testing.T) {
	shown, logged := new(lockedBuffer), new(lockedBuffer)
	secrets := &reluctant{refuses: 2, asked: make(map[store.TokenKind][]store.TokenHash)}
	stop, err := (&program{err: shown}).introduce(t.Context(), zerolog.New(logged), secrets, "http://localhost", true)
	if err != nil {
		t.Fatal(err)
	}
	storetest.Eventually(t, "both tokens are shown", func() bool { return strings.Count(shown.String(), "shown this once") == 2 })
	time.Sleep(2 * introduceAgain)
	stop()
	for kind, hashes := range secrets.asked {
		if len(hashes) != 3 || hashes[0] != hashes[1] || hashes[1] != hashes[2] {
			t.Errorf("of the kind %c, %x are offered: not the same one, until it is taken", kind, hashes)
		}
	}
	if n := strings.Count(logged.String(), "the store is full"); n < 1 || n > 2 {
		t.Errorf("the log says %d times why not: %s", n, logged)
	}
}
