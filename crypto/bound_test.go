package crypto_test

import (
	"crypto/rand"
	"strings"
	"testing"

	"hakanai/crypto"
	"hakanai/httpapi/api"
)

func TestWhatFitsALimitFitsTheServersBound(t *testing.T) {
	for _, size := range []int{1, 1000, 1 << 10, 32 << 10, 1 << 20, 10 << 20} {
		for _, name := range []string{"", strings.Repeat("\x01", 250)} {
			ciphertext, _, err := crypto.Seal(rand.Reader, crypto.Content{Data: make([]byte, size), Filename: name})
			if err != nil {
				t.Fatal(err)
			}
			if bound := api.CiphertextBound(int64(size)); int64(len(ciphertext)) > bound {
				t.Errorf("%d bytes become %d, over the bound of %d", size, len(ciphertext), bound)
			}
		}
	}
}
