// Package store says what Hakanai needs of the place where secrets wait, and promises one thing above all: a secret is
// claimed at most once, whatever happens — two callers at the same instant, a crash, a failover.
//
// A store holds ciphertext, never plain text and never a key that opens it for a reader. It is used in a few steps:
// a [Draft] is written piece by piece and committed; [Store.Look] tells what stands before a secret without consuming
// it; [Store.Claim] consumes it. Package storetest holds the suite that every implementation passes.
package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/google/uuid"
)

// ID names a secret: 128 bits, at least 122 of them random. Whoever knows it can consume the secret, so it is never
// listed, logged or stored in the clear.
type ID = uuid.UUID

// Errors that callers decide by. Any other error of a store means that it is not well: nothing was consumed and nothing
// was acknowledged.
var (
	ErrNotFound = errors.New("no such secret, or it has expired")
	ErrLook     = errors.New("something stands before the secret")
	ErrGone     = errors.New("the secret has been retrieved already")
	ErrExists   = errors.New("the id is in use")
	ErrFull     = errors.New("the store is full")
	ErrInUse    = errors.New("in use by another process")
	ErrUsedUp   = errors.New("the claim has been repeated too often")
	ErrNoToken  = errors.New("no such token, or it has expired")
	ErrQuota    = errors.New("the account has as much stored as it may")
	// ErrDown is the answer of a store that cannot be reached, or is not well. Nothing was acknowledged, and what was
	// consumed is undone.
	ErrDown = errors.New("the store is not available")
	// ErrClockJump is a create's answer while the store waits to see whether a jump of the clock is real.
	ErrClockJump = errors.New("the clock has jumped")
)

// Store is one place where secrets wait. All methods may be called at the same time from anywhere, and by several
// servers where the implementation is made for several.
type Store interface {
	// Draft opens a draft of the secret's ciphertext. Nothing of it is visible to anybody before its commit.
	Draft(ctx context.Context, id ID) (Draft, error)

	// Look returns what is known about a live secret, and consumes nothing.
	// Errors: ErrNotFound, ErrGone.
	Look(ctx context.Context, id ID) (Secret, error)

	// Claim consumes the secret for one claimant. When it returns without an error the claim is durable, and everybody
	// else gets ErrGone for as long as the secret could have lived. With a lease of 0 the claim is final at once: not
	// even the same claimant can repeat it. With a lease, the same claimant may resume until the lease ends (never later
	// than the secret's own end) or is ended. The secret counts against its account's quota until then.
	// Errors: ErrNotFound, ErrGone.
	Claim(ctx context.Context, id ID, claimant Claimant, lease time.Duration) (Claim, error)

	// ClaimUnseen is Claim without a look before it, for a secret of at most a size before which nothing stands.
	// Errors: those of Claim; ErrLook when the secret is larger or has restrictions.
	ClaimUnseen(ctx context.Context, id ID, claimant Claimant, lease time.Duration, most int64) (Claim, error)

	// Resume repeats a claim under its lease, for its claimant alone. It never claims: what stands before a secret is for
	// Claim. From is where the ciphertext will be read from, in bytes, or, if it is negative, how many of its last bytes will
	// be; what may be read of a lease is bounded (see MaxRepeats and MaxRead).
	// Errors: ErrNotFound when there is nothing, or nothing that was claimed; ErrGone when it is another's, or over;
	// ErrUsedUp.
	Resume(ctx context.Context, id ID, claimant Claimant, from int64) (Claim, error)

	// End ends a claimant's lease, and destroys the ciphertext. It never claims.
	// Errors: ErrNotFound when there is nothing, or nothing that was claimed; ErrGone when it is another's, or over.
	End(ctx context.Context, id ID, claimant Claimant) error

	// PutToken stores a token, or replaces the one of the same hash. A time to live of 0 or less is an error.
	PutToken(ctx context.Context, hash TokenHash, token Token) error
	// PutFirstToken stores the token if the store holds none of its kind, and tells whether it did.
	PutFirstToken(ctx context.Context, hash TokenHash, token Token) (stored bool, err error)
	// ReplaceTokens stores the token and removes all others of its kind, in one step.
	ReplaceTokens(ctx context.Context, hash TokenHash, token Token) error
	// Token returns a token of a kind that has not expired; TTL is what is left of its life. Error: ErrNoToken.
	Token(ctx context.Context, kind TokenKind, hash TokenHash) (Token, error)

	// Attempt counts one guess at a secret's passphrase, and tells whether it may be made: 0, or for how long no more
	// guesses are heard from there. It counts before anybody compares, so that many guesses at the same instant are not
	// more than one after the other. One that may not be made is not counted. It works when the store is full.
	Attempt(ctx context.Context, id ID, from Origin, limits AttemptLimits) (wait time.Duration, err error)
	// Forgive takes back one counted guess, which was right.
	Forgive(ctx context.Context, id ID, from Origin) error

	// Count tells how much is alive. It is cheap.
	Count(ctx context.Context) (Counts, error)
	// Check returns an error when the store could not serve a create and a claim just now.
	Check(ctx context.Context) error
	// String describes the store for a person, without credentials.
	String() string
	// Close waits for what is under way and gives the store's resources back. Using the store later is an error.
	Close() error
}

// Draft is a secret that is not there yet. It belongs to one goroutine.
type Draft interface {
	// Write appends ciphertext. Error: ErrFull.
	io.Writer
	// Commit makes the secret visible, with all that is known about it, and returns when it is durable.
	// Errors: ErrExists, ErrFull, ErrQuota, ErrClockJump.
	Commit(ctx context.Context, secret Secret) error
	// Discard leaves nothing of the draft behind. After a commit that succeeded it does nothing.
	Discard()
}

