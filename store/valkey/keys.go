package valkey

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/netip"
	"strconv"

	"hakanai/store"
)

// buckets is how many groups the secrets are in. The keys of a group share a hash tag, and with it a slot of a Cluster:
// so one script can change a secret and the index of the live ones in its group together.
const buckets = 256

// prefix begins every key, so that a database may be shared.
const prefix = "hakanai:"

// Every key of the store. A secret is at any time under one of secret and claimed, and gone says that it has been
// claimed.
type keys struct {
	name    string // of the secret: a hash of its id
	secret  string // hash: size, expires (ms since 1970), restrictions, account, draft, and the pieces of ciphertext as 0, 1, …
	gone    string // the tombstone, empty; it goes when the secret would have gone
	claimed string // what secret was, with operation, claimant, until, read and repeats; it goes by itself soon
	live    string // sorted set: the live secrets of the bucket by their ends
}

// keysOf names a secret's keys. Its name is a hash of the id, so that a look at the database opens no link: an id has
// 122 random bits, which nobody guesses back from the hash.
func keysOf(id store.ID) keys {
	sum := sha256.Sum256(append([]byte("hakanai secret "), id[:]...))
	name := base64.RawURLEncoding.EncodeToString(sum[:16])
	bucket := prefix + "{" + hex.EncodeToString(sum[16:17]) + "}:"
	return keys{
		name:    name,
		secret:  bucket + "secret:" + name,
		gone:    bucket + "gone:" + name,
		claimed: bucket + "claimed:" + name,
		live:    bucket + "live",
	}
}

// draft names the hash of a draft's pieces. Two drafts of one secret do not meet.
func (k keys) draft(nonce string) string {
	return k.live[:len(k.live)-len("live")] + "draft:" + nonce
}

// liveKey names the sorted set of a bucket.
func liveKey(bucket int) string {
	return prefix + "{" + hex.EncodeToString([]byte{byte(bucket)}) + "}:live"
}

// tokensKey names the sorted set of the live tokens of a kind by their ends; tokenKey a token's record. All tokens share
// a slot.
func tokensKey(kind store.TokenKind) string { return prefix + "{tokens}:" + string(kind) }

func tokenKey(kind store.TokenKind, hash store.TokenHash) string {
	return tokensKey(kind) + ":" + hex.EncodeToString(hash[:])
}

// accountKeys name what reserve.lua keeps of an account.
func accountKeys(account string) []string {
	slot := prefix + "{account:" + account + "}:"
	return []string{slot + "members", slot + "charges"}
}

// attemptKeys name the counters of guesses at a secret's passphrase: of all, of those from a near network, and of those
// from a wide one; and the mark of one attempt, when it has a nonce. There are few networks, so their names are keyed
// with the secret's id, which Valkey does not know: the database does not tell where somebody has guessed.
func (k keys) attemptKeys(id store.ID, from store.Origin, nonce string) []string {
	all := k.live[:len(k.live)-len("live")] + "guesses:" + k.name
	of := func(kind string, network netip.Prefix) string {
		mac := hmac.New(sha256.New, id[:])
		_, _ = io.WriteString(mac, kind+network.String()) // never fails
		return all + ":" + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:12])
	}
	keys := []string{all, of("near", from.Near), of("wide", from.Wide)}
	if nonce != "" {
		keys = append(keys, all+":mark:"+nonce)
	}
	return keys
}

// field names a piece of ciphertext in its hash.
func field(piece int) string { return strconv.Itoa(piece) }
