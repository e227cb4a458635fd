package embedded

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"hakanai/store"
)

// attempts counts guesses at passphrases, in memory: a restart forgets them, and nobody but the operator restarts. There
// are never more counters than the limits let guesses pass: who is refused is not counted.
type attempts struct {
	mu       sync.Mutex
	counters map[attemptKey]*counter
	swept    time.Time
}

// attemptKey names a counter: of all guesses at a secret, or, with a network, of those from there.
type attemptKey struct {
	id   store.ID
	from netip.Prefix
}

type counter struct {
	guesses int
	ends    time.Time
}

// Attempt implements store.Store.
func (s *Store) Attempt(
	_ context.Context, id store.ID, from netip.Prefix, limits store.AttemptLimits,
) (wait time.Duration, err error) {
	a, now := &s.attempts, time.Now() // a monotonic clock: no jump of the wall clock opens a window
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sweep(now)
	all, near := attemptKey{id: id}, attemptKey{id, from}
	wait = max(a.wait(all, limits.All, now), a.wait(near, limits.Near, now))
	if wait > 0 {
		return wait, nil
	}
	a.count(all, now, limits.AllWindow)
	a.count(near, now, limits.NearWindow)
	return 0, nil
}

// Forgive implements store.Store.
func (s *Store) Forgive(_ context.Context, id store.ID, from netip.Prefix) error {
	a := &s.attempts
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, key := range []attemptKey{{id: id}, {id, from}} {
		if c := a.counters[key]; c != nil && c.guesses > 0 {
			c.guesses--
		}
	}
	return nil
}

func (a *attempts) wait(key attemptKey, limit int, now time.Time) time.Duration {
	c := a.counters[key]
	if c == nil || !c.ends.After(now) || c.guesses < limit {
		return 0
	}
	return c.ends.Sub(now)
}

func (a *attempts) count(key attemptKey, now time.Time, window time.Duration) {
	c := a.counters[key]
	if c == nil || !c.ends.After(now) {
		if a.counters == nil {
			a.counters = make(map[attemptKey]*counter)
		}
		c = &counter{ends: now.Add(window)}
		a.counters[key] = c
	}
	c.guesses++
}

// sweep forgets the windows that are over, now and then.
func (a *attempts) sweep(now time.Time) {
	if now.Sub(a.swept) < time.Second {
		return
	}
	a.swept = now
	for key, c := range a.counters {
		if !c.ends.After(now) {
			delete(a.counters, key)
		}
	}
}
