package embedded

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"time"

	"hakanai/store"
)

// guesses counts those at one secret's passphrase in one window of time: from one network, or from everywhere. Counters
// are in the index, so that a restart forgives nobody, and go from there when their window ends. There are never more
// than the limits let guesses pass: one that is refused is not counted.
type guesses struct {
	key  guessKey
	n    int64
	ends int64 // the store's time, ms
}

// guessKey names a counter.
type guessKey [16]byte

// guessKeys are the counters that one guess is counted by.
type guessKeys struct{ all, near, wide guessKey }

// guessKeys names the counters by hashes, keyed like the names of secrets: the index tells of no id and no network.
func (x *index) guessKeys(id store.ID, from store.Origin) guessKeys {
	key := func(kind string, network netip.Prefix) guessKey {
		mac := hmac.New(sha256.New, x.pepper)
		mac.Write(id[:])
		mac.Write([]byte("guesses " + kind + network.String()))
		return guessKey(mac.Sum(nil)[:len(guessKey{})])
	}
	return guessKeys{key("all", netip.Prefix{}), key("near", from.Near), key("wide", from.Wide)}
}

// Attempt implements store.Store.
func (s *Store) Attempt(
	ctx context.Context, id store.ID, from store.Origin, limits store.AttemptLimits,
) (wait time.Duration, err error) {
	keys := s.index.guessKeys(id, from)
	check := func() error {
		wait, err = s.index.guessWait(keys, limits, s.clock.certain())
		return err
	}
	if err := s.index.view(check); err != nil || wait > 0 { // most that are refused do not wait for the disk
		return wait, err
	}
	err = s.writer.do(ctx, op{run: func() error {
		if err := check(); err != nil || wait > 0 {
			return err
		}
		return s.index.countGuess(keys, limits, s.clock.certain())
	}})
	return wait, err
}

// Forgive implements store.Store.
func (s *Store) Forgive(ctx context.Context, id store.ID, from store.Origin) error {
	keys := s.index.guessKeys(id, from)
	return s.writer.do(ctx, op{run: func() error {
		for _, key := range []guessKey{keys.all, keys.near, keys.wide} {
			g, err := s.index.guessesOf(key, s.clock.certain())
			if err != nil {
				return err
			}
			if g.n == 0 {
				continue
			}
			g.n--
			if err := s.index.putGuesses(g); err != nil {
				return err
			}
		}
		return nil
	}})
}

// guessWait tells for how long no more guesses are heard, 0 when one may be made.
func (x *index) guessWait(keys guessKeys, limits store.AttemptLimits, now int64) (time.Duration, error) {
	near, err := x.guessesOf(keys.near, now)
	if err != nil {
		return 0, err
	}
	until := int64(0)
	if near.n >= int64(limits.Near) {
		until = near.ends
	}
	if limits.All > 0 {
		all, err := x.guessesOf(keys.all, now)
		if err != nil {
			return 0, err
		}
		wide, err := x.guessesOf(keys.wide, now)
		if err != nil {
			return 0, err
		}
		if all.n >= int64(limits.All) || wide.n > 0 && all.n >= int64(limits.All-limits.Reserve) {
			until = max(until, all.ends)
		}
	}
	return time.Duration(max(until-now, 0)) * time.Millisecond, nil
}

// countGuess counts a guess. What a wide network has guessed is forgotten together with what all have.
func (x *index) countGuess(keys guessKeys, limits store.AttemptLimits, now int64) error {
	if len(x.free) < mostPlaces {
		return fmt.Errorf("the index has no room: %w", store.ErrFull)
	}
	if _, err := x.addGuess(keys.near, now, now+limits.NearWindow.Milliseconds()); err != nil || limits.All == 0 {
		return err
	}
	ends, err := x.addGuess(keys.all, now, now+limits.AllWindow.Milliseconds())
	if err != nil {
		return err
	}
	_, err = x.addGuess(keys.wide, now, ends)
	return err
}

// addGuess adds one to a counter, which a first guess starts, and returns when it ends.
func (x *index) addGuess(key guessKey, now, windowEnds int64) (ends int64, err error) {
	g, err := x.guessesOf(key, now)
	if err != nil {
		return 0, err
	}
	if g.n++; g.ends > 0 {
		return g.ends, x.putGuesses(g)
	}
	g.ends = windowEnds
	if err := x.putGuesses(g); err != nil {
		return 0, err
	}
	x.putEnd(g.ends, x.guesses[key])
	return g.ends, nil
}

// putGuesses puts a new counter, or one in the place of that of its key. Error: store.ErrFull.
func (x *index) putGuesses(g guesses) (err error) {
	number, found := x.guesses[g.key]
	if !found {
		if number, err = x.place(0); err != nil {
			return err
		}
		x.guesses[g.key] = number
	}
	return x.write(number, g.encode(number))
}
