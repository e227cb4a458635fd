package crypto_test

import (
	"crypto/rand"
	"fmt"

	"hakanai/crypto"
)

func Example() {
	ciphertext, fragment, err := crypto.Seal(rand.Reader, crypto.Content{Data: []byte("the wifi password")})
	if err != nil {
		panic(err)
	}
	// The ciphertext goes to a server; the fragment goes to the recipient, in a link.
	content, err := crypto.Open(ciphertext, fragment)
	if err != nil {
		panic(err)
	}
	defer content.Clear()
	fmt.Printf("%s\n", content.Data)
	// Output: the wifi password
}
