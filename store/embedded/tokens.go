package embedded

import (
	"context"
	"fmt"
	"time"

	"hakanai/store"
)

// PutToken implements store.Store.
func (s *Store) PutToken(ctx context.Context, hash store.TokenHash, t store.Token) error {
	_, err := s.putToken(ctx, hash, t, func() (bool, error) { return true, nil }, func() error { return nil })
	return err
}

// PutFirstToken implements store.Store.
func (s *Store) PutFirstToken(ctx context.Context, hash store.TokenHash, t store.Token) (bool, error) {
	return s.putToken(ctx, hash, t, func() (bool, error) {
		now := s.clock.now()
		for other := range s.index.tokens {
			if other == hash { // the same one again: its first storing was not answered
				continue
			}
			if found, err := s.index.token(other); err != nil || found.Kind == t.Kind && found.expires > now {
				return false, nil //nolint:nilerr // a damaged one may be the first
			}
		}
		return true, nil
	}, func() error { return nil })
}

// ReplaceTokens implements store.Store. A crash may leave others behind, but not none: they are removed after the new one
// is durable.
func (s *Store) ReplaceTokens(ctx context.Context, hash store.TokenHash, t store.Token) error {
	_, err := s.putToken(ctx, hash, t, func() (bool, error) { return true, nil }, func() error {
		if err := s.index.sync(); err != nil {
			return err
		}
		for other, number := range s.index.tokens {
			if found, err := s.index.token(other); other == hash || err == nil && found.Kind != t.Kind {
				continue
			}
			delete(s.index.tokens, other)
			if err := s.index.remove(number); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// putToken stores a token, or replaces the one of the same hash, if what is asked in the same step says so; and does what
// comes after that.
func (s *Store) putToken(
	ctx context.Context, hash store.TokenHash, t store.Token, may func() (bool, error), then func() error,
) (stored bool, err error) {
	if t.TTL < time.Millisecond {
		return false, fmt.Errorf("a token cannot live for %s", t.TTL)
	}
	live := int64(0)
	err = s.writer.do(ctx, op{run: func() error {
		if stored, err = may(); !stored || err != nil {
			return err
		}
		if err := s.index.putToken(token{hash: hash, expires: s.clock.now() + t.TTL.Milliseconds(), Token: t}); err != nil {
			return err
		}
		err := then()
		live = s.countTokens()
		return err
	}})
	if err != nil || !stored {
		return false, err
	}
	s.tokens.Store(live)
	return true, nil
}

// putToken puts a new token, or one in the place of that of its hash. Error: store.ErrFull.
func (x *index) putToken(t token) (err error) {
	number, found := x.tokens[t.hash]
	if !found {
		if number, err = x.place(keptForGuess); err != nil {
			return err
		}
		x.tokens[t.hash] = number
	}
	x.putEnd(t.expires, number)
	return x.write(number, t.encode(number))
}

// countTokens counts the live tokens of users, for whoever holds the index.
func (s *Store) countTokens() (live int64) {
	now := s.clock.now()
	for hash := range s.index.tokens {
		if t, err := s.index.token(hash); err == nil && t.Kind == store.UserToken && t.expires > now {
			live++
		}
	}
	return live
}

// Token implements store.Store. The comparison of hashes need not take constant time: a hash that matches in its first
// bytes tells nobody how to find a token for the rest.
func (s *Store) Token(_ context.Context, kind store.TokenKind, hash store.TokenHash) (store.Token, error) {
	var t token
	err := s.index.view(func() (err error) { t, err = s.index.token(hash); return err })
	if err != nil {
		return store.Token{}, err
	}
	left := t.expires - s.clock.now()
	if left <= 0 || t.Kind != kind {
		return store.Token{}, store.ErrNoToken
	}
	t.TTL = time.Duration(left) * time.Millisecond
	return t.Token, nil
}
