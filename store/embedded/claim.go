package embedded

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"hakanai/store"
)

// Look implements store.Store.
func (s *Store) Look(_ context.Context, id store.ID) (store.Secret, error) {
	n := s.index.name(id)
	for {
		found, err := s.look(n)
		if err != nil {
			return store.Secret{}, err
		}
		if found.state != live {
			return store.Secret{}, store.ErrGone
		}
		restrictions, err := s.restrictions(found)
		if err != nil {
			if again, lookErr := s.look(n); lookErr != nil || again.key != found.key {
				continue // it was taken in between
			}
			return store.Secret{}, fmt.Errorf("%w: %w", errDamaged, err)
		}
		return store.Secret{
			TTL:          time.Duration(found.expires-s.clock.now()) * time.Millisecond,
			Restrictions: restrictions,
			Size:         found.size,
		}, nil
	}
}

func (s *Store) restrictions(of secret) (restrictions store.Restrictions, err error) {
	encoded, err := s.blobs.restrictions(of)
	if err == nil && len(encoded) > 0 {
		err = json.Unmarshal(encoded, &restrictions)
	}
	return restrictions, err
}

// look reads a secret that has not expired.
func (s *Store) look(n name) (found secret, err error) {
	err = s.index.view(func() error {
		found, _, err = s.unexpired(n)
		return err
	})
	return found, err
}

// unexpired is look for whoever holds the index.
func (s *Store) unexpired(n name) (found secret, number uint32, err error) {
	if found, number, err = s.index.secret(n); err == nil && found.expires <= s.clock.now() {
		err = store.ErrNotFound
	}
	return found, number, err
}

// mayResume tells whether a claimant may have the ciphertext again: the one whose lease it is may, while it runs.
func (s *Store) mayResume(r secret, claimant store.Claimant) error {
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
	store   *Store
	secret  secret // as it was found
	owner   store.Claimant
	ends    int64 // the lease, the store's time, ms; 0 for a final claim
	lease   time.Duration
	resumed bool
	blob    *blobReader // nil when the claim is over
	unread  int64       // bytes that were counted as read and are not yet
}

// Claim implements store.Store.
func (s *Store) Claim(ctx context.Context, id store.ID, claimant store.Claimant, lease time.Duration) (store.Claim, error) {
	return s.claim(ctx, id, claimant, lease, func(secret) error { return nil })
}

// ClaimUnseen implements store.Store.
func (s *Store) ClaimUnseen(
	ctx context.Context, id store.ID, claimant store.Claimant, lease time.Duration, most int64,
) (store.Claim, error) {
	return s.claim(ctx, id, claimant, lease, func(r secret) error {
		if r.size > most || r.place.restrictions > 0 {
			return store.ErrLook
		}
		return nil
	})
}

func (s *Store) claim(
	ctx context.Context, id store.ID, claimant store.Claimant, lease time.Duration, check func(secret) error,
) (store.Claim, error) {
	may := func(r secret) error {
		if r.state != live {
			return store.ErrGone
		}
		return check(r)
	}
	c, err := s.openClaim(ctx, id, claimant, may, func(c *claim, r secret, number uint32) error { return c.first(r, number, lease) })
	if err != nil {
		return nil, err
	}
	s.secrets.Add(-1)
	return c, nil
}

// Resume implements store.Store.
func (s *Store) Resume(ctx context.Context, id store.ID, claimant store.Claimant, from int64) (store.Claim, error) {
	may := func(r secret) error { return s.mayResume(r, claimant) }
	c, err := s.openClaim(ctx, id, claimant, may, func(c *claim, r secret, number uint32) error { return c.again(r, number, from) })
	if err != nil {
		return nil, err
	}
	return c, nil
}

// openClaim makes a change to a record, for who may. The ciphertext is opened before that: one that cannot be read is not
// consumed.
func (s *Store) openClaim(
	ctx context.Context, id store.ID, claimant store.Claimant,
	may func(secret) error, change func(c *claim, r secret, number uint32) error,
) (*claim, error) {
	n := s.index.name(id)
	for {
		found, err := s.look(n) // most who come too late are told here, without waiting for the disk
		if err != nil {
			return nil, err
		}
		if err := may(found); err != nil {
			return nil, err
		}
		c := &claim{store: s, secret: found, owner: claimant}
		blob, open := s.blobs.open(found)
		another := false
		err = s.writer.do(ctx, op{run: func() error {
			r, number, err := s.unexpired(n)
			if err != nil {
				return err
			}
			if err := may(r); err != nil {
				return err
			}
			if another = r.key != found.key; another {
				return store.ErrNotFound
			}
			if open != nil { // it is to be had, but cannot be read: not consumed
				return fmt.Errorf("%w: %w", errDamaged, open)
			}
			return change(c, r, number)
		}})
		if err == nil {
			if c.ends > 0 {
				c.lease = time.Duration(max(c.ends-s.clock.now(), 1)) * time.Millisecond
			}
			c.blob = blob
			return c, nil
		}
		if blob != nil {
			err = errors.Join(err, blob.close())
		}
		if !another { // as when the id has been used anew in between
			return nil, err
		}
	}
}

