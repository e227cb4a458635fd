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
	blob  blobWriter
	over  bool
}

// Draft implements store.Store. It is refused while the disk is full, or the clock has jumped and it is not certain yet
// that the jump is real.
func (s *Store) Draft(_ context.Context, id store.ID) (store.Draft, error) {
	if s.clock.jumped() {
		return nil, store.ErrClockJump
	}
	if err := s.reserve.restore(); err != nil {
		return nil, err
	}
	return &draft{store: s, blob: blobWriter{blobs: s.blobs, name: s.index.name(id)}}, nil
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
	s, n := d.store, d.blob.name
	r := record{state: live, size: d.blob.size, account: secret.Account, restrictions: secret.Restrictions}
	fits := func(tx *indexTx) error { return tx.fits(r, secret.Quota) }
	if err := s.index.view(fits); err != nil { // most that are refused do not wait for the disk
		d.Discard()
		return err
	}
	if err := d.blob.finish(); err != nil {
		d.Discard()
		return err
	}
	err := s.writer.do(ctx, op{newBlob: true, run: func(tx *indexTx) error {
		if s.clock.jumped() {
			return store.ErrClockJump
		}
		if tx.secrets.Get(n[:]) != nil {
			return store.ErrExists
		}
		if err := fits(tx); err != nil {
			return err
		}
		r.expires = s.clock.certain() + secret.TTL.Milliseconds()
		return errors.Join(tx.putRecord(n, r), tx.putEnd(r.expires, endSecret, n[:]), tx.charge(r))
	}})
	if err != nil {
		d.Discard()
		return err
	}
	d.over = true
	s.secrets.Add(1)
	if err := d.blob.release(false); err != nil {
		s.report(fmt.Errorf("closing a ciphertext: %w", err))
	}
	return nil
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
