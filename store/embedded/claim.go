package embedded

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"hakanai/store"
)

// Look implements store.Store.
func (s *Store) Look(_ context.Context, id store.ID) (store.Secret, error) {
	r, err := s.look(s.index.name(id))
	if err != nil {
		return store.Secret{}, err
	}
	if r.state != live {
		return store.Secret{}, store.ErrGone
	}
	return store.Secret{
		TTL:          time.Duration(r.expires-s.clock.now()) * time.Millisecond,
		Restrictions: r.restrictions,
		Size:         r.size,
	}, nil
}

// look reads a record that has not expired.
func (s *Store) look(n name) (r record, err error) {
	err = s.index.view(func(tx *indexTx) error {
		r, err = s.unexpired(tx, n)
		return err
	})
	return r, err
}

func (s *Store) unexpired(tx *indexTx, n name) (record, error) {
	r, err := tx.record(n)
	if err != nil {
		return record{}, err
	}
	if r.expires <= s.clock.now() {
		return record{}, store.ErrNotFound
	}
	return r, nil
}

// mayResume tells whether a claimant may have the ciphertext again: the one whose lease it is may, while it runs.
func (s *Store) mayResume(r record, claimant store.Claimant) error {
	if r.state == live {
		return store.ErrNotFound
	}
	same := subtle.ConstantTimeCompare(r.claimant[:], claimant[:]) == 1
	if same && r.leaseEnds > s.clock.now() {
		return nil
	}
	return store.ErrGone
}

// claim implements store.Claim.
type claim struct {
	store        *Store
	name         name
	size         int64
	leaseEnds    int64 // the store's time, ms; 0 for a final claim
	lease        time.Duration
	resumed      bool
	owner        store.Claimant
	restrictions store.Restrictions // for an undoing; the tombstone does not keep them
	account      store.Account      // likewise
	blob         *blobReader
	unread       int64 // bytes that were counted as read and are not yet
}

// Claim implements store.Store.
func (s *Store) Claim(ctx context.Context, id store.ID, claimant store.Claimant, lease time.Duration) (store.Claim, error) {
	return s.claim(ctx, id, claimant, lease, func(record) error { return nil })
}

// ClaimUnseen implements store.Store.
func (s *Store) ClaimUnseen(
	ctx context.Context, id store.ID, claimant store.Claimant, lease time.Duration, most int64,
) (store.Claim, error) {
	return s.claim(ctx, id, claimant, lease, func(r record) error {
		if r.size > most || !r.restrictions.None() {
			return store.ErrLook
		}
		return nil
	})
}

func (s *Store) claim(
	ctx context.Context, id store.ID, claimant store.Claimant, lease time.Duration, check func(record) error,
) (store.Claim, error) {
	may := func(r record) error {
		if r.state != live {
			return store.ErrGone
		}
		return check(r)
	}
	c, err := s.openClaim(ctx, id, claimant, may, func(tx *indexTx, c *claim, r record) error { return c.first(tx, r, lease) })
	if err != nil {
		return nil, err
	}
	s.secrets.Add(-1)
	return c, nil
}

// Resume implements store.Store.
func (s *Store) Resume(ctx context.Context, id store.ID, claimant store.Claimant, from int64) (store.Claim, error) {
	may := func(r record) error { return s.mayResume(r, claimant) }
	c, err := s.openClaim(ctx, id, claimant, may, func(tx *indexTx, c *claim, r record) error { return c.again(tx, r, from) })
	if err != nil {
		return nil, err
	}
	return c, nil
}

// openClaim makes a change to a record, for who may. The ciphertext is opened before that: one that cannot be read is not
// consumed.
func (s *Store) openClaim(
	ctx context.Context, id store.ID, claimant store.Claimant, may func(record) error, change func(*indexTx, *claim, record) error,
) (*claim, error) {
	n := s.index.name(id)
	r, err := s.look(n) // most who come too late are told here, without waiting for the disk
	if err != nil {
		return nil, err
	}
	if err := may(r); err != nil {
		return nil, err
	}
	c := &claim{store: s, name: n, size: r.size, owner: claimant}
	blob, open := s.blobs.open(n, r.size)
	err = s.writer.do(ctx, op{frees: true, run: func(tx *indexTx) error {
		r, err := s.unexpired(tx, n)
		if err != nil {
			return err
		}
		if err := may(r); err != nil {
			return err
		}
		if open != nil { // it is to be had, but cannot be read: not consumed
			return fmt.Errorf("%w: %w", errDamaged, open)
		}
		return change(tx, c, r)
	}})
	if err != nil {
		if blob != nil {
			err = errors.Join(err, blob.file.Close())
		}
		return nil, err
	}
	if c.leaseEnds > 0 {
		c.lease = time.Duration(max(c.leaseEnds-s.clock.now(), 1)) * time.Millisecond
	}
	c.blob = blob
	return c, nil
}

