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

// mayClaim tells whether a claimant may have the ciphertext: the first ever may, and the same one while its lease runs.
func (s *Store) mayClaim(r record, claimant store.Claimant) error {
	if r.state == live {
		return nil
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
	leased       bool
	repeat       bool // not the claimant's first
	owner        store.Claimant
	restrictions store.Restrictions // for an undoing; the tombstone does not keep them
	account      store.Account      // likewise
	blob         *blobReader
}

// Claim implements store.Store. The ciphertext is opened before the secret is consumed: one that cannot be read is not.
func (s *Store) Claim(ctx context.Context, id store.ID, claimant store.Claimant, lease time.Duration) (store.Claim, error) {
	n := s.index.name(id)
	r, err := s.look(n) // most who come too late are told here, without waiting for the disk
	if err != nil {
		return nil, err
	}
	if err := s.mayClaim(r, claimant); err != nil {
		return nil, err
	}
	c := &claim{store: s, name: n, size: r.size, leased: lease > 0, owner: claimant}
	blob, open := s.blobs.open(n, r.size)
	err = s.writer.do(ctx, op{frees: true, run: func(tx *indexTx) error {
		r, err := s.unexpired(tx, n)
		if err != nil {
			return err
		}
		if err := s.mayClaim(r, claimant); err != nil {
			return err
		}
		if open != nil { // it is to be had, but cannot be read: not consumed
			return fmt.Errorf("%w: %w", errDamaged, open)
		}
		if c.repeat = r.state != live; c.repeat {
			c.leased = true
			if r.state == repeated {
				return nil
			}
			r.state = repeated
			return tx.putRecord(n, r)
		}
		if err := tx.discharge(r); err != nil {
			return err
		}
		c.restrictions, c.account = r.restrictions, r.account
		r.state, r.claimant, r.restrictions, r.account = claimed, claimant, store.Restrictions{}, store.Account{}
		if !c.leased {
			return tx.putRecord(n, r)
		}
		r.leaseEnds = min(r.expires, s.clock.certain()+lease.Milliseconds())
		return errors.Join(tx.putRecord(n, r), tx.putEnd(r.leaseEnds, endLease, n[:]))
	}})
	if err != nil {
		if blob != nil {
			err = errors.Join(err, blob.file.Close())
		}
		return nil, err
	}
	if !c.repeat {
		s.secrets.Add(-1)
	}
	c.blob = blob
	return c, nil
}

func (c *claim) Read(p []byte) (int, error) {
	if c.blob == nil {
		return 0, errClaimOver
	}
	return c.blob.Read(p)
}

func (c *claim) Size() int64 { return c.size }

var errClaimOver = errors.New("the claim is over")

// Undo implements store.Claim. The undoing of a repeat leaves the first claim as it is.
func (c *claim) Undo(ctx context.Context) error {
	if c.blob == nil {
		return errClaimOver
	}
	if c.repeat {
		return c.closeBlob()
	}
	s := c.store
	err := s.writer.do(ctx, op{frees: true, run: func(tx *indexTx) error {
		r, err := tx.record(c.name)
		if err != nil {
			return err
		}
		if r.state != claimed || r.claimant != c.owner {
			return store.ErrGone
		}
		leaseEnds := r.leaseEnds
		r.state, r.claimant, r.leaseEnds = live, store.Claimant{}, 0
		r.restrictions, r.account = c.restrictions, c.account
		if leaseEnds > 0 {
			err = tx.removeEnd(leaseEnds, endLease, c.name[:])
		}
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
	if c.leased {
		return c.closeBlob()
	}
	return c.destroy()
}

// Finish implements store.Claim.
func (c *claim) Finish(ctx context.Context) error {
	if c.blob == nil {
		return errClaimOver
	}
	if !c.leased {
		return c.destroy()
	}
	err := c.store.writer.do(ctx, op{frees: true, run: func(tx *indexTx) error { return endTheLease(tx, c.name) }})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return errors.Join(err, c.closeBlob())
	}
	return c.destroy()
}

// endTheLease makes a claim final.
func endTheLease(tx *indexTx, n name) error {
	r, err := tx.record(n)
	if err != nil || r.leaseEnds == 0 {
		return err
	}
	leaseEnds := r.leaseEnds
	r.leaseEnds, r.claimant = 0, store.Claimant{}
	return errors.Join(tx.removeEnd(leaseEnds, endLease, n[:]), tx.putRecord(n, r))
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
