package embedded

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"hakanai/store"
)

// op is one change of the index. When it fails it must not have changed anything, unless the index has failed.
type op struct {
	run     func() error
	segment *segment // a new blob in it must be durable first, and its name
}

// job is an op that waits for its result.
type job struct {
	op
	result error
	done   chan error
}

const (
	// maxBatch bounds a batch, so that the first in it does not wait long for the last.
	maxBatch = 256
	// mostPlaces is how many records an op adds at most.
	mostPlaces = 3
	// growAgain is how long a full disk is not asked for room again.
	growAgain = time.Second
)

// writer makes changes durable in groups: all that have come in while the last group was being synced share the next.
type writer struct {
	index  *index
	blobs  *blobs
	clock  *clock
	report func(error)
	full   time.Time // when the index could last not grow

	jobs   chan *job
	mu     sync.RWMutex // held for writing while jobs is being closed
	closed bool
	done   sync.WaitGroup
}

var errClosed = errors.New("the store is closed")

func startWriter(x *index, b *blobs, c *clock, report func(error)) *writer {
	w := &writer{index: x, blobs: b, clock: c, report: report, jobs: make(chan *job, maxBatch)}
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
	well := w.index.failed == nil
	if well {
		w.syncBlobs(batch)
		w.grow(batch)
		w.run(batch)
	}
	if err := w.index.sync(); err != nil {
		err = fmt.Errorf("%w: %w; only a new start can tell what is on the disk", store.ErrDown, err)
		for _, j := range batch {
			j.result = err
		}
		if well {
			w.report(err)
		}
	}
}

// grow makes room for what a batch may add. A full disk is not asked each time, unless there is a new secret; and whoever
// needs room is told.
func (w *writer) grow(batch []*job) {
	isNew := func(j *job) bool { return j.segment != nil }
	if time.Since(w.full) < growAgain && !slices.ContainsFunc(batch, isNew) {
		return
	}
	err := w.blobs.segments.withRoom(func() error { return w.index.grow(maxBatch * mostPlaces) })
	if errors.Is(err, store.ErrFull) {
		w.full = time.Now()
	} else if err != nil {
		w.report(err)
	}
}

// syncBlobs makes durable what new records will point to. A segment of one blob has been synced.
func (w *writer) syncBlobs(batch []*job) {
	synced := make(map[*segment]error, 2)
	names := sync.OnceValue(w.blobs.sync)
	for _, j := range batch {
		if j.segment == nil {
			continue
		}
		err, done := synced[j.segment]
		if !done {
			if !j.segment.own() {
				err = w.blobs.segments.sync(j.segment)
			}
			if err == nil && !j.segment.named {
				err = names()
				j.segment.named = err == nil
			}
			synced[j.segment] = err
		}
		j.result = err
	}
}

func (w *writer) run(batch []*job) {
	w.index.mu.Lock()
	defer w.index.mu.Unlock()
	for _, j := range batch {
		if j.result == nil {
			j.result = j.run()
		}
	}
	_ = w.index.putClock(w.clock.certain()) // the index keeps the error
}
