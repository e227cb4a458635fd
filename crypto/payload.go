package crypto

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/segmentio/asm/base64" // as encoding/base64, some ten times faster
)

// A payload is a JSON object: "data" is the content in standard base64, "filename" is there for a file, and "pad" is
// random bytes that nobody reads. Payloads of existing senders have no pad, and may have "filename": null.

const (
	payloadData     = `{"data":"`
	payloadFilename = `,"filename":`
	payloadPad      = `,"pad":"`
	minPad          = 16   // bytes; it makes the payload's hash unguessable
	maxFilename     = 1536 // bytes of the file name in JSON, so that servers can bound a ciphertext
)

// pieceSize is how much is read and encoded at a time, in bytes: whole groups of base64, few enough for a processor's cache.
const pieceSize = 48 << 10

// payloadBuilder collects a payload. What it outgrows it clears.
type payloadBuilder struct {
	buffer []byte
	memory func(capacity int) []byte
}

// buildPayload reads a source to its end, and returns its payload, with padding that rounds the ciphertext's length up. It
// stands in a buffer after nonceSize bytes of room, and the buffer's capacity leaves room for the tag.
func buildPayload(random io.Reader, source Source) (buffer []byte, err error) {
	p := payloadBuilder{memory: source.Memory}
	if p.memory == nil {
		p.memory = func(capacity int) []byte { return make([]byte, 0, capacity) }
	}
	p.grow(longest(int(max(source.Size, 0))))
	p.buffer = append(p.buffer[:nonceSize], payloadData...)
	if _, err := p.encode(source); err != nil {
		return p.buffer, err
	}
	filename, err := encodeFilename(source.Filename())
	if err != nil {
		return p.buffer, err
	}
	fixed := len(p.buffer) + len(`"`) + len(filename) + len(payloadPad) + len(`"}`) + tagSize
	pad, spaces := padding(fixed)
	p.grow(fixed - len(p.buffer) + base64.StdEncoding.EncodedLen(pad) + spaces)
	p.buffer = append(p.buffer, '"')
	p.buffer = append(p.buffer, filename...)
	p.buffer = append(p.buffer, payloadPad...)
	if n, err := p.encode(io.LimitReader(random, int64(pad))); err != nil || n < pad {
		return p.buffer, fmt.Errorf("drawing padding: %w", cmp.Or(err, io.ErrUnexpectedEOF))
	}
	p.buffer = append(p.buffer, '"')
	p.buffer = append(p.buffer, "   "[:spaces]...)
	return append(p.buffer, '}'), nil
}

// longest is how long the ciphertext of so much data is at most, whatever the file's name.
func longest(size int) int {
	fixed := nonceSize + len(payloadData) + base64.StdEncoding.EncodedLen(size) + len(`"`) + maxFilename + len(payloadPad) + len(`"}`) + tagSize
	pad, spaces := padding(fixed)
	return fixed + base64.StdEncoding.EncodedLen(pad) + spaces
}

