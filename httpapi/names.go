package httpapi

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"hash"
	"sync"

	"github.com/rs/zerolog"

	"hakanai/store"
)

// secretNames names secrets in the log. Whoever has an id can open the secret, so that by default a line tells a name
// that is good for one thing: to find the other lines about the same secret, as long as the server runs. The key of the
// names is nowhere but in memory.
type secretNames struct {
	macs  sync.Pool // hash.Hash
	clear bool      // the ids themselves
}

func newSecretNames(clear bool) *secretNames {
	var key [sha256.Size]byte
	_, _ = rand.Read(key[:]) // never fails
	names := &secretNames{clear: clear}
	names.macs.New = func() any { return hmac.New(sha256.New, key[:]) }
	return names
}

// name adds the name of a secret to a line of the log.
func (names *secretNames) name(event *zerolog.Event, id store.ID) {
	if names.clear {
		event.Stringer("secret_id", id)
		return
	}
	mac := names.macs.Get().(hash.Hash)
	defer names.macs.Put(mac)
	mac.Reset()
	mac.Write(id[:])
	event.Hex("secret", mac.Sum(nil)[:8])
}
