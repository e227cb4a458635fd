package embedded

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"net/netip"
	"time"

	"hakanai/store"
)

// guesses counts those at one secret's passphrase in one window of time: from one network, or from everywhere. Counters
// are in the index, so that a restart forgives nobody, and go from there when their window ends. There are never more
// than the limits let guesses pass: one that is refused is not counted.
type guesses struct {
	n    int
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
	check := func(tx *indexTx) error {
		wait, err = tx.guessWait(keys, limits, s.clock.certain())
		return err
	}
	if err := s.index.view(check); err != nil || wait > 0 { // most that are refused do not wait for the disk
		return wait, err
	}
	err = s.writer.do(ctx, op{frees: true, run: func(tx *indexTx) error { // frees: a guess comes before a claim
		if err := check(tx); err != nil || wait > 0 {
			return err
		}
		return tx.countGuess(keys, limits, s.clock.certain())
	}})
	return wait, err
}

// Forgive implements store.Store.
func (s *Store) Forgive(ctx context.Context, id store.ID, from store.Origin) error {
	keys := s.index.guessKeys(id, from)
	return s.writer.do(ctx, op{frees: true, run: func(tx *indexTx) error {
		for _, key := range []guessKey{keys.all, keys.near, keys.wide} {
			g, err := tx.guessesOf(key, s.clock.certain())
			if err != nil {
				return err
			}
			if g.n == 0 {
				continue
			}
			g.n--
			if err := tx.guesses.Put(key[:], encodeGuesses(g)); err != nil {
				return err
			}
		}
		return nil
	}})
}

// guessWait tells for how long no more guesses are heard, 0 when one may be made.
func (tx *indexTx) guessWait(keys guessKeys, limits store.AttemptLimits, now int64) (time.Duration, error) {
	near, err := tx.guessesOf(keys.near, now)
	if err != nil {
		return 0, err
	}
	until := int64(0)
	if near.n >= limits.Near {
		until = near.ends
	}
	if limits.All > 0 {
		all, err := tx.guessesOf(keys.all, now)
		if err != nil {
			return 0, err
		}
		wide, err := tx.guessesOf(keys.wide, now)
		if err != nil {
			return 0, err
		}
		if all.n >= limits.All || wide.n > 0 && all.n >= limits.All-limits.Reserve {
			until = max(until, all.ends)
		}
	}
	return time.Duration(max(until-now, 0)) * time.Millisecond, nil
}

// countGuess counts a guess. What a wide network has guessed is forgotten together with what all have.
func (tx *indexTx) countGuess(keys guessKeys, limits store.AttemptLimits, now int64) error {
	if _, err := tx.addGuess(keys.near, now, now+limits.NearWindow.Milliseconds()); err != nil || limits.All == 0 {
		return err
	}
	ends, err := tx.addGuess(keys.all, now, now+limits.AllWindow.Milliseconds())
	if err != nil {
		return err
	}
	_, err = tx.addGuess(keys.wide, now, ends)
	return err
}

// addGuess adds one to a counter, which a first guess starts, and returns when it ends.
func (tx *indexTx) addGuess(key guessKey, now, windowEnds int64) (ends int64, err error) {
	g, err := tx.guessesOf(key, now)
	if err != nil {
		return 0, err
	}
	if g.n++; g.ends == 0 {
		if err := tx.forgetGuesses(key); err != nil {
			return 0, err
		}
		g.ends = windowEnds
		if err := tx.putEnd(g.ends, endGuess, key[:]); err != nil {
			return 0, err
		}
	}
	return g.ends, tx.guesses.Put(key[:], encodeGuesses(g))
}

// guessesOf reads a counter whose window has not ended, or the zero value.
func (tx *indexTx) guessesOf(key guessKey, now int64) (g guesses, err error) {
	if value := tx.guesses.Get(key[:]); value != nil {
		g, err = decodeGuesses(value)
	}
	if g.ends <= now {
		g = guesses{}
	}
	return g, err
}

// forgetGuesses removes a counter whose window has ended, and its end, where the sweeper has not been yet.
func (tx *indexTx) forgetGuesses(key guessKey) error {
	value := tx.guesses.Get(key[:])
	if value == nil {
		return nil
	}
	old, err := decodeGuesses(value)
	if err != nil {
		return err
	}
	return tx.removeEnd(old.ends, endGuess, key[:])
}
