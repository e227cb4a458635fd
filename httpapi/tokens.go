package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"hakanai/store"
)

// DefaultTokenTTL is how long a token lives that nobody chose a life for.
const DefaultTokenTTL = 30 * 24 * time.Hour

// MakeFirstToken stores a new user token if the store holds none, and returns it, or "" when there was one already. It
// is the only time that the token can be read: the store keeps its hash.
func MakeFirstToken(ctx context.Context, s store.Store, random io.Reader) (string, error) {
	var secret [32]byte
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return "", fmt.Errorf("drawing a token: %w", err)
	}
	token := base64.RawURLEncoding.EncodeToString(secret[:])
	stored, err := s.PutFirstToken(ctx, hashToken(token), store.Token{Kind: store.UserToken, TTL: DefaultTokenTTL})
	if err != nil {
		return "", fmt.Errorf("storing the first token: %w", err)
	}
	if !stored {
		return "", nil
	}
	return token, nil
}

func hashToken(token string) store.TokenHash { return sha256.Sum256([]byte(token)) }

// mayCreate returns the caller's limit on a secret's size, in bytes before encryption, or the error that refuses it.
func (s *Server) mayCreate(w http.ResponseWriter, r *http.Request) (limit int64, err error) {
	token, ok := bearer(r)
	if !ok {
		w.Header().Set("WWW-Authenticate", "Bearer")
		return 0, &requestError{http.StatusUnauthorized, "a token is needed to create a secret here"}
	}
	known, err := s.store.Token(r.Context(), store.UserToken, hashToken(token))
	if errors.Is(err, store.ErrNoToken) {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		return 0, &requestError{http.StatusUnauthorized, "the token is unknown or has expired"}
	}
	if err != nil {
		return 0, fmt.Errorf("looking a token up: %w", err)
	}
	if known.UploadSizeLimit > 0 {
		return known.UploadSizeLimit, nil
	}
	return s.uploadSizeLimit, nil
}

// bearer returns the request's token (RFC 6750, section 2.1).
func bearer(r *http.Request) (token string, ok bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != ""
}
