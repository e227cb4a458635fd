package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"hakanai/store"
)

// PutToken implements store.Store.
func (s *Store) PutToken(ctx context.Context, hash store.TokenHash, token store.Token) error {
	_, err := s.putToken(ctx, hash, token, func(*indexTx) (bool, error) { return true, nil })
	return err
}

// PutFirstToken implements store.Store.
func (s *Store) PutFirstToken(ctx context.Context, hash store.TokenHash, token store.Token) (bool, error) {
	return s.putToken(ctx, hash, token, func(tx *indexTx) (bool, error) {
		now, cursor := s.clock.now(), tx.tokens.Cursor()
		for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
			if bytes.Equal(key, hash[:]) { // the same one again: its first storing was not answered
				continue
			}
			if expires, t, err := decodeToken(value); err != nil || t.Kind == token.Kind && expires > now {
				return false, nil
			}
		}
		return true, nil
	})
}

// ReplaceTokens implements store.Store.
func (s *Store) ReplaceTokens(ctx context.Context, hash store.TokenHash, token store.Token) error {
	_, err := s.putToken(ctx, hash, token, func(tx *indexTx) (bool, error) {
		var others []store.TokenHash
		err := tx.tokens.ForEach(func(key, value []byte) error {
			if _, t, err := decodeToken(value); len(key) == len(hash) && (err != nil || t.Kind == token.Kind) {
				others = append(others, store.TokenHash(key))
			}
			return nil
		})
		for _, other := range others {
			err = errors.Join(err, removeToken(tx, other))
		}
		return true, err
	})
	return err
}

// putToken stores a token if what is prepared inside the transaction says so.
func (s *Store) putToken(
	ctx context.Context, hash store.TokenHash, token store.Token, prepare func(*indexTx) (bool, error),
) (stored bool, err error) {
	if token.TTL < time.Millisecond {
		return false, fmt.Errorf("a token cannot live for %s", token.TTL)
	}
	live := int64(0)
	err = s.writer.do(ctx, op{run: func(tx *indexTx) error {
		if stored, err = prepare(tx); !stored || err != nil {
			return err
		}
		expires := s.clock.now() + token.TTL.Milliseconds()
		err := errors.Join(removeToken(tx, hash),
			tx.tokens.Put(hash[:], encodeToken(expires, token)),
			tx.putEnd(expires, endToken, hash[:]))
		live = s.countTokens(tx)
		return err
	}})
	if err != nil || !stored {
		return false, err
	}
	s.tokens.Store(live)
	return true, nil
}

// countTokens counts the live tokens of users.
func (s *Store) countTokens(tx *indexTx) (live int64) {
	now := s.clock.now()
	_ = tx.tokens.ForEach(func(_, value []byte) error { // fails only if what it calls does
		if expires, t, err := decodeToken(value); err == nil && t.Kind == store.UserToken && expires > now {
			live++
		}
		return nil
	})
	return live
}

// Token implements store.Store. The comparison of hashes need not take constant time: a hash that matches in its first
// bytes tells nobody how to find a token for the rest.
func (s *Store) Token(_ context.Context, kind store.TokenKind, hash store.TokenHash) (token store.Token, err error) {
	err = s.index.view(func(tx *indexTx) error {
		value := tx.tokens.Get(hash[:])
		if value == nil {
			return store.ErrNoToken
		}
		expires, t, err := decodeToken(value)
		if err != nil {
			return err
		}
		left := expires - s.clock.now()
		if left <= 0 || t.Kind != kind {
			return store.ErrNoToken
		}
		t.TTL = time.Duration(left) * time.Millisecond
		token = t
		return nil
	})
	return token, err
}

// removeToken removes a token, if it is there, and its end.
func removeToken(tx *indexTx, hash store.TokenHash) error {
	value := tx.tokens.Get(hash[:])
	if value == nil {
		return nil
	}
	if expires, _, err := decodeToken(value); err == nil {
		if err := tx.removeEnd(expires, endToken, hash[:]); err != nil {
			return err
		}
	}
	return tx.tokens.Delete(hash[:])
}
