// Package api holds what the server and its clients say to each other: paths, headers, and the shapes of
// requests and answers. It knows nothing of stores or of cryptography.
package api

import (
	"encoding/base64"
	"math"
	"math/bits"
)

// Paths of the HTTP API. A secret's own path is SecretPath + "/" + its id.
const (
	SecretPath = "/api/v1/secret"
	LinkPath   = "/s"
)

// Headers of the claim on a secret, "one viewer, not one attempt".
const (
	// ClaimHeader is a request's: 32 random bytes in base64url. Whoever sends the same again may repeat the request.
	ClaimHeader = "X-Hakanai-Claim"
	// LeaseHeader is an answer's: for how many seconds that may be.
	LeaseHeader = "X-Hakanai-Lease"
)

// UserAgentPrefix is what the User-Agent of every command-line client begins with. A GET on LinkPath with it is
// answered with the ciphertext rather than with the web page.
const UserAgentPrefix = "hakanai-"

// CreateResponse answers POST /api/v1/secret.
type CreateResponse struct {
	ID string `json:"id"` // UUID version 4
}

// ErrorResponse is the body of every answer with an error status to a client that accepts application/json. Other
// clients get the same text as text/plain.
type ErrorResponse struct {
	Error string `json:"error"`
}

const (
	// payloadOverhead bounds what a payload holds besides its content: the JSON around it, a file name, and the
	// least padding.
	payloadOverhead = 2048
	// sealOverhead is the nonce (12 bytes) and the tag (16) of AES-256-GCM.
	sealOverhead = 12 + 16
)

// CiphertextBound is the largest ciphertext, in bytes, that a secret of limit bytes can become: its content in base64
// inside a JSON payload, sealed, and padded (Padmé: 12 % more at most). Servers bound what they accept by it.
func CiphertextBound(limit int64) int64 {
	if limit > math.MaxInt64/4 {
		return math.MaxInt64
	}
	return padme((limit+2)/3*4 + payloadOverhead + sealOverhead)
}

// RequestBound is the largest body of POST /api/v1/secret, in bytes, that can carry a ciphertext of the given size:
// base64, with room for JSON's optional escapes of its slashes, and 64 KiB for everything around it.
func RequestBound(ciphertext int64) int64 {
	if ciphertext > math.MaxInt64/4 {
		return math.MaxInt64
	}
	encoded := int64(base64.StdEncoding.EncodedLen(int(ciphertext)))
	return encoded + encoded/16 + 64<<10
}

// padme rounds a length up so that it tells only O(log log n) bits of the original
// (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", 2019, section 4).
func padme(n int64) int64 {
	e := bits.Len64(uint64(n)) - 1
	s := bits.Len64(uint64(e))
	mask := int64(1)<<max(e-s, 0) - 1
	return (n + mask) &^ mask
}
