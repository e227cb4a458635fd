// Package crypto seals a secret on the sender's machine and opens it on the recipient's. It is all of Hakanai that ever
// sees a key or plain text, it does no input or output, and it is meant to be read in one sitting.
//
// What it promises: content is encrypted and authenticated with AES-256-GCM under a key that is drawn for it alone;
// the ciphertext's length tells little of the content's; and the hash in a link lets nobody confirm a guess of the
// content, because the sealed payload holds random padding. Keys never print themselves: only Fragment.Encode and
// Link.Encode give them away. Buffers that held keys or plain text are cleared when they are done with, as far as a
// garbage-collected language lets a program promise that.
package crypto

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
)

// Errors of Open.
var (
	// ErrWrongKey says that the ciphertext does not authenticate: another key sealed it, or it was changed.
	ErrWrongKey = errors.New("the key does not fit, or the ciphertext was changed")
	// ErrHashMismatch says that the content is not the one that the link was made for.
	ErrHashMismatch = errors.New("the content is not the one that the link's hash stands for")
	// ErrPayload says that what was sealed is not a payload.
	ErrPayload = errors.New("what was sealed is not a payload")
)

const (
	keySize   = 32
	hashSize  = 16
	nonceSize = 12
	tagSize   = 16
)

// Key is an AES-256 key.
type Key [keySize]byte

// Hash is the first 16 bytes of SHA-256 over a payload, exactly as it was sealed.
type Hash [hashSize]byte

// Content is what a person shares. It is a file if it has a file name, else text.
type Content struct {
	Data     []byte
	Filename string
}

// IsFile tells a file from a text.
func (c Content) IsFile() bool { return c.Filename != "" }

// Clear overwrites the data.
func (c Content) Clear() { clear(c.Data) }

// Source is content that is sealed as it is read: there is no copy of it but the payload.
type Source struct {
	io.Reader
	// Size is how much is expected, in bytes. Beyond it, what has been read is copied as memory grows.
	Size int64
	// Filename is asked when all has been read: whether it is a text may not be known before.
	Filename func() string
	// Memory makes an empty buffer; nil stands for make.
	Memory func(capacity int) []byte
}

// Seal encrypts content under a key and nonce that it draws from random. It returns the ciphertext (nonce, sealed
// payload, tag) and what a link needs to open it.
func Seal(random io.Reader, content Content) (ciphertext []byte, fragment Fragment, err error) {
	return SealFrom(random, Source{
		Reader: bytes.NewReader(content.Data), Size: int64(len(content.Data)), Filename: func() string { return content.Filename },
	})
}

// SealFrom is Seal for what is still to be read. Errors: those of the reader too.
func SealFrom(random io.Reader, source Source) (ciphertext []byte, fragment Fragment, err error) {
	once, err := newOnce(random)
	if err != nil {
		return nil, Fragment{}, err
	}
	defer once.clear()
	buffer, err := buildPayload(random, source)
	if err != nil {
		clear(buffer)
		return nil, Fragment{}, err
	}
	return once.seal(buffer)
}

// Open decrypts a ciphertext. It does so in place: the ciphertext is overwritten, and the content's data is a part of
// the same memory. Errors: ErrWrongKey, ErrHashMismatch, ErrPayload.
func Open(ciphertext []byte, fragment Fragment) (Content, error) {
	if len(ciphertext) < nonceSize+tagSize {
		return Content{}, fmt.Errorf("%w: the ciphertext is too short", ErrWrongKey)
	}
	aead, err := newGCM(fragment.Key[:])
	if err != nil {
		return Content{}, err
	}
	nonce, sealed := ciphertext[:nonceSize], ciphertext[nonceSize:]
	payload, err := aead.Open(sealed[:0], nonce, sealed, nil)
	if err != nil {
		return Content{}, ErrWrongKey
	}
	hash := hashPayload(payload)
	if subtle.ConstantTimeCompare(hash[:], fragment.Hash[:]) != 1 {
		clear(payload)
		return Content{}, ErrHashMismatch
	}
	content, err := parsePayload(payload)
	if err != nil {
		clear(payload)
		return Content{}, err
	}
	return content, nil
}

// once is a key with its nonce, good for one payload: a nonce used twice under a key would undo AES-GCM (NIST SP
// 800-38D, section 8).
type once struct {
	key   Key
	nonce [nonceSize]byte
	spent bool
}

var errSpent = errors.New("the key has been used")

func newOnce(random io.Reader) (*once, error) {
	o := new(once)
	if _, err := io.ReadFull(random, o.key[:]); err != nil {
		return nil, fmt.Errorf("drawing a key: %w", err)
	}
	if _, err := io.ReadFull(random, o.nonce[:]); err != nil {
		return nil, fmt.Errorf("drawing a nonce: %w", err)
	}
	return o, nil
}

// seal encrypts the payload that follows nonceSize bytes of room in the buffer, in place. The key is cleared.
func (o *once) seal(buffer []byte) (ciphertext []byte, fragment Fragment, err error) {
	if o.spent {
		return nil, Fragment{}, errSpent
	}
	o.spent = true
	aead, err := newGCM(o.key[:])
	if err != nil {
		return nil, Fragment{}, err
	}
	copy(buffer, o.nonce[:])
	payload := buffer[nonceSize:]
	fragment = Fragment{Key: o.key, Hash: hashPayload(payload)}
	ciphertext = aead.Seal(buffer[:nonceSize], o.nonce[:], payload, nil)
	if cap(buffer) < len(ciphertext) { // the payload was copied to make room for the tag
		clear(buffer)
	}
	o.clear()
	return ciphertext, fragment, nil
}

func (o *once) clear() { clear(o.key[:]) }

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func hashPayload(payload []byte) Hash {
	sum := sha256.Sum256(payload)
	return Hash(sum[:hashSize])
}
