package embedded

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hakanai/store"
)

// PutToken implements store.Store.
func (s *Store) PutToken(ctx context.Context, hash store.TokenHash, token store.Token) error {
	_, err := s.putToken(ctx, hash, token, func(*indexTx) bool { return true })
	return err
}

// PutFirstToken implements store.Store.
func (s *Store) PutFirstToken(ctx context.Context, hash store.TokenHash, token store.Token) (bool, error) {
	return s.putToken(ctx, hash, token, func(tx *indexTx) bool {
		now, cursor := s.clock.now(), tx.tokens.Cursor()
		for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
			if expires, _, err := decodeToken(value); err != nil || expires > now {
				return false
			}
		}
		return true
	})
}

// putToken stores a token if a condition holds inside the transaction.
func (s *Store) putToken(
	ctx context.Context, hash store.TokenHash, token store.Token, condition func(*indexTx) bool,
) (stored bool, err error) {
	if token.TTL < time.Millisecond {
		return false, fmt.Errorf("a token cannot live for %s", token.TTL)
	}
	added := 0
	err = s.writer.do(ctx, op{run: func(tx *indexTx) error {
		if stored = condition(tx); !stored {
			return nil
		}
		before, err := removeToken(tx, hash)
		if err != nil {
			return err
		}
		added = 1 - before
		expires := s.clock.now() + token.TTL.Milliseconds()
		return errors.Join(
			tx.tokens.Put(hash[:], encodeToken(expires, token.UploadSizeLimit)),
			tx.putEnd(expires, endToken, hash[:]))
	}})
	if err != nil {
		return false, err
	}
	s.tokens.Add(int64(added))
	return stored, nil
}

// Token implements store.Store. The comparison of hashes need not take constant time: a hash that matches in its first
// bytes tells nobody how to find a token for the rest.
func (s *Store) Token(_ context.Context, hash store.TokenHash) (token store.Token, err error) {
	err = s.index.view(func(tx *indexTx) error {
		value := tx.tokens.Get(hash[:])
		if value == nil {
			return store.ErrNoToken
		}
		expires, limit, err := decodeToken(value)
		if err != nil {
			return err
		}
		left := expires - s.clock.now()
		if left <= 0 {
			return store.ErrNoToken
		}
		token = store.Token{TTL: time.Duration(left) * time.Millisecond, UploadSizeLimit: limit}
		return nil
	})
	return token, err
}

// RemoveToken implements store.Store.
func (s *Store) RemoveToken(ctx context.Context, hash store.TokenHash) error {
	removed := 0
	err := s.writer.do(ctx, op{run: func(tx *indexTx) (err error) {
		removed, err = removeToken(tx, hash)
		return err
	}})
	if err == nil {
		s.tokens.Add(int64(-removed))
	}
	return err
}

// removeToken removes a token and its end, and says how many that were.
func removeToken(tx *indexTx, hash store.TokenHash) (int, error) {
	value := tx.tokens.Get(hash[:])
	if value == nil {
		return 0, nil
	}
	if expires, _, err := decodeToken(value); err == nil {
		if err := tx.removeEnd(expires, endToken, hash[:]); err != nil {
			return 0, err
		}
	}
	return 1, tx.tokens.Delete(hash[:])
}
