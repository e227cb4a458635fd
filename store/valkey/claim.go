package valkey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

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
	case "look":
		return store.ErrLook
	case "used":
		return store.ErrUsedUp
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
	operation string // names this call of Claim or Resume: nobody else undoes it, or takes back what it was counted to read
	size      int64
	share     reservation
	lease     time.Duration // what was left of it; 0 for a final claim
	until     time.Time     // when the lease ends
	resumed   bool
	over      bool

	left     int64  // bytes not read yet, those fetched included
	unread   int64  // bytes that were counted as read and are not yet
	began    bool   // a byte has been read
	fetched  []byte // what was fetched and not read yet
	piece    *piece // where that is, unless it came with the claim
	next     int    // the piece to fetch
	skip     int    // bytes of it that are not asked for
	extended time.Time
}

var errClaimOver = errors.New("the claim is over")

// Claim implements store.Store.
func (s *Store) Claim(ctx context.Context, id store.ID, claimant store.Claimant, lease time.Duration) (store.Claim, error) {
	return s.claim(ctx, id, claimant, lease, "")
}

// ClaimUnseen implements store.Store: it is one step of Valkey's.
func (s *Store) ClaimUnseen(
	ctx context.Context, id store.ID, claimant store.Claimant, lease time.Duration, most int64,
) (store.Claim, error) {
	return s.claim(ctx, id, claimant, lease, strconv.FormatInt(most, 10))
}

