package embedded

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hakanai/store"
)

// draft implements store.Draft.
type draft struct {
	store *Store
	name  name
	blob  blobWriter
	over  bool
}

// Draft implements store.Store. It is refused while the clock has jumped and it is not certain yet that the jump is real.
func (s *Store) Draft(_ context.Context, id store.ID) (store.Draft, error) {
	if s.clock.jumped() {
		return nil, store.ErrClockJump
	}
	return &draft{store: s, name: s.index.name(id), blob: blobWriter{blobs: s.blobs}}, nil
}

func (d *draft) Write(p []byte) (int, error) { return d.blob.Write(p) }

// Commit implements store.Draft. On an error the draft is discarded.
func (d *draft) Commit(ctx context.Context, secret store.Secret) error {
	if d.over {
		return errors.New("the draft has been committed or discarded")
	}
	if secret.TTL < time.Millisecond {
		return fmt.Errorf("a secret cannot live for %s", secret.TTL)
	}
	err := d.commit(ctx, secret)
	if err != nil && !errors.Is(err, store.ErrDown) {
		d.Discard()
		return err
	}
	if err == nil {
		d.store.secrets.Add(1)
	} // otherwise the record may be on the disk, and the next start tells
	d.over = true
	if err := d.blob.release(false); err != nil {
		d.store.report(fmt.Errorf("closing a ciphertext: %w", err))
	}
	return err
}

func (d *draft) commit(ctx context.Context, asked store.Secret) error {
	restrictions, err := asked.Restrictions.Encode()
	if err != nil {
		return err
	}
	s, n := d.store, d.name
	r := secret{state: live, name: n, size: d.blob.size, account: asked.Account}
	r.place.restrictions = int64(len(restrictions))
	fits := func() error {
		if asked.Quota > 0 && s.index.used(r.account)+r.charge() > asked.Quota {
			return store.ErrQuota
		}
		return nil
	}
	if err := s.index.view(fits); err != nil { // most that are refused do not wait for the disk
		return err
	}
	if err := d.blob.finish(restrictions); err != nil {
		return err
	}
	r.key, r.place = d.blob.key, d.blob.place
	return s.writer.do(ctx, op{segment: d.blob.segment, run: func() error {
		if s.clock.jumped() {
			return store.ErrClockJump
		}
		if _, found := s.index.secrets[n]; found {
			return store.ErrExists
		}
		if err := fits(); err != nil {
			return err
		}
		r.expires = s.clock.certain() + asked.TTL.Milliseconds()
		if err := s.index.addSecret(r); err != nil {
			return err
		}
		s.index.charge(r, 1)
		return nil
	}})
}

// Discard implements store.Draft.
func (d *draft) Discard() {
	if d.over {
		return
	}
	d.over = true
	if err := d.blob.release(true); err != nil {
		d.store.report(err)
	}
}