// Secret is what a store knows about a secret besides its ciphertext. They are one record: none outlives another.
type Secret struct {
	TTL          time.Duration // what is left of its life; at least a millisecond at commit
	Restrictions Restrictions
	Size         int64 // bytes of ciphertext; set by the store

	// Account is who has to answer for the room that the secret takes, until it is claimed or expires. Quota is how much
	// all live secrets of the account may be charged together (see Charge), this one included; 0 means any. Both are
	// given at commit and not told again.
	Account Account
	Quota   int64
}

// Overhead is what a secret is charged besides its ciphertext and restrictions: what stores keep to find it, its
// tombstone, and the end of its last block on a disk. Without it, millions of secrets of one byte would cost nothing.
const Overhead = 4 << 10

// Charge is what a secret with so many bytes of ciphertext takes of its account's quota, in bytes.
func Charge(size int64, restrictions Restrictions) (int64, error) {
	encoded, err := restrictions.Encode()
	return ChargeEncoded(size, len(encoded)), err
}

// ChargeEncoded is Charge for restrictions of which so many bytes are kept.
func ChargeEncoded(size int64, restrictions int) int64 { return size + int64(restrictions) + Overhead }

// Account names those who share a quota. The zero value has none.
type Account [16]byte

// Restrictions tell who may claim a secret. Those that are set must all be met; within one, any entry will do.
// They are checked by the server before it claims; a store only keeps them.
type Restrictions struct {
	Networks   []netip.Prefix `json:"networks,omitempty"`
	Countries  []string       `json:"countries,omitempty"`  // ISO 3166-1 alpha-2, upper case
	ASNs       []uint32       `json:"asns,omitempty"`       // autonomous system numbers
	Passphrase []byte         `json:"passphrase,omitempty"` // a hash of what the caller must send
}

// Claimant names who claims: the SHA-256 of a value that only the claimant knows.
type Claimant [32]byte

// Claim is a secret that has been consumed, and its ciphertext for the one who consumed it. It belongs to one
// goroutine, and ends with Undo or Release.
type Claim interface {
	// Reader gives the ciphertext, from its first byte. It fails rather than give a byte that was not stored.
	io.Reader
	// Size is the length of the ciphertext in bytes.
	Size() int64
	// First tells whether this claim consumed the secret, and is not the resumption of one that did.
	First() bool
	// Lease is what was left of the lease when the claim was made; 0 for a final claim.
	Lease() time.Duration
	// SeekTo makes the reader give the ciphertext from an offset, 0 to Size. It is called before the first Read.
	SeekTo(offset int64) error
	// Undo puts the secret back as if it had never been claimed. It is for a claim of which no byte has left. One that was
	// resumed stays; its resumption is taken back alone. Error: ErrGone when the claim stays, or is over.
	Undo(ctx context.Context) error
	// Release closes the reader. After a final claim the ciphertext is destroyed; a leased one may be claimed again by its
	// claimant.
	Release() error
}

// MaxRepeats is how often a claim may be resumed under its lease: a lease is for a connection that breaks, and no place to
// download from.
const MaxRepeats = 64

// MaxRead is how many bytes of a ciphertext of a size may be read under its lease in all: eight times as many as there
// are, and 1 MiB, since what a proxy has swallowed counts as read.
func MaxRead(size int64) int64 { return ReadFactor*size + ReadFree }

// What MaxRead is made of.
const (
	ReadFactor = 8
	ReadFree   = 1 << 20
)

// Unread is how many bytes a resumption from a place counts as read, until it is known how many were.
func Unread(size, from int64) int64 {
	if from < 0 {
		return min(-from, size)
	}
	return max(size-from, 0)
}

// TokenHash is the SHA-256 of a token. A token itself is never stored.
type TokenHash [32]byte

// TokenKind says what a token is good for.
type TokenKind byte

// The kinds of tokens.
const (
	UserToken  TokenKind = 'u' // creates secrets
	AdminToken TokenKind = 'a' // makes user tokens
)

// Token is what a store knows about a token.
type Token struct {
	Kind            TokenKind
	TTL             time.Duration // what is left of its life
	UploadSizeLimit int64         // bytes; 0 means the server's own limit
}

// Origin is where a guess comes from: a network that one client easily has all of, and the wide one around it. Those of
// whom neither can be told share the zero value.
type Origin struct{ Near, Wide netip.Prefix }

// AttemptLimits bound the guesses at one secret's passphrase: those from one near network, and all of them together,
// each counted from the first guess of its window. The last ones of all are in reserve for wide networks that have not
// guessed in this window: so whoever wants to keep the others waiting must have as many wide networks.
type AttemptLimits struct {
	Near, All, Reserve    int // All 0: any number, and no reserve
	NearWindow, AllWindow time.Duration
}

// Counts says how much is alive in a store.
type Counts struct {
	Secrets int
	Tokens  int // of users
}

// Encode gives the JSON that stores keep, or nothing where nothing is restricted.
func (r Restrictions) Encode() ([]byte, error) {
	if r.None() {
		return nil, nil
	}
	encoded, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding restrictions: %w", err)
	}
	return encoded, nil
}

// None tells whether anybody may claim the secret.
func (r Restrictions) None() bool {
	return len(r.Networks) == 0 && len(r.Countries) == 0 && len(r.ASNs) == 0 && len(r.Passphrase) == 0
}
