package valkey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/valkey-io/valkey-go"

	"hakanai/store"
)

// draft implements store.Draft. Full pieces are written to Valkey as they come; the last one goes with the commit.
type draft struct {
	store  *Store
	keys   keys
	nonce  string
	piece  []byte // what is not written yet
	room   *piece // where that is, once it is large
	pieces int    // how many are written
	size   int64
	err    error // why it can no longer be committed
}

var errDraftOver = errors.New("the draft has been committed or discarded")

// Draft implements store.Store.
func (s *Store) Draft(_ context.Context, id store.ID) (store.Draft, error) {
	if err := s.monitor.down(); err != nil {
		return nil, err
	}
	nonce, err := s.nonce()
	if err != nil {
		return nil, err
	}
	return &draft{store: s, keys: keysOf(id), nonce: nonce}, nil
}

func (d *draft) Write(p []byte) (n int, err error) {
	if d.err != nil {
		return 0, d.err
	}
	for n < len(p) {
		if len(d.piece) == pieceSize {
			if err := d.append(); err != nil {
				d.fail(err)
				return n, err
			}
		}
		m := min(len(p)-n, pieceSize-len(d.piece))
		if d.room == nil && len(d.piece)+m > inlineSize {
			d.room = d.store.pieces.take()
			d.piece = append(d.room.bytes, d.piece...)
		}
		d.piece = append(d.piece, p[n:n+m]...)
		n += m
	}
	d.size += int64(n)
	return n, nil
}

// append writes a full piece. The first one need not wait: who has sent little can begin anew.
func (d *draft) append() error {
	p, attempts := patience{budget, false}, 0
	if d.pieces > 0 {
		p = patience{pieceBudget, true}
	}
	err := d.store.try(context.Background(), p, func(ctx context.Context, clients clients) error {
		attempts++
		ctx, cancel := context.WithTimeout(ctx, budget) // then another connection may answer
		defer cancel()
		_, err := d.store.attempt(ctx, clients, call{
			script: d.store.scripts.append,
			keys:   []string{d.keys.draft(d.nonce)},
			args:   []string{field(d.pieces), valkey.BinaryString(d.piece), milliseconds(draftLife)},
			large:  true,
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("writing ciphertext: %w", err)
	}
	d.pieces++
	if d.piece = d.piece[:0]; attempts > 1 { // an attempt that was given up may still read it
		d.piece, d.room = nil, nil
	}
	return nil
}

// fail ends a draft for good. Its buffer is not used again: a command that was given up may still read it.
func (d *draft) fail(err error) {
	d.clear()
	d.err, d.piece = err, nil
}

// Commit implements store.Draft.
func (d *draft) Commit(ctx context.Context, secret store.Secret) error {
	if d.err != nil {
		return d.err
	}
	if secret.TTL < time.Millisecond {
		return fmt.Errorf("a secret cannot live for %s", secret.TTL)
	}
	restrictions := ""
	if !secret.Restrictions.None() {
		b, err := json.Marshal(secret.Restrictions)
		if err != nil {
			return fmt.Errorf("encoding restrictions: %w", err)
		}
		restrictions = string(b)
	}
	ctx, cancel := context.WithTimeout(ctx, budget) // for all the steps
	defer cancel()
	share := reservation{}
	if secret.Quota > 0 {
		share = reservation{accountName(secret.Account), d.keys.name}
	}
	committing := call{
		script: d.store.scripts.commit,
		keys:   []string{d.keys.secret, d.keys.gone, d.keys.draft(d.nonce), d.keys.live},
		args: []string{
			d.keys.name, d.nonce, milliseconds(secret.TTL), strconv.FormatInt(d.size, 10),
			strconv.Itoa(d.pieces + 1), valkey.BinaryString(d.piece), restrictions, share.account,
		},
		durable: true,
		large:   d.room != nil,
	}
	r, err := d.commit(ctx, committing, share, secret)
	if errors.Is(err, store.ErrQuota) {
		d.fail(err)
		return err
	}
	switch {
	case err != nil:
		if mayHaveHappened(err) {
			d.store.repairs.add(repair{call: d.revocation(), until: time.Now().Add(draftLife)})
			d.pieces = 0 // the revocation removes them
		}
	case r.status == "exists":
		err = store.ErrExists
	case r.status != "done":
		err = fmt.Errorf("%w: pieces of the draft have gone", store.ErrDown)
	}
	if err != nil {
		d.store.done.Go(func() { d.store.release(context.WithoutCancel(ctx), share, 0) }) // the caller does not wait for it
		d.fail(err)
		return err
	}
	d.err, d.piece = errDraftOver, nil
	if d.room != nil {
		d.store.pieces.giveBack(d.room) // what was answered nobody reads any more
	}
	return nil
}

// commit runs the commit, after its share of the quota is reserved: in the same step where one server has all keys. A share
// that was reserved is the caller's to release.
func (d *draft) commit(ctx context.Context, committing call, share reservation, secret store.Secret) (reply, error) {
	if share.account == "" || d.store.inCluster() {
		if err := d.store.reserve(ctx, share, d.size, secret); err != nil {
			return reply{}, err
		}
		return d.store.run(ctx, committing)
	}
	reserving, err := d.store.reserving(share, d.size, secret)
	if err != nil {
		return reply{}, err
	}
	committing.script = d.store.scripts.reservingCommit
	committing.keys = slices.Concat(reserving.keys, committing.keys)
	committing.args = slices.Concat(reserving.args, committing.args)
	return d.store.runReserving(ctx, committing)
}

// revocation takes the secret back, if it is there.
func (d *draft) revocation() call {
	return call{
		script: d.store.scripts.revoke,
		keys:   []string{d.keys.secret, d.keys.live, d.keys.draft(d.nonce)},
		args:   []string{d.keys.name, d.nonce},
	}
}

// Discard implements store.Draft. What cannot be removed now expires by itself.
func (d *draft) Discard() {
	if d.err == nil {
		d.fail(errDraftOver)
	}
}

// clear removes the pieces that are written.
func (d *draft) clear() {
	if d.pieces == 0 {
		return
	}
	d.store.removals.add(removal{key: d.keys.draft(d.nonce)})
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