// first consumes the secret. The key of one that is claimed for good is destroyed by that; it is in memory for an undoing.
// Under a lease the account goes on being charged.
func (c *claim) first(r secret, number uint32, lease time.Duration) error {
	x := c.store.index
	c.unread = r.size
	r.state, r.claimant, r.read = claimed, c.owner, r.size
	if lease <= 0 {
		x.charge(r, -1)
		r.key, r.account = key{}, store.Account{}
		return x.write(number, r.encode(number))
	}
	r.leaseEnds = min(r.expires, c.store.clock.certain()+lease.Milliseconds())
	c.ends = r.leaseEnds
	x.putEnd(r.leaseEnds, number)
	return x.write(number, r.encode(number))
}

// again counts a resumption. What it will read is counted as if it were read.
func (c *claim) again(r secret, number uint32, from int64) error {
	c.resumed, c.ends, c.unread = true, r.leaseEnds, store.Unread(r.size, from)
	r.repeats, r.read = r.repeats+1, r.read+c.unread
	if r.repeats > store.MaxRepeats || r.read > store.MaxRead(r.size) {
		return store.ErrUsedUp
	}
	return c.store.index.write(number, r.encode(number))
}

func (c *claim) Read(p []byte) (int, error) {
	if c.blob == nil {
		return 0, errClaimOver
	}
	n, err := c.blob.Read(p)
	c.unread -= int64(n)
	return n, err
}

func (c *claim) Size() int64 { return c.secret.size }

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
	err := s.writer.do(ctx, op{run: func() error {
		r, number, err := s.index.secret(c.secret.name)
		if err != nil {
			return err
		}
		if r.state != claimed || r.claimant != c.owner || r.repeats > 0 || !r.same(c.secret) {
			return store.ErrGone
		}
		s.index.charge(c.secret, 1)
		if r.leaseEnds > 0 {
			s.index.charge(r, -1)
		}
		return s.index.write(number, c.secret.encode(number))
	}})
	if err == nil {
		s.secrets.Add(1)
	}
	if err == nil || errors.Is(err, store.ErrDown) { // what was written may be on the disk: then the blob is needed
		return errors.Join(err, c.end())
	}
	return errors.Join(err, c.Release())
}

// Release implements store.Claim.
func (c *claim) Release() error {
	if c.blob == nil {
		return nil
	}
	if c.ends == 0 { // its key is gone already
		return errors.Join(c.end(), c.store.blobs.discard(c.secret))
	}
	var err error
	if c.unread > 0 {
		err = c.store.writer.do(context.Background(), op{run: func() error {
			r, number, err := c.store.index.secret(c.secret.name)
			if err != nil || r.leaseEnds == 0 || !r.same(c.secret) {
				return nil //nolint:nilerr // the lease is over: there is nothing left to count
			}
			r.read -= c.unread
			return c.store.index.write(number, r.encode(number))
		}})
	}
	return errors.Join(err, c.end())
}

// end ends the reader.
func (c *claim) end() error {
	blob := c.blob
	c.blob = nil
	return blob.close()
}

// End implements store.Store.
func (s *Store) End(ctx context.Context, id store.ID, claimant store.Claimant) error {
	n := s.index.name(id)
	var ended secret
	err := s.writer.do(ctx, op{run: func() error {
		r, number, err := s.unexpired(n)
		if err == nil {
			err = s.mayResume(r, claimant)
		}
		if err != nil {
			return err
		}
		ended = r
		return s.endTheLease(r, number)
	}})
	if err != nil {
		return err
	}
	if err := s.blobs.discard(ended); err != nil { // nobody can have it any more
		s.report(err)
	}
	return nil
}

// endTheLease makes a claim final. Its key is destroyed by that.
func (s *Store) endTheLease(r secret, number uint32) error {
	s.index.charge(r, -1)
	r.leaseEnds, r.key, r.claimant, r.account = 0, key{}, store.Claimant{}, store.Account{}
	return s.index.write(number, r.encode(number))
}
