package embedded

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"hakanai/store"
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
		err := s.removeEnded(ctx)
		if time.Since(noted) >= noteClockEvery && s.secrets.Load() > 0 {
			noted = time.Now()
			err = errors.Join(err, s.Check(ctx))
		}
		if err != nil && ctx.Err() == nil {
			s.report(fmt.Errorf("removing what has expired: %w", err))
		}
	}
}

// removeEnded removes all that has ended by the time that is certain, a bounded number a transaction. A ciphertext that
// cannot be destroyed is no reason to keep others.
func (s *Store) removeEnded(ctx context.Context) error {
	failed := s.destroyAll(s.doomed.take())
	for ctx.Err() == nil {
		due, err := s.anyDue()
		if err != nil || !due {
			return errors.Join(failed, err)
		}
		var gone []name
		var secrets, tokens int64 // fewer secrets, and as many tokens
		err = s.writer.do(ctx, op{frees: true, run: func(tx *indexTx) (err error) {
			gone, secrets, tokens, err = s.removeBatch(tx)
			return err
		}})
		if err != nil {
			return errors.Join(failed, err)
		}
		s.secrets.Add(-secrets)
		s.ended(int(secrets))
		s.tokens.Store(tokens)
		failed = errors.Join(failed, s.destroyAll(gone))
	}
	return failed
}

// anyDue looks at the one end that comes first.
func (s *Store) anyDue() (due bool, err error) {
	err = s.index.view(func(tx *indexTx) error {
		key, _ := tx.ends.Cursor().First()
		due = len(key) > 9 && int64(binary.BigEndian.Uint64(key)) <= s.clock.certain()
		return nil
	})
	return due, err
}

// removeBatch removes the first ends that are due, and what they stand for. It returns the names of blobs to destroy,
// how many live secrets there are less, and how many live tokens are left.
func (s *Store) removeBatch(tx *indexTx) (gone []name, secrets, tokens int64, err error) {
	limit := binary.BigEndian.AppendUint64(nil, uint64(s.clock.certain()+1))
	cursor := tx.ends.Cursor()
	var ends [][]byte
	for key, _ := cursor.First(); key != nil && bytes.Compare(key, limit) < 0 && len(ends) < sweepBatch; key, _ = cursor.Next() {
		ends = append(ends, bytes.Clone(key))
	}
	for _, end := range ends {
		key := end[9:]
		switch endKind(end[8]) {
		case endSecret:
			n := name(key)
			r, readErr := tx.record(n)
			if readErr == nil && r.state == live {
				secrets++
			}
			if readErr == nil {
				err = errors.Join(err, tx.discharge(r))
			}
			if readErr == nil && r.leaseEnds > 0 {
				err = errors.Join(err, tx.removeEnd(r.leaseEnds, endLease, key))
			}
			err = errors.Join(err, tx.secrets.Delete(key))
			gone = append(gone, n)
		case endLease:
			n := name(key)
			if leaseErr := endTheLease(tx, n); leaseErr != nil && !errors.Is(leaseErr, store.ErrNotFound) {
				err = errors.Join(err, leaseErr)
			}
			gone = append(gone, n)
		case endToken:
			err = errors.Join(err, tx.tokens.Delete(key))
		case endGuess:
			err = errors.Join(err, tx.guesses.Delete(key))
		}
		err = errors.Join(err, tx.ends.Delete(end))
	}
	return gone, secrets, s.countTokens(tx), err
}
