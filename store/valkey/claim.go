package valkey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/valkey-io/valkey-go"

	"hakanai/store"
)

// Look implements store.Store.
func (s *Store) Look(ctx context.Context, id store.ID) (store.Secret, error) {
	k := keysOf(id)
	r, err := s.run(ctx, call{script: s.scripts.look, keys: []string{k.secret, k.gone}})
	if err != nil {
		return store.Secret{}, err
	}
	if err := s.status(k, r); err != nil {
		return store.Secret{}, err
	}
	var secret store.Secret
	if len(r.values) != 3 {
		return store.Secret{}, errOddReply
	}
	size, err1 := r.values[0].AsInt64()
	left, err2 := r.values[1].AsInt64()
	restrictions, err3 := r.values[2].ToString()
	if err := errors.Join(err1, err2, err3); err != nil {
		return store.Secret{}, fmt.Errorf("%w: %w", errOddReply, err)
	}
	secret.Size, secret.TTL = size, time.Duration(left)*time.Millisecond
	if restrictions != "" {
		if err := json.Unmarshal([]byte(restrictions), &secret.Restrictions); err != nil {
			return store.Secret{}, fmt.Errorf("the restrictions of a secret are damaged: %w", err)
		}
	}
	return secret, nil
}

// status turns what a script says about a secret into an error, or nil when it is there.
func (s *Store) status(k keys, r reply) error {
	switch r.status {
	case "live", "first", "repeat":
		return nil
	case "none":
		return store.ErrNotFound
	case "gone":
		if s.repairs.pending(k.name) {
			return fmt.Errorf("%w: a claim of the secret is being undone", store.ErrDown)
		}
		return store.ErrGone
	case "late":
		return fmt.Errorf("%w: the claim came too late", store.ErrDown)
	}
	return errOddReply
}

// claim implements store.Claim.
type claim struct {
	store     *Store
	keys      keys
	operation string // names this call of Claim: its claim can be repeated and undone by nobody else
	size      int64
	share     reservation
	leased    bool
	repeat    bool // not the claimant's first
	over      bool

	left     int64  // bytes not read yet, those in piece included
	piece    string // what was fetched and not read yet
	next     int    // the piece to fetch
	extended time.Time
}

var errClaimOver = errors.New("the claim is over")

// Claim implements store.Store.
func (s *Store) Claim(ctx context.Context, id store.ID, claimant store.Claimant, lease time.Duration) (store.Claim, error) {
	operation, err := s.nonce()
	if err != nil {
		return nil, err
	}
	c := &claim{store: s, keys: keysOf(id), operation: operation, leased: lease > 0}
	owner, keep := "", claimedLife
	if c.leased {
		owner, keep = string(claimant[:]), max(lease, claimedLife)
	}
	r, err := s.run(ctx, call{
		script: s.scripts.claim,
		keys:   c.keyList(),
		args: []string{
			c.keys.name, operation, owner, milliseconds(max(lease, 0)), milliseconds(keep), fmt.Sprint(inlineSize),
		},
		durable: true,
	})
	if err != nil {
		if mayHaveHappened(err) {
			s.repairs.add(c.repair())
		}
		return nil, err
	}
	if err := s.status(c.keys, r); err != nil {
		return nil, err
	}
	if err := c.read(r); err != nil {
		s.repairs.add(c.repair())
		return nil, err
	}
	return c, nil
}

// read takes over what the script returned.
func (c *claim) read(r reply) (err error) {
	if len(r.values) != 3 {
		return errOddReply
	}
	if c.size, err = r.values[0].AsInt64(); err != nil {
		return fmt.Errorf("%w: %w", errOddReply, err)
	}
	account, err := r.values[1].ToString()
	if err != nil {
		return fmt.Errorf("%w: %w", errOddReply, err)
	}
	c.share = reservation{account, c.keys.name}
	c.repeat, c.left, c.extended = r.status == "repeat", c.size, time.Now()
	c.leased = c.leased || c.repeat
	if c.size > inlineSize {
		return nil
	}
	if c.piece, err = r.values[2].ToString(); err != nil || int64(len(c.piece)) != c.size {
		return errIncomplete
	}
	c.next = 1
	return nil
}

