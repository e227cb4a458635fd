package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"github.com/segmentio/asm/base64" // as encoding/base64, some ten times faster

	"hakanai/httpapi/api"
)

// The body of POST /api/v1/secret can be as large as a secret, so it is never held in memory: this file reads its JSON
// (RFC 8259) as it comes, and passes the string of the field "data", decoded from base64 (RFC 4648, section 4), on
// piece by piece. All else that a body may hold is small, and is read by encoding/json.

const (
	// maxOther bounds everything in a body that is not data: other fields, white space.
	maxOther = 64 << 10
	maxKey   = 256
	maxDepth = 8
)

// errOverBound says that data decodes to more bytes than the bound, or that the body is longer than such data needs.
var errOverBound = errors.New("the ciphertext is over the bound")

// createBody is what a body holds besides data.
type createBody struct {
	expiresIn    int64 // seconds, at least 1
	restrictions api.Restrictions
}

// transferBuffer is the memory of one transfer in either direction.
type transferBuffer struct {
	raw     [64 << 10]byte // base64 text
	decoded [48 << 10]byte // what it stands for
}

// bodyReader reads one body. Its zero value, with the first four fields set, is ready.
type bodyReader struct {
	body   io.Reader
	buffer *transferBuffer
	data   io.Writer // gets the ciphertext
	bound  int64     // of the ciphertext, bytes

	pos, end int   // what is left of buffer.raw
	read     int64 // bytes of the body so far
	other    int   // those of them that are not data
	group    [4]byte
	grouped  int   // characters in group: base64 comes in fours, buffers do not
	padded   bool  // the padding was seen: data is complete
	size     int64 // of the ciphertext so far
}

// readBody reads the body to its end. Errors are requestErrors for what the caller did wrong, errOverBound, or those of
// the body and of the writer.
func (b *bodyReader) readBody() (createBody, error) {
	var request createBody
	seen := make(map[string]bool)
	if err := b.expect('{'); err != nil {
		return request, err
	}
	for first := true; ; first = false {
		next, err := b.token()
		switch {
		case err != nil:
			return request, err
		case next == '}' && first:
			return request, b.finish(seen)
		case next != '"':
			return request, badRequest("the body is not JSON: a field's name should begin here")
		}
		key, err := b.key()
		if err != nil {
			return request, err
		}
		if seen[key] {
			return request, badRequest(fmt.Sprintf("the field %q is there twice", key))
		}
		seen[key] = true
		if err := b.expect(':'); err != nil {
			return request, err
		}
		if err := b.field(key, &request); err != nil {
			return request, err
		}
		next, err = b.token()
		switch {
		case err != nil:
			return request, err
		case next == '}':
			return request, b.finish(seen)
		case next != ',':
			return request, badRequest("the body is not JSON: a comma or the end should be here")
		}
	}
}

// finish checks that nothing is missing and nothing follows.
func (b *bodyReader) finish(seen map[string]bool) error {
	switch _, err := b.token(); {
	case err == nil:
		return badRequest("something follows the JSON object")
	case !errors.Is(err, io.ErrUnexpectedEOF):
		return err
	case !seen["data"]:
		return badRequest("the field data is missing")
	case !seen["expires_in"]:
		return badRequest("the field expires_in is missing")
	}
	return nil
}

// field reads one field's value.
func (b *bodyReader) field(key string, request *createBody) error {
	first, err := b.token()
	if err != nil {
		return err
	}
	if key == "data" {
		if first != '"' {
			return badRequest("data must be a string of base64")
		}
		return b.readData()
	}
	value, err := b.value(first)
	if err != nil {
		return err
	}
	switch key {
	case "expires_in":
		request.expiresIn, err = strconv.ParseInt(string(value), 10, 64)
		if err != nil || request.expiresIn < 1 {
			return badRequest("expires_in must be a whole number of seconds, 1 at least")
		}
	case "restrictions":
		request.restrictions, err = readRestrictions(value)
	}
	return err
}

// next returns the next byte of the body. At its end: io.ErrUnexpectedEOF.
func (b *bodyReader) next() (byte, error) {
	if b.pos == b.end {
		if err := b.fill(); err != nil {
			return 0, err
		}
	}
	c := b.buffer.raw[b.pos]
	b.pos++
	return c, nil
}

func (b *bodyReader) fill() error {
	for range 100 {
		n, err := b.body.Read(b.buffer.raw[:])
		b.pos, b.end = 0, n
		if b.read += int64(n); b.read > api.RequestBound(b.bound) {
			return errOverBound
		}
		if n > 0 {
			return nil // an error will come again
		}
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return callerFailed("reading the body", err)
		}
	}
	return io.ErrNoProgress
}

// nextOther is next for bytes outside data.
func (b *bodyReader) nextOther() (byte, error) {
	if b.other++; b.other > maxOther {
		return 0, tooLarge("the body is too large beside its data")
	}
	return b.next()
}

// token returns the next byte that is not white space.
func (b *bodyReader) token() (byte, error) {
	for {
		c, err := b.nextOther()
		if err != nil {
			return 0, err
		}
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c, nil
		}
	}
}

func (b *bodyReader) expect(want byte) error {
	c, err := b.token()
	if err == nil && c != want {
		err = badRequest(fmt.Sprintf("the body is not JSON: %q should be here", string(want)))
	}
	return err
}

