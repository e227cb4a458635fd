package httpapi

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"hakanai/httpapi/api"
	"hakanai/store"
)

// guessLimits bound the guesses at a passphrase: five in ten minutes from one network, a hundred in an hour from
// anywhere. The second half of those is for wide networks that have not guessed: to keep the recipient waiting, somebody
// needs fifty of them each hour. The secret stays, whoever guesses.
var guessLimits = store.AttemptLimits{ //nolint:gochecknoglobals // constant
	Near: 5, NearWindow: 10 * time.Minute, All: 100, Reserve: 50, AllWindow: time.Hour,
}

// maxEntries bounds the entries of one kind of restriction.
const maxEntries = 256

// readRestrictions reads the field of a request. A kind that is not known is an error: a secret must not be stored as if
// it had not been restricted.
func readRestrictions(value []byte) (restrictions api.Restrictions, err error) {
	if string(value) == "null" {
		return restrictions, nil
	}
	fields := []string{"allowed_ips", "allowed_countries", "allowed_asns", "passphrase_hash"}
	if err := readObject(value, &restrictions, fields); err != nil {
		return restrictions, badRequest(
			"restrictions must be an object of allowed_ips, allowed_countries, allowed_asns and passphrase_hash, each once at most")
	}
	return restrictions, nil
}

// restrictions turns a request's restrictions into those that are stored with the secret.
func (s *Server) restrictions(id store.ID, r api.Restrictions) (stored store.Restrictions, err error) {
	if max(len(r.AllowedIPs), len(r.AllowedCountries), len(r.AllowedASNs)) > maxEntries {
		return stored, badRequest(fmt.Sprintf("restrictions may have %d entries of each kind at most", maxEntries))
	}
	for _, text := range r.AllowedIPs {
		network, err := api.ParseNetwork(text)
		if err != nil {
			return stored, badRequest("allowed_ips must be IPv4 or IPv6 addresses, or ranges such as 192.0.2.0/24")
		}
		stored.Networks = append(stored.Networks, network)
	}
	for _, code := range r.AllowedCountries {
		if !api.IsCountry(code) {
			return stored, badRequest("allowed_countries must be ISO 3166-1 codes of two upper-case letters, such as DE")
		}
	}
	if r.PassphraseHash != nil {
		if !isPassphraseHash(*r.PassphraseHash) {
			return stored, badRequest("passphrase_hash must be a SHA-256 in 64 lower-case hexadecimal digits")
		}
		stored.Passphrase = verifier(id, *r.PassphraseHash)
	}
	if len(r.AllowedCountries) > 0 && s.countryHeader == "" || len(r.AllowedASNs) > 0 && s.asnHeader == "" {
		return stored, refuse(http.StatusNotImplemented, "this server cannot tell callers' countries or autonomous systems")
	}
	stored.Countries, stored.ASNs = r.AllowedCountries, r.AllowedASNs
	return stored, nil
}

func isPassphraseHash(text string) bool {
	return len(text) == 2*sha256.Size && strings.Trim(text, "0123456789abcdef") == ""
}

// verifier is what is stored of a passphrase: a hash, keyed with the secret's id, of the header's value. The id is not
// in the store, so that a copy of the store can neither be replayed nor be used to guess.
func verifier(id store.ID, passphraseHash string) []byte {
	mac := hmac.New(sha256.New, id[:])
	_, _ = io.WriteString(mac, passphraseHash) // never fails
	return mac.Sum(nil)
}

// mayRetrieve checks what stands before a secret. It consumes nothing. Whatever kind keeps a caller out, the answer is
// the same, and so it is for a passphrase that is missing and one that is wrong.
func (s *Server) mayRetrieve(ctx context.Context, id store.ID, r store.Restrictions, h http.Header, c caller) error {
	if !allowed(r, c) {
		return refuse(http.StatusForbidden, "the secret may not be retrieved from here")
	}
	if len(r.Passphrase) == 0 {
		return nil
	}
	wrong := refuse(http.StatusUnauthorized, "a passphrase is needed to retrieve the secret")
	given := h.Get(api.PassphraseHeader)
	if !isPassphraseHash(given) { // no guess: it cannot be right
		return wrong
	}
	if err := s.countGuess(ctx, id, c, guessLimits, "there were too many wrong passphrases: try again later"); err != nil {
		return err
	}
	if !hmac.Equal(verifier(id, given), r.Passphrase) {
		return wrong
	}
	return s.forgive(ctx, id, c)
}

// countGuess counts a guess before it is made, and refuses it when there were too many.
func (s *Server) countGuess(ctx context.Context, id store.ID, c caller, limits store.AttemptLimits, refusal string) error {
	wait, err := s.store.Attempt(ctx, id, c.origin(), limits)
	if err != nil {
		return fmt.Errorf("counting a guess: %w", err)
	}
	if wait > 0 {
		return &requestError{status: http.StatusTooManyRequests, text: refusal, retryAfter: wait}
	}
	return nil
}

// forgive takes back a guess that was right. A store that is down leaves it counted: the caller has done nothing wrong,
// and what comes next will say so.
func (s *Server) forgive(ctx context.Context, id store.ID, c caller) error {
	if err := s.store.Forgive(ctx, id, c.origin()); err != nil && !errors.Is(err, store.ErrDown) {
		return fmt.Errorf("forgetting a guess: %w", err)
	}
	return nil
}

// allowed tells whether a caller meets every restriction that is set.
func allowed(r store.Restrictions, c caller) bool {
	return (len(r.Networks) == 0 || c.in(r.Networks)) &&
		(len(r.Countries) == 0 || slices.Contains(r.Countries, c.country)) &&
		(len(r.ASNs) == 0 || c.hasASN && slices.Contains(r.ASNs, c.asn))
}