// encode reads to the end, and appends what it reads in base64. It returns how many bytes it has read.
func (p *payloadBuilder) encode(r io.Reader) (total int, err error) {
	piece := make([]byte, pieceSize)
	defer clear(piece)
	for err == nil {
		n := 0
		for n < len(piece) && err == nil {
			var read int
			read, err = r.Read(piece[n:])
			n += read
		}
		total += n
		begin, length := len(p.buffer), base64.StdEncoding.EncodedLen(n)
		p.grow(length)
		p.buffer = p.buffer[:begin+length]
		base64.StdEncoding.Encode(p.buffer[begin:], piece[:n])
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return total, err
}

// grow makes room for n more bytes.
func (p *payloadBuilder) grow(n int) {
	if cap(p.buffer)-len(p.buffer) >= n {
		return
	}
	larger := append(p.memory(max(len(p.buffer)+n, 2*cap(p.buffer))), p.buffer...)
	clear(p.buffer)
	p.buffer = larger
}

// encodeFilename returns the payload's member for a file name, or nothing for a text.
func encodeFilename(filename string) ([]byte, error) {
	if filename == "" {
		return nil, nil
	}
	if !utf8.ValidString(filename) {
		return nil, errors.New("the file name is not valid UTF-8")
	}
	var b bytes.Buffer
	b.WriteString(payloadFilename)
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(filename); err != nil {
		return nil, fmt.Errorf("encoding the file name: %w", err)
	}
	b.Truncate(b.Len() - 1) // the encoder's line end
	if b.Len() > maxFilename {
		return nil, errors.New("the file name is too long")
	}
	return b.Bytes(), nil
}

// parsePayload reads a payload. The content's data is decoded in the payload's own memory, where it can be. It refuses a
// payload that says the same thing twice, or more than one thing. Error: ErrPayload, with what is wrong.
func parsePayload(payload []byte) (Content, error) {
	p := payloadParser{rest: payload}
	content, err := p.parse()
	if err != nil {
		return Content{}, fmt.Errorf("%w: %w", ErrPayload, err)
	}
	return content, nil
}

// payloadParser walks over the members of one JSON object without copying its values. encoding/json would copy the data
// three times, and leave the copies behind.
type payloadParser struct{ rest []byte }

var (
	errNotJSON  = errors.New("not a JSON object")
	errTwice    = errors.New("a field is there twice")
	errNoData   = errors.New("the field data is missing")
	errData     = errors.New("the field data is not a string of base64")
	errFilename = errors.New("the field filename is not a string")
)

func (p *payloadParser) parse() (content Content, err error) {
	if !validPayload(p.rest) { // from here on only the shape is in question
		return content, errNotJSON
	}
	if p.space(); len(p.rest) == 0 || p.rest[0] != '{' {
		return content, errNotJSON
	}
	p.rest = p.rest[1:]
	var hasData, hasFilename bool
	for {
		if p.space(); p.rest[0] == '}' {
			break
		}
		key, err := unquote(p.value())
		if err != nil {
			return content, errNotJSON
		}
		p.space()
		p.rest = p.rest[1:] // the colon
		p.space()
		value := p.value()
		switch string(key) {
		case "data":
			if hasData {
				return content, errTwice
			}
			hasData = true
			content.Data, err = decodeData(value)
		case "filename":
			if hasFilename {
				return content, errTwice
			}
			hasFilename = true
			content.Filename, err = decodeFilename(value)
		}
		if err != nil {
			return content, err
		}
		if p.space(); p.rest[0] == ',' {
			p.rest = p.rest[1:]
		}
	}
	if !hasData {
		return content, errNoData
	}
	return content, nil
}

// validPayload is json.Valid, but leaves data that comes first, as senders write it, to the decoder of base64: it knows
// fewer characters than JSON, and is faster.
func validPayload(payload []byte) bool {
	if rest, found := bytes.CutPrefix(payload, []byte(payloadData)); found {
		end := bytes.IndexByte(rest, '"')
		if end >= 0 && bytes.IndexByte(rest[:end], '\\') < 0 {
			return json.Valid(append([]byte(payloadData), rest[end:]...))
		}
	}
	return json.Valid(payload)
}

func (p *payloadParser) space() { p.rest = bytes.TrimLeft(p.rest, " \t\r\n") }

// value cuts the next value off, which is valid JSON.
func (p *payloadParser) value() []byte {
	end := 0
	for depth := 0; ; {
		switch c := p.rest[end]; c {
		case '"':
			end += stringLength(p.rest[end:])
		case '{', '[':
			depth++
			end++
		case '}', ']':
			if depth == 0 { // it ends the object that a number or word stands in
				return p.cut(end)
			}
			depth--
			end++
		case ',', ':', ' ', '\t', '\r', '\n':
			if depth == 0 {
				return p.cut(end)
			}
			end++
			continue
		default:
			end++
			continue
		}
		if depth == 0 {
			return p.cut(end)
		}
	}
}

func (p *payloadParser) cut(end int) []byte {
	value := p.rest[:end]
	p.rest = p.rest[end:]
	return value
}

// stringLength is the length of the JSON string that b begins with, with its quotation marks.
func stringLength(b []byte) int {
	for i := 1; ; i++ {
		i += bytes.IndexByte(b[i:], '"')
		backslashes := 0
		for b[i-1-backslashes] == '\\' {
			backslashes++
		}
		if backslashes%2 == 0 {
			return i + 1
		}
	}
}

// unquote returns what a JSON string stands for, in the string's own memory if nothing in it is escaped.
func unquote(value []byte) ([]byte, error) {
	if len(value) < 2 || value[0] != '"' {
		return nil, errors.New("not a string")
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return value[1 : len(value)-1], nil
	}
	var s string
	if err := json.Unmarshal(value, &s); err != nil {
		return nil, err
	}
	clear(value) // it has a copy now
	return []byte(s), nil
}

// decodeData decodes base64 in place: what is written never overtakes what is still to be read.
func decodeData(value []byte) ([]byte, error) {
	text, err := unquote(value)
	if err != nil {
		return nil, errData
	}
	const step = 4 << 10
	whole, decoded := text, text[:0]
	var piece [step / 4 * 3]byte
	defer clear(piece[:])
	encoding := base64.StdEncoding.Strict()
	for len(text) > 0 {
		next := text[:min(step, len(text))]
		text = text[len(next):]
		n, err := encoding.Decode(piece[:], next)
		if err != nil || len(text) > 0 && n < len(piece) { // padding before the end, or line ends, which the decoder skips
			return nil, errData
		}
		if len(text) == 0 && bytes.ContainsAny(next, "\r\n") {
			return nil, errData
		}
		decoded = append(decoded, piece[:n]...)
	}
	clear(whole[len(decoded):]) // what is left of the base64
	return decoded, nil
}

// decodeFilename reads a string or null.
func decodeFilename(value []byte) (string, error) {
	var filename *string
	if err := json.Unmarshal(value, &filename); err != nil {
		return "", errFilename
	}
	if filename == nil {
		return "", nil
	}
	return *filename, nil
}
