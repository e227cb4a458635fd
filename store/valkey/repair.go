package valkey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	repairEvery = 200 * time.Millisecond
	// repairsAtOnce bounds how many are made at the same time: one that fails must not hold up the others.
	repairsAtOnce = 32
	// flushTime bounds how long a store that closes goes on with them.
	flushTime = 10 * time.Second
	// maxRepairs bounds what waits to be undone. What fails fast while Valkey is down adds nothing to it.
	maxRepairs = 100_000
)

// repairs undo what was done without an answer, or without the replicas' confirmation, as soon as Valkey can: claims,
// so that nobody finds a secret gone that nobody had, and commits of secrets that nobody knows of.
type repairs struct {
	store *Store

	mu      sync.Mutex
	waiting []repair
	undoing map[string]int // names of secrets with claims that wait to be undone
	kick    chan struct{}
}

// repair is one of them.
type repair struct {
	call  call
	claim string    // the secret's name, when it is a claim
	until time.Time // when there is nothing left to undo
	made  bool
}

var errTooManyRepairs = errors.New("too much waits to be undone already: a secret that nobody had may be gone")

func newRepairs(s *Store) *repairs {
	return &repairs{store: s, undoing: make(map[string]int), kick: make(chan struct{}, 1)}
}

// add makes sure that a call is made.
func (r *repairs) add(fix repair) {
	fix.call.durable = true
	r.mu.Lock()
	full := len(r.waiting) >= maxRepairs
	if !full {
		r.waiting = append(r.waiting, fix)
		if fix.claim != "" {
			r.undoing[fix.claim]++
		}
	}
	r.mu.Unlock()
	if full {
		r.store.options.Report(errTooManyRepairs)
		return
	}
	select {
	case r.kick <- struct{}{}:
	default:
	}
}

// pending tells whether a claim of the secret waits to be undone: then it is not known to be gone.
func (r *repairs) pending(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.undoing[name] > 0
}

func (r *repairs) run(ctx context.Context) {
	ticker := time.NewTicker(repairEvery)
	defer ticker.Stop()
	for {
		select {
		case <-r.kick:
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil && r.round() {
		}
	}
}

// round makes some of the repairs that wait, and tells whether all of these are made and others wait. What cannot be made
// yet goes to the end: in a Cluster another part may be well.
func (r *repairs) round() bool {
	r.mu.Lock()
	n := min(len(r.waiting), repairsAtOnce)
	round := slices.Clone(r.waiting[:n])
	r.waiting = slices.Delete(r.waiting, 0, n)
	r.mu.Unlock()
	var all sync.WaitGroup
	for i := range round {
		all.Go(func() { round[i].made = r.make(round[i]) })
	}
	all.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, fix := range round {
		switch {
		case !fix.made:
			r.waiting = append(r.waiting, fix)
			n--
		case fix.claim != "":
			if r.undoing[fix.claim]--; r.undoing[fix.claim] == 0 {
				delete(r.undoing, fix.claim)
			}
		}
	}
	return n == len(round) && len(r.waiting) > 0
}

// make makes a repair, and tells whether it need not be tried again.
func (r *repairs) make(fix repair) bool {
	_, err := r.store.run(context.Background(), fix.call)
	if err != nil && time.Now().Before(fix.until) {
		return false
	}
	if err != nil {
		r.store.options.Report(fmt.Errorf("giving up to undo what had no answer: %w", err))
	}
	return true
}

// flush makes what it can of the repairs that wait, and tells how many are left.
func (r *repairs) flush() error {
	for until := time.Now().Add(flushTime); time.Now().Before(until) && r.round(); {
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.waiting); n > 0 {
		return fmt.Errorf("%d claims or commits without an answer could not be undone", n)
	}
	return nil
}
