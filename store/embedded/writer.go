package embedded

import (
	"context"
	"errors"
	"fmt"
	"sync"

	bolt "go.etcd.io/bbolt"

	"hakanai/store"
)

// op is one change of the index. It runs inside a transaction that it shares with others, so when it refuses, with one
// of package store's errors, it must not have changed anything; any other error undoes the whole transaction.
type op struct {
	run     func(*indexTx) error
	newBlob bool // names of new blobs must be durable first
	frees   bool // a claim, or what follows it: must work when the disk is full
}

// job is an op that waits for its result.
type job struct {
	op
	result error
	done   chan error
}

// maxBatch bounds a transaction, so that the first in it does not wait long for the last.
const maxBatch = 256

// writer commits changes in groups: all that have come in while the last transaction was being synced share the next.
type writer struct {
	index   *index
	blobs   *blobs
	reserve *reserve
	clock   *clock

	jobs   chan *job
	mu     sync.RWMutex // held for writing while jobs is being closed
	closed bool
	done   sync.WaitGroup
}

var errClosed = errors.New("the store is closed")

func startWriter(x *index, b *blobs, r *reserve, c *clock) *writer {
	w := &writer{index: x, blobs: b, reserve: r, clock: c, jobs: make(chan *job, maxBatch)}
	w.done.Go(w.loop)
	return w
}

// do runs an op and returns when it is durable. A context that ends before the op has begun to wait stops it; later the
// result counts.
func (w *writer) do(ctx context.Context, o op) error {
	j := &job{op: o, done: make(chan error, 1)}
	w.mu.RLock()
	if w.closed {
		w.mu.RUnlock()
		return errClosed
	}
	select {
	case w.jobs <- j:
		w.mu.RUnlock()
	case <-ctx.Done():
		w.mu.RUnlock()
		return ctx.Err()
	}
	return <-j.done
}

func (w *writer) close() {
	w.mu.Lock()
	w.closed = true
	close(w.jobs)
	w.mu.Unlock()
	w.done.Wait()
}

func (w *writer) loop() {
	batch := make([]*job, 0, maxBatch)
	for first := range w.jobs {
		batch = append(batch[:0], first)
		for more := true; more && len(batch) < maxBatch; {
			select {
			case j, open := <-w.jobs:
				if more = open; open {
					batch = append(batch, j)
				}
			default:
				more = false
			}
		}
		w.commit(batch)
		for _, j := range batch {
			j.done <- j.result
		}
	}
}

// commit runs a batch and leaves each job its result.
func (w *writer) commit(batch []*job) {
	err := w.try(batch)
	if errors.Is(err, store.ErrFull) {
		// What frees room goes first, into room that was kept for it. The rest is refused.
		var freeing []*job
		for _, j := range batch {
			if j.result = err; j.frees {
				freeing = append(freeing, j)
			}
		}
		if len(freeing) > 0 {
			w.reserve.release()
			batch, err = freeing, w.try(freeing)
		}
	}
	if err != nil {
		for _, j := range batch {
			j.result = err
		}
	}
}

// try runs a batch in one transaction. An error means that nothing of it has happened.
func (w *writer) try(batch []*job) error {
	for _, j := range batch {
		if j.newBlob {
			if err := w.blobs.sync(); err != nil {
				return fmt.Errorf("syncing the directory of ciphertexts: %w", diskError(err))
			}
			break
		}
	}
	return diskError(guard(func() error {
		return w.index.db.Update(func(tx *bolt.Tx) error {
			itx := newIndexTx(tx)
			for _, j := range batch {
				if j.result = j.run(itx); j.result != nil && !isRefusal(j.result) {
					return j.result
				}
			}
			return itx.putClock(w.clock.certain())
		})
	}))
}

// isRefusal tells whether an op's error concerns that op alone.
func isRefusal(err error) bool {
	for _, refusal := range []error{store.ErrNotFound, store.ErrGone, store.ErrExists, store.ErrQuota, store.ErrUsedUp, store.ErrLook, store.ErrClockJump, errDamaged} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}
