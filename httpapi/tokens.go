package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"sort"
	"strings"
	"time"

	"hakanai/httpapi/api"
	"hakanai/store"
)

// How long tokens live that nobody chose a life for. An admin token is replaced rather than renewed.
const (
	DefaultTokenTTL = 30 * 24 * time.Hour
	AdminTokenTTL   = 100 * 365 * 24 * time.Hour
)

// maxTokenTTL bounds what may be asked for.
const maxTokenTTL = 10 * 365 * 24 * time.Hour

// NewToken draws a token. What is stored of it is its hash: it can be read this once.
func NewToken(random io.Reader) (token string, hash store.TokenHash, err error) {
	var secret [32]byte
	if _, err := io.ReadFull(random, secret[:]); err != nil {
		return "", hash, fmt.Errorf("drawing a token: %w", err)
	}
	token = base64.RawURLEncoding.EncodeToString(secret[:])
	return token, hashToken(token), nil
}

// DefaultToken is what is stored for a token of a kind that the server or its operator makes, with the default life and
// no limit of its own.
func DefaultToken(kind store.TokenKind) store.Token {
	if kind == store.AdminToken {
		return store.Token{Kind: kind, TTL: AdminTokenTTL}
	}
	return store.Token{Kind: kind, TTL: DefaultTokenTTL}
}

// hashToken makes the hash that a token is stored and found by. Looking it up in the store need not take constant time:
// a hash that matches in its first bytes tells nobody how to find a token for the rest.
func hashToken(token string) store.TokenHash { return sha256.Sum256([]byte(token)) }

// creator is what somebody who may create a secret has at their disposal.
type creator struct {
	kind    string // as webhooks name it
	limit   int64  // on a secret's size, bytes before encryption and encoding
	account store.Account
	quota   int64  // on all that the account is charged; 0 for any
	over    string // what they are told when the quota is used up
}

// noLimit is the limit of callers who have none.
const noLimit = math.MaxInt64

// mayCreate tells what the caller may create, or the error that refuses it.
func (s *Server) mayCreate(w http.ResponseWriter, r *http.Request) (c creator, err error) {
	token, ok := bearer(r)
	switch {
	case ok:
		known, err := s.knownToken(w, r, store.UserToken, token)
		if err != nil {
			return c, err
		}
		c = creator{
			kind: api.Authenticated, limit: s.uploadSizeLimit, account: accountOf(token), quota: s.tokenQuota,
			over: "too much is stored here already with your token: there is room again when secrets are retrieved or expire",
		}
		if known.UploadSizeLimit > 0 {
			c.limit = known.UploadSizeLimit
		}
	case s.allowAnonymous && r.Header.Get("Authorization") == "":
		c = creator{
			kind: api.Anonymous, limit: s.anonymousSizeLimit, account: accountOf(""), quota: s.anonymousQuota,
			over: "too much is stored here already by callers without a token: try again later, or use a token",
		}
	default:
		w.Header().Set("WWW-Authenticate", "Bearer")
		return c, refuse(http.StatusUnauthorized, "a token is needed to create a secret here")
	}
	if s.caller(r).trusted {
		return creator{kind: api.Whitelisted, limit: noLimit}, nil
	}
	if c.quota > 0 { // what never fits is refused as too large, at once, rather than asked to come again
		c.limit = min(c.limit, limitWithin(c.quota))
	}
	return c, nil
}

// besideCiphertext is room in a quota for what a secret is charged besides its ciphertext: store.Overhead, and the
// longest restrictions.
const besideCiphertext = 32 << 10

// QuotaFor is the smallest quota that fits one secret of a size.
func QuotaFor(size int64) int64 {
	bound := api.CiphertextBound(size)
	return bound + min(besideCiphertext, math.MaxInt64-bound)
}

// limitWithin is the size of the largest secret that fits a quota.
func limitWithin(quota int64) int64 {
	over := sort.Search(math.MaxInt, func(size int) bool { return QuotaFor(int64(size)) > quota })
	return int64(max(over-1, 1))
}

// knownToken looks a token of a kind up.
func (s *Server) knownToken(
	w http.ResponseWriter, r *http.Request, kind store.TokenKind, token string,
) (known store.Token, err error) {
	known, err = s.store.Token(r.Context(), kind, hashToken(token))
	if errors.Is(err, store.ErrNoToken) {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		return known, refuse(http.StatusUnauthorized, "the token is unknown or has expired")
	}
	if err != nil {
		return known, fmt.Errorf("looking a token up: %w", err)
	}
	return known, nil
}

