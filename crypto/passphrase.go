package crypto

import (
	"crypto/sha256"
	"encoding/hex"
)

// HashPassphrase gives what a server is told of a passphrase: the SHA-256 of its UTF-8 bytes, as 64 lower-case hex
// digits. It is not part of the key, and not salted: published clients and servers agree on it.
func HashPassphrase(passphrase []byte) string {
	sum := sha256.Sum256(passphrase)
	return hex.EncodeToString(sum[:])
}
