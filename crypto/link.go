package crypto

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/google/uuid"
)

// Fragment is what follows the # of a link: the key, and the hash of what it opens. It never reaches a server.
type Fragment struct {
	Key  Key
	Hash Hash
}

// Errors that say why a fragment or link cannot be used. None of them quotes the input: it holds a key.
var (
	ErrNoHash   = errors.New("the link has no hash after its key, so what it leads to could not be verified")
	ErrFragment = errors.New("the key is malformed: it should be 43 characters, a colon and 22 characters")
	ErrLink     = errors.New("not a link to a secret: it should look like https://example.com/s/ID#KEY:HASH")
)

// Encode gives the text form: key and hash in base64url without padding (RFC 4648, section 5), with a colon between.
func (f Fragment) Encode() string {
	return base64.RawURLEncoding.EncodeToString(f.Key[:]) + ":" + base64.RawURLEncoding.EncodeToString(f.Hash[:])
}

// ParseFragment reads the text form. Errors: ErrNoHash, ErrFragment.
func ParseFragment(text string) (Fragment, error) {
	key, hash, found := strings.Cut(text, ":")
	if text != "" && (!found || hash == "") {
		return Fragment{}, ErrNoHash
	}
	var f Fragment
	if !decodeExactly(f.Key[:], key) || !decodeExactly(f.Hash[:], hash) {
		return Fragment{}, ErrFragment
	}
	return f, nil
}

// decodeExactly fills dst from its one spelling in base64url.
func decodeExactly(dst []byte, text string) bool {
	if len(text) != base64.RawURLEncoding.EncodedLen(len(dst)) || strings.ContainsAny(text, "\r\n") {
		return false
	}
	_, err := base64.RawURLEncoding.Strict().Decode(dst, []byte(text))
	return err == nil
}

// Clear overwrites the key.
func (f *Fragment) Clear() { clear(f.Key[:]) }

// Format implements fmt.Formatter: no verb prints a key.
func (Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[key]") }

// Format implements fmt.Formatter: no verb prints a fragment.
func (Fragment) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, "[key:hash]") }

// Link leads to a secret on a server.
type Link struct {
	Server   string    // scheme, host and port, such as https://example.com
	ID       uuid.UUID // the secret's
	Fragment *Fragment // nil where the key goes another way
}

// String gives the link without its fragment, which cannot open the secret. (It can consume it.)
func (l Link) String() string { return l.Server + "/s/" + l.ID.String() }

// Encode gives the whole link, with its fragment where it has one.
func (l Link) Encode() string {
	if l.Fragment == nil {
		return l.String()
	}
	return l.String() + "#" + l.Fragment.Encode()
}

// Format implements fmt.Formatter: no verb prints a fragment.
func (l Link) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, l.String()) }

// ParseLink reads a link. White space around it is ignored. Errors: ErrLink with what is wrong, ErrNoHash, ErrFragment.
func ParseLink(text string) (Link, error) {
	base, fragment, hasFragment := strings.Cut(strings.TrimSpace(text), "#")
	u, err := url.Parse(base) // its error would quote the input
	switch {
	case err != nil, u.Opaque != "":
		return Link{}, ErrLink
	case u.Scheme != "http" && u.Scheme != "https":
		return Link{}, fmt.Errorf("%w: it begins with neither https:// nor http://", ErrLink)
	case u.Hostname() == "":
		return Link{}, fmt.Errorf("%w: it names no server", ErrLink)
	case u.User != nil:
		return Link{}, fmt.Errorf("%w: it holds a user name", ErrLink)
	case u.RawQuery != "" || u.ForceQuery:
		return Link{}, fmt.Errorf("%w: it has a query (?…)", ErrLink)
	}
	link := Link{Server: u.Scheme + "://" + u.Host}
	if link.ID, err = parsePath(u); err != nil {
		return Link{}, err
	}
	if hasFragment {
		f, err := ParseFragment(fragment)
		if err != nil {
			return Link{}, err
		}
		link.Fragment = &f
	}
	return link, nil
}

// parsePath reads the secret's id from a path of one of the forms that links have had.
func parsePath(u *url.URL) (uuid.UUID, error) {
	for _, prefix := range []string{"/s/", "/secret/", "/api/v1/secret/"} {
		id, found := strings.CutPrefix(u.EscapedPath(), prefix)
		if !found {
			continue
		}
		if len(id) == 36 { // uuid.Parse takes other forms as well
			if id, err := uuid.Parse(id); err == nil {
				return id, nil
			}
		}
		return uuid.Nil, fmt.Errorf("%w: its id is not a UUID", ErrLink)
	}
	return uuid.Nil, fmt.Errorf("%w: its path is not that of a secret", ErrLink)
}
