package telemetry

import (
	"context"
	"time"

	"hakanai/store"
)

// What is written and read in pieces is observed as one operation for each secret: its span lasts from the first piece to
// the last, the caller's pauses included, and its duration is what the store took of that.

// transfer sums up the pieces.
type transfer struct {
	call  call
	begun bool
	took  time.Duration
	err   error
}

// piece observes one piece.
func (t *transfer) piece(ctx context.Context, o *operation, move func() (int, error)) (int, error) {
	if !t.begun {
		_, t.call = o.begin(ctx)
		t.begun = true
	}
	start := time.Now()
	n, err := move()
	t.took += time.Since(start)
	t.err = err
	return n, err
}

func (t *transfer) end() {
	if t.begun {
		t.call.endAfter(t.took, t.err)
	}
	t.begun = false
}

// observedDraft implements store.Draft.
type observedDraft struct {
	inner     store.Draft
	store     *observedStore
	ctx       context.Context // of the draft: pieces have none
	written   transfer
	size      int64
	committed bool
}

// Write implements store.Draft.
func (d *observedDraft) Write(p []byte) (int, error) {
	n, err := d.written.piece(d.ctx, &d.store.write, func() (int, error) { return d.inner.Write(p) })
	d.size += int64(n)
	return n, err
}

// Commit implements store.Draft.
func (d *observedDraft) Commit(ctx context.Context, secret store.Secret) error {
	d.written.end()
	ctx, c := d.store.commit.begin(ctx)
	err := d.inner.Commit(ctx, secret)
	c.end(err)
	if err == nil {
		d.committed = true
		d.store.metrics.Created(d.size, secret.TTL)
	}
	return err
}

// Discard implements store.Draft. After a commit there is nothing to discard, and nothing to observe.
func (d *observedDraft) Discard() {
	d.written.end()
	if d.committed {
		d.inner.Discard()
		return
	}
	_, c := d.store.discard.begin(d.ctx)
	d.inner.Discard()
	c.end(nil)
}

// observedClaim implements store.Claim.
type observedClaim struct {
	inner store.Claim
	store *observedStore
	ctx   context.Context // of the claim: pieces have none
	read  transfer
}

// Read implements store.Claim.
func (c *observedClaim) Read(p []byte) (int, error) {
	return c.read.piece(c.ctx, &c.store.read, func() (int, error) { return c.inner.Read(p) })
}

// Undo implements store.Claim.
func (c *observedClaim) Undo(ctx context.Context) error {
	c.read.end()
	ctx, undo := c.store.undo.begin(ctx)
	err := c.inner.Undo(ctx)
	undo.end(err)
	return err
}

// Release implements store.Claim.
func (c *observedClaim) Release() error {
	c.read.end()
	_, release := c.store.release.begin(c.ctx)
	err := c.inner.Release()
	release.end(err)
	return err
}

// Size implements store.Claim.
func (c *observedClaim) Size() int64 { return c.inner.Size() }

// First implements store.Claim.
func (c *observedClaim) First() bool { return c.inner.First() }

// Lease implements store.Claim.
func (c *observedClaim) Lease() time.Duration { return c.inner.Lease() }

// SeekTo implements store.Claim.
func (c *observedClaim) SeekTo(offset int64) error { return c.inner.SeekTo(offset) }