var errIncomplete = errors.New("the ciphertext in Valkey is not complete")

func (c *claim) keyList() []string {
	return []string{c.keys.secret, c.keys.gone, c.keys.claimed, c.keys.live}
}

// repair undoes the claim when Valkey is back, even if it gets there only later.
func (c *claim) repair() repair {
	return repair{call: c.undoing("fence"), claim: c.keys.name, until: time.Now().Add(claimedLife)}
}

func (c *claim) undoing(fence string) call {
	return call{
		script: c.store.scripts.undo, keys: c.keyList(), args: []string{c.keys.name, c.operation, fence}, durable: true,
	}
}

func (c *claim) Size() int64 { return c.size }

func (c *claim) Read(p []byte) (int, error) {
	if c.over {
		return 0, errClaimOver
	}
	if c.left == 0 {
		return 0, io.EOF
	}
	if c.piece == "" {
		if err := c.fetch(); err != nil {
			return 0, fmt.Errorf("reading ciphertext: %w", err)
		}
	}
	n := copy(p, c.piece)
	c.piece = c.piece[n:]
	c.left -= int64(n)
	return n, nil
}

// fetch reads the next piece, and keeps the ciphertext from expiring while it is being read. For the first one nobody
// waits longer than for the claim: it can still be undone.
func (c *claim) fetch() error {
	p := patience{readBudget, true}
	if c.next == 0 {
		p = patience{budget, false}
	}
	err := c.store.try(context.Background(), p, func(ctx context.Context, clients clients) (err error) {
		leave, err := c.store.singlePlaces.take(ctx)
		if err != nil {
			return err
		}
		defer leave()
		// One attempt has no more time than a caller's: a connection that does not answer is given up for another.
		ctx, cancel := context.WithTimeout(ctx, budget)
		defer cancel()
		client := clients.single
		if time.Since(c.extended) > readingLife/3 {
			err := client.Do(ctx,
				client.B().Pexpire().Key(c.keys.claimed).Milliseconds(readingLife.Milliseconds()).Gt().Build()).Error()
			if err != nil {
				return err
			}
			c.extended = time.Now()
		}
		c.piece, err = client.Do(ctx, client.B().Hget().Key(c.keys.claimed).Field(field(c.next)).Build()).ToString()
		if valkey.IsValkeyNil(err) {
			c.piece = ""
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	if c.piece == "" || int64(len(c.piece)) > c.left {
		return errIncomplete
	}
	c.next++
	return nil
}

// Undo implements store.Claim. The undoing of a repeat leaves the claim as it is. What cannot be undone now is undone
// when Valkey is back.
func (c *claim) Undo(ctx context.Context) error {
	if c.over {
		return errClaimOver
	}
	c.over = true
	if c.repeat {
		return nil
	}
	if _, err := c.store.run(ctx, c.undoing("")); err != nil {
		c.store.repairs.add(c.repair())
		return fmt.Errorf("it will be undone later: %w", err)
	}
	return nil
}

// Release implements store.Claim.
func (c *claim) Release() error {
	if c.over {
		return nil
	}
	if c.leased {
		c.over = true
		c.store.release(context.Background(), c.share)
		return nil
	}
	return c.Finish(context.Background())
}

// Finish implements store.Claim. A ciphertext that cannot be removed now expires by itself.
func (c *claim) Finish(ctx context.Context) error {
	if c.over {
		return errClaimOver
	}
	c.over = true
	c.store.release(ctx, c.share)
	return c.store.small(ctx, func(ctx context.Context, client valkey.Client) error {
		return client.Do(ctx, client.B().Unlink().Key(c.keys.claimed).Build()).Error()
	})
}
