package valkey

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/valkey-io/valkey-go"

	"hakanai/store"
)

// PutToken implements store.Store.
func (s *Store) PutToken(ctx context.Context, hash store.TokenHash, token store.Token) error {
	_, err := s.putToken(ctx, hash, token, "")
	return err
}

// PutFirstToken implements store.Store.
func (s *Store) PutFirstToken(ctx context.Context, hash store.TokenHash, token store.Token) (bool, error) {
	return s.putToken(ctx, hash, token, "first")
}

// ReplaceTokens implements store.Store.
func (s *Store) ReplaceTokens(ctx context.Context, hash store.TokenHash, token store.Token) error {
	_, err := s.putToken(ctx, hash, token, "replace")
	return err
}

func (s *Store) putToken(ctx context.Context, hash store.TokenHash, token store.Token, how string) (bool, error) {
	if token.TTL < time.Millisecond {
		return false, fmt.Errorf("a token cannot live for %s", token.TTL)
	}
	r, err := s.run(ctx, call{
		script: s.scripts.putToken,
		keys:   []string{tokenKey(token.Kind, hash), tokensKey(token.Kind)},
		args: []string{
			hex.EncodeToString(hash[:]), milliseconds(token.TTL), strconv.FormatInt(token.UploadSizeLimit, 10), how,
		},
		durable: true,
	})
	return r.status == "done", err
}

// Token implements store.Store.
func (s *Store) Token(ctx context.Context, kind store.TokenKind, hash store.TokenHash) (token store.Token, err error) {
	key := tokenKey(kind, hash)
	return s.lookups.share(key, func() (store.Token, error) { return s.token(context.WithoutCancel(ctx), kind, key) })
}

func (s *Store) token(ctx context.Context, kind store.TokenKind, key string) (token store.Token, err error) {
	err = s.small(ctx, func(ctx context.Context, c valkey.Client) error {
		token = store.Token{}
		results := c.DoMulti(ctx, c.B().Get().Key(key).Build(), c.B().Pttl().Key(key).Build())
		limit, err := results[0].AsInt64()
		if valkey.IsValkeyNil(err) {
			return nil
		}
		if err != nil {
			return err
		}
		left, err := results[1].AsInt64()
		token = store.Token{Kind: kind, TTL: time.Duration(left) * time.Millisecond, UploadSizeLimit: limit}
		return err
	})
	if err == nil && token.TTL <= 0 {
		return store.Token{}, store.ErrNoToken
	}
	return token, err
}
