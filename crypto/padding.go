package crypto

import (
	"encoding/base64"
	"math/bits"
)

// minCiphertext is the shortest ciphertext, in bytes: no password's length shows.
const minCiphertext = 1 << 10

// padding returns how many bytes of pad and then how many spaces a payload needs for its ciphertext to come to a length
// that tells little. fixed is the ciphertext's length without them. Base64 grows in steps of four characters; JSON's
// white space fills what is left.
func padding(fixed int) (pad, spaces int) {
	least := fixed + base64.StdEncoding.EncodedLen(minPad)
	missing := padme(max(least, minCiphertext)) - fixed
	pad = missing / 4 * 3
	return pad, missing % 4
}

// padme rounds a length up so that it tells O(log log n) bits of the original, and grows by 12 % at most
// (Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", 2019, section 4).
func padme(length int) int {
	exponent := bits.Len(uint(length)) - 1
	significant := bits.Len(uint(exponent))
	mask := 1<<max(exponent-significant, 0) - 1
	return (length + mask) &^ mask
}