// first consumes the secret. Under a lease its account goes on being charged.
func (c *claim) first(tx *indexTx, r record, lease time.Duration) error {
	if err := tx.discharge(r); err != nil {
		return err
	}
	c.restrictions, c.account, c.unread = r.restrictions, r.account, r.size
	r.state, r.claimant, r.restrictions, r.read = claimed, c.owner, store.Restrictions{}, r.size
	if lease <= 0 {
		r.account = store.Account{}
		return tx.putRecord(c.name, r)
	}
	r.leaseEnds = min(r.expires, c.store.clock.certain()+lease.Milliseconds())
	c.leaseEnds = r.leaseEnds
	return errors.Join(tx.charge(r), tx.putRecord(c.name, r), tx.putEnd(r.leaseEnds, endLease, c.name[:]))
}

// again counts a resumption. What it will read is counted as if it were read.
func (c *claim) again(tx *indexTx, r record, from int64) error {
	c.resumed, c.leaseEnds, c.unread = true, r.leaseEnds, store.Unread(r.size, from)
	r.repeats, r.read = r.repeats+1, r.read+c.unread
	if r.repeats > store.MaxRepeats || r.read > store.MaxRead(r.size) {
		return store.ErrUsedUp
	}
	return tx.putRecord(c.name, r)
}

func (c *claim) Read(p []byte) (int, error) {
	if c.blob == nil {
		return 0, errClaimOver
	}
	n, err := c.blob.Read(p)
	c.unread -= int64(n)
	return n, err
}

func (c *claim) Size() int64 { return c.size }

func (c *claim) First() bool { return !c.resumed }

func (c *claim) Lease() time.Duration { return c.lease }

func (c *claim) SeekTo(offset int64) error {
	if c.blob == nil {
		return errClaimOver
	}
	return c.blob.seekTo(offset)
}

var errClaimOver = errors.New("the claim is over")

// Undo implements store.Claim.
func (c *claim) Undo(ctx context.Context) error {
	if c.blob == nil {
		return errClaimOver
	}
	if c.resumed {
		return c.Release()
	}
	s := c.store
	err := s.writer.do(ctx, op{frees: true, run: func(tx *indexTx) error {
		r, err := tx.record(c.name)
		if err != nil {
			return err
		}
		if r.state != claimed || r.claimant != c.owner || r.repeats > 0 {
			return store.ErrGone
		}
		if r.leaseEnds > 0 {
			err = errors.Join(tx.discharge(r), tx.removeEnd(r.leaseEnds, endLease, c.name[:]))
		}
		r.state, r.claimant, r.leaseEnds, r.read = live, store.Claimant{}, 0, 0
		r.restrictions, r.account = c.restrictions, c.account
		return errors.Join(err, tx.putRecord(c.name, r), tx.charge(r))
	}})
	if err == nil {
		s.secrets.Add(1)
	}
	return errors.Join(err, c.closeBlob())
}

// Release implements store.Claim.
func (c *claim) Release() error {
	if c.blob == nil {
		return nil
	}
	if c.leaseEnds == 0 {
		return c.destroy()
	}
	var err error
	if c.unread > 0 {
		err = c.store.writer.do(context.Background(), op{frees: true, run: func(tx *indexTx) error {
			r, err := tx.record(c.name)
			if err != nil || r.leaseEnds == 0 {
				return nil //nolint:nilerr // the lease is over: there is nothing left to count
			}
			r.read -= c.unread
			return tx.putRecord(c.name, r)
		}})
	}
	return errors.Join(err, c.closeBlob())
}

// End implements store.Store.
func (s *Store) End(ctx context.Context, id store.ID, claimant store.Claimant) error {
	n := s.index.name(id)
	err := s.writer.do(ctx, op{frees: true, run: func(tx *indexTx) error {
		r, err := s.unexpired(tx, n)
		if err == nil {
			err = s.mayResume(r, claimant)
		}
		if err != nil {
			return err
		}
		return endTheLease(tx, n)
	}})
	if err != nil {
		return err
	}
	if err := s.blobs.destroy(n); err != nil { // nobody can have it any more
		s.destroyLater(n)
		s.report(err)
	}
	return nil
}

// endTheLease makes a claim final.
func endTheLease(tx *indexTx, n name) error {
	r, err := tx.record(n)
	if err != nil || r.leaseEnds == 0 {
		return err
	}
	leaseEnds := r.leaseEnds
	err = errors.Join(tx.discharge(r), tx.removeEnd(leaseEnds, endLease, n[:]))
	r.leaseEnds, r.claimant, r.account = 0, store.Claimant{}, store.Account{}
	return errors.Join(err, tx.putRecord(n, r))
}

// destroy ends the reader, and the ciphertext with it.
func (c *claim) destroy() error {
	blob := c.blob
	c.blob = nil
	blob.release()
	return c.store.blobs.destroyOpen(c.name, blob.file)
}

func (c *claim) closeBlob() error {
	blob := c.blob
	c.blob = nil
	blob.release()
	return blob.file.Close()
}
