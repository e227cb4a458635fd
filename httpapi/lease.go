package httpapi

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"hakanai/httpapi/api"
	"hakanai/store"
)

// One viewer, not one attempt: a caller that sends a value of its own with its request claims the secret for whoever has
// that value, for a while. If the connection breaks it may ask again, and everybody else is told that the secret is gone.
// A caller without one has a single attempt.

// How long a lease is: time enough for a slow connection to have the secret, and to break and come back.
const (
	minLease  = time.Minute
	maxLease  = 10 * time.Minute
	leaseRate = 64 << 10 // bytes of the answer a second
)

// shortestLeased is the largest ciphertext for which the shortest lease is long enough.
const shortestLeased = int64(minLease/time.Second) * leaseRate / 4 * 3

func leaseOf(ciphertext int64) time.Duration {
	return min(max(time.Duration(encodedLen(ciphertext)/leaseRate)*time.Second, minLease), maxLease)
}

// claimant reads the claim header. Without it, the caller is somebody whom nobody can be again, and has no lease.
func (s *Server) claimant(h http.Header) (claimant store.Claimant, leased bool, err error) {
	var value [32]byte
	switch lines := h.Values(api.ClaimHeader); len(lines) {
	case 0:
		if _, err := io.ReadFull(s.random, value[:]); err != nil {
			return claimant, false, fmt.Errorf("drawing a claimant's value: %w", err)
		}
		return sha256.Sum256(value[:]), false, nil
	case 1:
		if len(lines[0]) == base64.RawURLEncoding.EncodedLen(len(value)) {
			if _, err := base64.RawURLEncoding.Strict().Decode(value[:], []byte(lines[0])); err == nil {
				return sha256.Sum256(value[:]), true, nil
			}
		}
	}
	return claimant, false, badRequest(api.ClaimHeader + " must be 32 bytes in base64url, 43 characters")
}

// endLease answers DELETE on a secret's path: its claimant has it.
func (s *Server) endLease(w http.ResponseWriter, r *http.Request) {
	if err := s.end(r); err != nil {
		s.failWith(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) end(r *http.Request) error {
	id, err := parseID(r.PathValue("id"))
	if err != nil {
		return err
	}
	claimant, leased, err := s.claimant(r.Header)
	if err != nil {
		return err
	}
	if !leased {
		return badRequest("only who has claimed a secret ends the claim: " + api.ClaimHeader + " is missing")
	}
	return s.store.End(r.Context(), id, claimant)
}

// span is the part of an answer that is asked for: from its first byte to before its last one.
type span struct{ first, last int64 }

var errRange = errors.New("the range cannot be satisfied")

// readRange reads a Range header of one range (RFC 9110, section 14.1.2) against an answer of a length. Without the header
// all is asked for. Error: errRange.
func readRange(h http.Header, length int64) (part span, partial bool, err error) {
	lines := h.Values("Range")
	if len(lines) == 0 {
		return span{0, length}, false, nil
	}
	text, ok := strings.CutPrefix(lines[0], "bytes=")
	from, to, dashed := strings.Cut(text, "-")
	if !ok || !dashed || len(lines) > 1 {
		return part, false, errRange
	}
	if from == "" { // the last so many
		n, ok := readNumber(to)
		if !ok || n == 0 {
			return part, false, errRange
		}
		return span{max(length-n, 0), length}, true, nil
	}
	part.last = length
	if part.first, ok = readNumber(from); !ok || part.first >= length {
		return part, false, errRange
	}
	if to != "" {
		last, ok := readNumber(to)
		if !ok || last < part.first {
			return part, false, errRange
		}
		part.last = min(last, length-1) + 1
	}
	return part, true, nil
}

// placeOf is where a Range begins in the ciphertext of an answer whose length is not known yet, in bytes; how many of the
// last bytes it is, if that is what it says, with a minus. What cannot be read begins at the beginning.
func placeOf(h http.Header) int64 {
	const far = math.MaxInt64
	part, partial, err := readRange(h, far)
	switch {
	case err != nil || !partial:
		return 0
	case part.first > far/2: // so many from the end
		return -((far-part.first)/4*3 + 3)
	}
	return part.first / 4 * 3
}

func readNumber(text string) (n int64, ok bool) {
	if text == "" || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return math.MaxInt64, true
	}
	return n, err == nil
}

func encodedLen(ciphertext int64) int64 { return (ciphertext + 2) / 3 * 4 }
