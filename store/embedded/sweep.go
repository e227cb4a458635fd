package embedded

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	sweepEvery = time.Second
	sweepBatch = 200
	// noteClockEvery is how often the time is written down while nothing else is: after a crash, no secret can have
	// been prolonged by more, whatever the wall clock says then.
	noteClockEvery = 10 * time.Second
)

// sweep removes what has ended, until ctx is done.
func (s *Store) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	noted := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := errors.Join(s.removeEnded(ctx), s.blobs.segments.tidy())
		if time.Since(noted) >= noteClockEvery && s.secrets.Load() > 0 {
			noted = time.Now()
			err = errors.Join(err, s.Check(ctx))
		}
		if err != nil && ctx.Err() == nil {
			s.report(fmt.Errorf("removing what has expired: %w", err))
		}
	}
}

// removeEnded removes all that has ended by the time that is certain, a bounded number at a time. A ciphertext that cannot
// be removed is no reason to keep others.
func (s *Store) removeEnded(ctx context.Context) error {
	var failed error
	for ctx.Err() == nil {
		due := false
		_ = s.index.view(func() error { due = s.index.due(s.clock.certain()); return nil }) // never fails
		if !due {
			break
		}
		var removed removal
		err := s.writer.do(ctx, op{run: func() error {
			removed = removal{}
			return s.removeBatch(&removed)
		}})
		if err != nil {
			return errors.Join(failed, err)
		}
		s.secrets.Add(-removed.secrets)
		s.ended(int(removed.secrets))
		if removed.token {
			s.tokens.Store(removed.tokens)
		}
		for _, blob := range removed.blobs {
			failed = errors.Join(failed, s.blobs.discard(blob))
		}
		failed = errors.Join(failed, removed.damage)
	}
	return failed
}

// due tells whether there is anything to look at.
func (x *index) due(now int64) bool { return len(x.ends) > 0 && x.ends[0].at <= now }

// removal is what a batch has removed.
type removal struct {
	blobs   []secret // of which the key is gone
	secrets int64    // live ones that there are less
	token   bool     // one was among it
	tokens  int64    // then, live ones that are left
	damage  error    // what could not be read, and stays
}

// removeBatch removes what the first ends that are due stand for, if it has not changed since.
func (s *Store) removeBatch(removed *removal) error {
	now := s.clock.certain() // one time for all: what is due by it has ended by it
	for range sweepBatch {
		if !s.index.due(now) {
			break
		}
		number := heap.Pop(&s.index.ends).(end).number
		record, err := s.index.read(number)
		if err == nil {
			err = s.removeOne(record, number, now, removed)
		}
		if err != nil {
			removed.damage = errors.Join(removed.damage, err)
		}
	}
	if removed.token {
		removed.tokens = s.countTokens()
	}
	return s.index.failed
}

// forget removes a name from memory, unless it is in use anew (see loadOne).
func forget[Name comparable](places map[Name]uint32, name Name, number uint32) {
	if places[name] == number {
		delete(places, name)
	}
}

// removeOne removes what has ended in one record. Error: errDamaged, and the index' own.
func (s *Store) removeOne(record raw, number uint32, now int64, removed *removal) error {
	x := s.index
	switch record.kind() {
	case ofSecret:
		r, err := decodeSecret(&record, number)
		if err != nil {
			return err
		}
		if r.expires > now && (r.leaseEnds == 0 || r.leaseEnds > now) {
			return nil
		}
		if r.readable() {
			removed.blobs = append(removed.blobs, r)
		}
		if r.expires > now {
			return s.endTheLease(r, number)
		}
		if r.state == live {
			removed.secrets++
		}
		if r.readable() {
			x.charge(r, -1)
		}
		forget(x.secrets, r.name, number)
		return x.remove(number)
	case ofToken:
		t, err := decodeToken(&record, number)
		if err != nil || t.expires > now {
			return err
		}
		removed.token = true
		forget(x.tokens, t.hash, number)
		return x.remove(number)
	case ofGuesses:
		g, err := decodeGuesses(&record, number)
		if err != nil || g.ends > now {
			return err
		}
		forget(x.guesses, g.key, number)
		return x.remove(number)
	case noRecord, ofTheClock: // it went before its time
	}
	return nil
}
