package crypto

import (
	"bytes"
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

// buildPayload returns a content's payload, with padding that rounds the ciphertext's length up. It stands in a buffer
// after nonceSize bytes of room, and the buffer's capacity leaves room for the tag.
func buildPayload(random io.Reader, content Content) (buffer []byte, err error) {
	filename, err := encodeFilename(content.Filename)
	if err != nil {
		return nil, err
	}
	encoded := base64.StdEncoding.EncodedLen(len(content.Data))
	fixed := nonceSize + len(payloadData) + encoded + len(`"`) + len(filename) + len(payloadPad) + len(`"}`) + tagSize
	pad, spaces := padding(fixed)

	buffer = make([]byte, nonceSize, fixed+base64.StdEncoding.EncodedLen(pad)+spaces)
	buffer = append(buffer, payloadData...)
	buffer = appendBase64(buffer, content.Data)
	buffer = append(buffer, '"')
	buffer = append(buffer, filename...)
	buffer = append(buffer, payloadPad...)
	for piece := [3 << 10]byte{}; pad > 0; {
		n := min(pad, len(piece))
		if _, err := io.ReadFull(random, piece[:n]); err != nil {
			return buffer, fmt.Errorf("drawing padding: %w", err)
		}
		buffer = appendBase64(buffer, piece[:n])
		pad -= n
	}
	buffer = append(buffer, '"')
	buffer = append(buffer, "   "[:spaces]...)
	return append(buffer, '}'), nil
}

// appendBase64 encodes into the room that a buffer has.
func appendBase64(buffer, data []byte) []byte {
	begin := len(buffer)
	buffer = buffer[:begin+base64.StdEncoding.EncodedLen(len(data))]
	base64.StdEncoding.Encode(buffer[begin:], data)
	return buffer
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
	if err != nil || bytes.ContainsAny(text, "\r\n") { // line ends, which the decoder would skip
		return nil, errData
	}
	const step = 4 << 10
	whole, decoded := text, text[:0]
	var piece [step / 4 * 3]byte
	defer clear(piece[:])
	for len(text) > 0 {
		next := text[:min(step, len(text))]
		text = text[len(next):]
		n, err := base64.StdEncoding.Strict().Decode(piece[:], next)
		if err != nil || len(text) > 0 && n < len(piece) { // padding before the end
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