// key reads the rest of a field's name, after its quotation mark.
func (b *bodyReader) key() (string, error) {
	raw, err := b.quoted([]byte{'"'})
	if err != nil {
		return "", err
	}
	var key string
	if err := json.Unmarshal(raw, &key); err != nil || len(key) > maxKey || !utf8.Valid(raw) {
		return "", badRequest("the body is not JSON: a field's name is not a string that is understood")
	}
	return key, nil
}

// quoted appends the rest of a string to raw, up to and with its closing quotation mark.
func (b *bodyReader) quoted(raw []byte) ([]byte, error) {
	for escaped := false; ; {
		c, err := b.nextOther()
		if err != nil {
			return nil, err
		}
		raw = append(raw, c)
		switch {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == '"':
			return raw, nil
		}
	}
}

// value reads a whole value that begins with first, and returns it as it stands in the body.
func (b *bodyReader) value(first byte) (raw []byte, err error) {
	raw = []byte{first}
	switch first {
	case '"':
		raw, err = b.quoted(raw)
	case '{', '[':
		raw, err = b.nested(raw)
	default:
		raw, err = b.literal(raw)
	}
	if err == nil && (!json.Valid(raw) || !utf8.Valid(raw)) { // encoding/json takes what is not UTF-8
		err = badRequest("the body is not JSON: a value is malformed")
	}
	return raw, err
}

// nested appends the rest of an object or array to raw.
func (b *bodyReader) nested(raw []byte) ([]byte, error) {
	for depth := 1; depth > 0; {
		c, err := b.nextOther()
		if err != nil {
			return nil, err
		}
		raw = append(raw, c)
		switch c {
		case '"':
			if raw, err = b.quoted(raw); err != nil {
				return nil, err
			}
		case '{', '[':
			if depth++; depth > maxDepth {
				return nil, badRequest("the body is nested too deeply")
			}
		case '}', ']':
			depth--
		}
	}
	return raw, nil
}

// literal appends the rest of a number, true, false or null to raw, and leaves what ends it.
func (b *bodyReader) literal(raw []byte) ([]byte, error) {
	for {
		c, err := b.nextOther()
		if err != nil {
			return nil, err
		}
		switch c {
		case ',', '}', ' ', '\t', '\n', '\r':
			b.pos--
			b.other--
			return raw, nil
		}
		raw = append(raw, c)
	}
}

// readData reads the rest of the string of data, and writes what it stands for. JSON's escapes are legal in it, and
// some encoders do write \/ for a slash.
func (b *bodyReader) readData() error {
	for {
		if b.pos == b.end {
			if err := b.fill(); err != nil {
				return err
			}
		}
		text := b.buffer.raw[b.pos:b.end]
		end := bytes.IndexByte(text, '"')
		if end >= 0 {
			text = text[:end]
		}
		escape := bytes.IndexByte(text, '\\')
		if escape >= 0 {
			text = text[:escape]
		}
		b.pos += len(text)
		if err := b.decode(text); err != nil {
			return err
		}
		switch {
		case escape >= 0:
			if err := b.readEscape(); err != nil {
				return err
			}
		case end >= 0:
			b.pos++
			return b.endData()
		}
	}
}

// readEscape reads one escape, from its backslash on.
func (b *bodyReader) readEscape() error {
	raw := [8]byte{'"'}
	n := 1
	for want := 2; n <= want; n++ {
		c, err := b.next()
		if err != nil {
			return err
		}
		if raw[n] = c; n == 2 && c == 'u' {
			want = 6
		}
	}
	raw[n] = '"'
	var char string
	if err := json.Unmarshal(raw[:n+1], &char); err != nil || len(char) != 1 {
		return errNotBase64
	}
	return b.decode([]byte(char))
}

var strictBase64 = base64.StdEncoding.Strict() //nolint:gochecknoglobals // constant

var errNotBase64 = badRequest("data is not standard base64 with padding")

// decode passes on what a piece of base64 text stands for.
func (b *bodyReader) decode(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	if b.padded {
		return errNotBase64
	}
	if b.grouped > 0 {
		n := copy(b.group[b.grouped:], text)
		b.grouped += n
		if text = text[n:]; b.grouped < len(b.group) {
			return nil
		}
		b.grouped = 0
		if err := b.decodeGroups(b.group[:]); err != nil {
			return err
		}
	}
	whole := len(text) / 4 * 4
	b.grouped = copy(b.group[:], text[whole:])
	if err := b.decodeGroups(text[:whole]); err != nil {
		return err
	}
	if b.padded && b.grouped > 0 {
		return errNotBase64
	}
	return nil
}

func (b *bodyReader) decodeGroups(text []byte) error {
	if len(text) == 0 {
		return nil
	}
	if b.padded {
		return errNotBase64
	}
	n, err := strictBase64.Decode(b.buffer.decoded[:], text)
	if err != nil {
		return errNotBase64
	}
	padding := len(text) - len(bytes.TrimRight(text, "="))
	if n != len(text)/4*3-padding { // the decoder skips line ends; JSON and this format have none there
		return errNotBase64
	}
	b.padded = padding > 0
	if b.size += int64(n); b.size > b.bound {
		return errOverBound
	}
	_, err = b.data.Write(b.buffer.decoded[:n])
	return err
}

func (b *bodyReader) endData() error {
	switch {
	case b.grouped > 0:
		return errNotBase64
	case b.size == 0:
		return badRequest("data is empty")
	}
	return nil
}