// claim claims a secret: with most, only if it is not larger and nothing stands before it.
func (s *Store) claim(
	ctx context.Context, id store.ID, claimant store.Claimant, lease time.Duration, most string,
) (store.Claim, error) {
	c, err := s.newClaim(id)
	if err != nil {
		return nil, err
	}
	lease, owner := max(lease, 0), ""
	if lease > 0 {
		owner = string(claimant[:])
	}
	r, err := s.run(ctx, call{
		script: s.scripts.claim,
		keys:   c.keyList(),
		args: []string{
			c.keys.name, c.operation, owner, milliseconds(lease), milliseconds(max(lease, claimedLife)), strconv.Itoa(inlineSize),
			most,
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
	if err := c.take(r, 4, lease > 0); err != nil {
		s.repairs.add(c.repair())
		return nil, err
	}
	c.unread = c.size
	return c, nil
}

// Resume implements store.Store.
func (s *Store) Resume(ctx context.Context, id store.ID, claimant store.Claimant, from int64) (store.Claim, error) {
	c, err := s.newClaim(id)
	if err != nil {
		return nil, err
	}
	c.resumed = true
	r, err := s.run(ctx, call{
		script: s.scripts.resume,
		keys:   []string{c.keys.gone, c.keys.claimed},
		args: []string{
			string(claimant[:]), c.operation, fmt.Sprint(from), fmt.Sprint(inlineSize),
			fmt.Sprint(store.MaxRepeats), fmt.Sprint(store.ReadFactor), fmt.Sprint(store.ReadFree),
		},
		durable: true,
	})
	if err != nil {
		if mayHaveHappened(err) { // nobody reads
			s.repairs.add(repair{call: c.unreading(""), until: time.Now().Add(readingLife)})
		}
		return nil, err
	}
	if err := s.status(c.keys, r); err != nil {
		return nil, err
	}
	if err := c.take(r, 5, true); err != nil {
		return nil, err
	}
	if c.unread, err = r.values[4].AsInt64(); err != nil {
		return nil, fmt.Errorf("%w: %w", errOddReply, err)
	}
	return c, nil
}

func (s *Store) newClaim(id store.ID) (*claim, error) {
	operation, err := s.nonce()
	return &claim{store: s, keys: keysOf(id), operation: operation}, err
}

// take takes over what a script returned.
func (c *claim) take(r reply, values int, leased bool) (err error) {
	if len(r.values) != values {
		return errOddReply
	}
	account, err1 := r.values[1].ToString()
	left, err2 := r.values[2].AsInt64()
	c.size, err = r.values[0].AsInt64()
	if err := errors.Join(err, err1, err2); err != nil {
		return fmt.Errorf("%w: %w", errOddReply, err)
	}
	if leased {
		c.lease = time.Duration(max(left, 1)) * time.Millisecond
		c.until = time.Now().Add(c.lease)
	}
	c.share = reservation{account, c.keys.name}
	c.left, c.extended = c.size, time.Now()
	if c.size > inlineSize {
		return nil
	}
	if c.fetched, err = r.values[3].AsBytes(); err != nil || int64(len(c.fetched)) != c.size {
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

func (c *claim) First() bool { return !c.resumed }

func (c *claim) Lease() time.Duration { return c.lease }

func (c *claim) SeekTo(offset int64) error {
	switch {
	case c.over:
		return errClaimOver
	case offset < 0 || offset > c.size:
		return errors.New("there is no such place in the ciphertext")
	case len(c.fetched) > 0:
		c.fetched = c.fetched[offset:]
	default:
		c.next, c.skip = int(offset/pieceSize), int(offset%pieceSize)
	}
	c.left = c.size - offset
	return nil
}

func (c *claim) Read(p []byte) (int, error) {
	if c.over {
		return 0, errClaimOver
	}
	if c.left == 0 {
		return 0, io.EOF
	}
	if len(c.fetched) == 0 {
		if err := c.fetch(); err != nil {
			return 0, fmt.Errorf("reading ciphertext: %w", err)
		}
	}
	n := copy(p, c.fetched)
	c.fetched = c.fetched[n:]
	c.left -= int64(n)
	c.unread -= int64(n)
	c.began = true
	return n, nil
}

// fetch reads the next piece, and keeps the ciphertext from expiring while it is being read. For the first one nobody
// waits longer than for the claim: it can still be undone.
func (c *claim) fetch() error {
	p := patience{pieceBudget, true}
	if !c.began {
		p = patience{budget, false}
	}
	if c.piece == nil {
		c.piece = c.store.pieces.take()
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
		return c.piece.fetch(ctx, client, c.keys.claimed, field(c.next))
	})
	if err != nil {
		return err
	}
	got := c.piece.bytes
	if len(got) <= c.skip || int64(len(got)-c.skip) > c.left {
		return errIncomplete
	}
	c.fetched = got[c.skip:]
	c.skip = 0
	c.next++
	return nil
}

// Undo implements store.Claim. What cannot be undone now is undone when Valkey is back.
func (c *claim) Undo(ctx context.Context) error {
	if c.over {
		return errClaimOver
	}
	if c.resumed {
		return c.Release()
	}
	c.close()
	r, err := c.store.run(ctx, c.undoing(""))
	if err != nil {
		c.store.repairs.add(c.repair())
		return fmt.Errorf("it will be undone later: %w", err)
	}
	if r.status == "stays" {
		return store.ErrGone
	}
	return nil
}

// Release implements store.Claim. What cannot be removed now expires by itself. As long as the first claim could be undone,
// ciphertext and quota had to stay for as long as that may have to wait for Valkey; now they go when the lease ends.
func (c *claim) Release() error {
	if c.over {
		return nil
	}
	c.close()
	if c.lease == 0 {
		c.store.removals.add(removal{key: c.keys.claimed, share: c.share})
		return nil
	}
	if left := time.Until(c.until); !c.resumed && left > 0 {
		c.store.removals.add(removal{key: c.keys.claimed, share: c.share, later: left})
	}
	if c.unread <= 0 {
		return nil
	}
	_, err := c.store.run(context.Background(), c.unreading(strconv.FormatInt(c.unread, 10)))
	return err
}

// close ends the claim for its reader.
func (c *claim) close() {
	c.over, c.fetched = true, nil
	if c.piece != nil {
		c.store.pieces.giveBack(c.piece)
		c.piece = nil
	}
}

// unreading takes back what was counted as read: so many bytes, or all for "".
func (c *claim) unreading(bytes string) call {
	return call{script: c.store.scripts.unread, keys: []string{c.keys.claimed}, args: []string{c.operation, bytes}}
}

// End implements store.Store.
func (s *Store) End(ctx context.Context, id store.ID, claimant store.Claimant) error {
	k := keysOf(id)
	r, err := s.run(ctx, call{
		script: s.scripts.end, keys: []string{k.gone, k.claimed}, args: []string{string(claimant[:])}, durable: true,
	})
	if err != nil {
		return err
	}
	if r.status != "done" {
		return s.status(k, r)
	}
	if len(r.values) != 1 {
		return errOddReply
	}
	account, err := r.values[0].ToString()
	if err != nil {
		return fmt.Errorf("%w: %w", errOddReply, err)
	}
	s.release(ctx, reservation{account, k.name}, 0)
	return nil
}