// accountOf names the account of a token; all callers without one share theirs.
func accountOf(token string) store.Account {
	sum := sha256.Sum256([]byte("hakanai account " + token))
	return store.Account(sum[:16])
}

// bearer returns the request's token (RFC 6750, section 2.1).
func bearer(r *http.Request) (token string, ok bool) {
	scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	return token, ok && strings.EqualFold(scheme, "Bearer") && token != ""
}

// makeToken answers POST /api/v1/admin/tokens: a new user token, for who has the admin token and comes from a trusted
// range.
func (s *Server) makeToken(w http.ResponseWriter, r *http.Request) {
	token, err := s.makeUserToken(w, r)
	if err != nil {
		s.failWith(w, r, err)
		return
	}
	s.answer(w, r, api.TokenResponse{Token: token})
}

func (s *Server) makeUserToken(w http.ResponseWriter, r *http.Request) (string, error) {
	if !s.caller(r).trusted {
		return "", refuse(http.StatusForbidden, "tokens cannot be made from here")
	}
	admin, ok := bearer(r)
	if !ok {
		w.Header().Set("WWW-Authenticate", "Bearer")
		return "", refuse(http.StatusUnauthorized, "the admin token is needed to make tokens")
	}
	if err := s.mayMakeTokens(w, r, admin); err != nil {
		return "", err
	}
	made, err := readTokenRequest(r.Body)
	if err != nil {
		return "", err
	}
	token, hash, err := NewToken(s.random)
	if err != nil {
		return "", err
	}
	if err := s.store.PutToken(r.Context(), hash, made); err != nil {
		return "", fmt.Errorf("storing a token: %w", err)
	}
	return token, nil
}

// adminGuessLimits bound the wrong admin tokens from one network. Nobody guesses 256 bits: it is for those who try many
// that they have found somewhere, and keeps them out of the store.
var adminGuessLimits = store.AttemptLimits{Near: 10, NearWindow: 10 * time.Minute} //nolint:gochecknoglobals // constant

// adminGuesses is what guesses at the admin token are counted by. No secret has this id.
var adminGuesses = store.ID{} //nolint:gochecknoglobals // constant

// mayMakeTokens checks the admin token.
func (s *Server) mayMakeTokens(w http.ResponseWriter, r *http.Request, admin string) error {
	c := s.caller(r)
	if err := s.countGuess(
		r.Context(), adminGuesses, c, adminGuessLimits, "there were too many wrong admin tokens: try again later",
	); err != nil {
		return err
	}
	if _, err := s.knownToken(w, r, store.AdminToken, admin); err != nil {
		return err
	}
	return s.forgive(r.Context(), adminGuesses, c)
}

// maxTokenRequest bounds the body of a request for a token, in bytes.
const maxTokenRequest = 4 << 10

// readTokenRequest reads what kind of token is asked for.
func readTokenRequest(body io.Reader) (token store.Token, err error) {
	malformed := badRequest("the body must be JSON such as {\"upload_size_limit\": 1048576, \"ttl_seconds\": 86400}")
	raw, err := io.ReadAll(io.LimitReader(body, maxTokenRequest+1))
	if err != nil {
		return token, bodyFailed(callerFailed("reading the body", err))
	}
	var request api.TokenRequest
	if len(raw) > maxTokenRequest || readObject(raw, &request, []string{"upload_size_limit", "ttl_seconds"}) != nil {
		return token, malformed
	}
	token = DefaultToken(store.UserToken)
	if request.UploadSizeLimit != nil {
		if token.UploadSizeLimit = *request.UploadSizeLimit; token.UploadSizeLimit < 1 {
			return token, badRequest("upload_size_limit must be a number of bytes, 1 at least")
		}
	}
	if seconds := request.TTLSeconds; seconds != nil {
		if *seconds < 1 || *seconds > int64(maxTokenTTL/time.Second) {
			return token, badRequest(fmt.Sprintf("ttl_seconds must be from 1 to %d", int64(maxTokenTTL/time.Second)))
		}
		token.TTL = time.Duration(*seconds) * time.Second
	}
	return token, nil
}
