package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/segmentio/asm/base64"

	"hakanai/httpapi/api"
)

// expectContinueFrom is the body's size, in bytes, from which the server is asked first whether it will take it: a
// missing token or a size limit is then told before the upload, not after.
const expectContinueFrom = 64 << 10

// Send stores a ciphertext for ttl, which is rounded down to whole seconds and at least one, for those whom the
// restrictions let have it, and returns the secret's id. Errors: see StatusError and ErrSilence.
func (c *Client) Send(
	ctx context.Context, ciphertext []byte, ttl time.Duration, restrictions api.Restrictions,
) (uuid.UUID, error) {
	if ttl < time.Second {
		return uuid.Nil, fmt.Errorf("a secret cannot live for %s: one second is the least", ttl)
	}
	if len(ciphertext) == 0 {
		return uuid.Nil, errors.New("there is no ciphertext")
	}
	w := newWatch(ctx, c.silence)
	defer w.end()
	body, err := newSendBody(ciphertext, int64(ttl/time.Second), restrictions)
	if err != nil {
		return uuid.Nil, err
	}
	upload := &measured{ReadCloser: w.watchBody(body), total: body.length, progress: c.progress}
	r, err := http.NewRequestWithContext(w.ctx, http.MethodPost, c.server.JoinPath(api.SecretPath).String(), upload)
	if err != nil {
		return uuid.Nil, fmt.Errorf("making a request: %w", err)
	}
	r.ContentLength = body.length
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	if body.length >= expectContinueFrom {
		r.Header.Set("Expect", "100-continue")
	}
	response, err := c.do(c.sender, r, w)
	if err != nil {
		return uuid.Nil, err
	}
	defer response.Body.Close() //nolint:errcheck // read to its end, or given up
	return readID(response.Body)
}

func readID(body io.Reader) (uuid.UUID, error) {
	var created api.CreateResponse
	if err := json.NewDecoder(io.LimitReader(body, maxMessage)).Decode(&created); err != nil {
		return uuid.Nil, fmt.Errorf("reading the server's answer: %w", err)
	}
	if len(created.ID) != 36 { // uuid.Parse takes other forms as well
		return uuid.Nil, errors.New("the server's answer holds no id")
	}
	id, err := uuid.Parse(created.ID)
	if err != nil {
		return uuid.Nil, errors.New("the server's answer holds no id")
	}
	return id, nil
}

// sendBody is the request's JSON, encoded as it is read: the ciphertext is not copied as a whole.
type sendBody struct {
	rest       []byte // of the ciphertext
	buffer     [64 << 10]byte
	piece      []byte // what is ready to be read
	last       []byte // comes after the ciphertext
	length     int64  // of the whole, bytes
	terminated bool
}

func newSendBody(ciphertext []byte, seconds int64, restrictions api.Restrictions) (*sendBody, error) {
	b := &sendBody{rest: ciphertext, last: fmt.Appendf(nil, `","expires_in":%d`, seconds)}
	if !restrictions.None() {
		text, err := json.Marshal(restrictions)
		if err != nil {
			return nil, fmt.Errorf("encoding restrictions: %w", err)
		}
		b.last = append(append(b.last, `,"restrictions":`...), text...)
	}
	b.last = append(b.last, '}')
	first := copy(b.buffer[:], `{"data":"`)
	b.piece = b.buffer[:first]
	b.length = int64(first + base64.StdEncoding.EncodedLen(len(ciphertext)) + len(b.last))
	return b, nil
}

func (b *sendBody) Read(p []byte) (int, error) {
	if len(b.piece) == 0 {
		switch {
		case len(b.rest) > 0:
			n := min(len(b.rest), len(b.buffer)/4*3)
			b.piece = b.buffer[:base64.StdEncoding.EncodedLen(n)]
			base64.StdEncoding.Encode(b.piece, b.rest[:n])
			b.rest = b.rest[n:]
		case !b.terminated:
			b.piece, b.terminated = b.last, true
		default:
			return 0, io.EOF
		}
	}
	n := copy(p, b.piece)
	b.piece = b.piece[n:]
	return n, nil
}

func (b *sendBody) Close() error { return nil }
