package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/google/uuid"
	"github.com/segmentio/asm/base64"

	"hakanai/httpapi/api"
)

// Errors of Get that come after the server has given the secret away: it cannot be had again.
var (
	// ErrInterrupted says that the answer broke off, and that the server lets nobody continue it.
	ErrInterrupted = errors.New("the connection broke while the secret was on its way: it is lost")
	// ErrMalformed says that the answer is not base64.
	ErrMalformed = errors.New("the server's answer is not a ciphertext")
	// ErrTooLong says that the answer is over Options.MaxCiphertext.
	ErrTooLong = errors.New("the server's answer is too long")
)

// Retrieved is a secret that nobody else can have any more.
type Retrieved struct {
	Ciphertext []byte

	end func(context.Context) error
}

// Done tells the server that the secret is safe: it destroys what it still keeps for a connection that breaks, which it
// would otherwise do when the lease ends. Where there is no lease it does nothing.
func (r *Retrieved) Done(ctx context.Context) error { return r.end(ctx) }

// Get retrieves a secret's ciphertext. If it succeeds, nobody else can. A passphraseHash is what api.PassphraseHeader
// takes, or "". A refusal (ErrUnauthorized, ErrForbidden, ErrTooManyRequests) costs nothing. When the connection breaks,
// Get continues where it was, for as long as the server's lease lasts; servers that know no leases are asked once.
// Errors: see StatusError and ErrSilence; ErrInterrupted, ErrMalformed and ErrTooLong when the secret is lost.
func (c *Client) Get(ctx context.Context, id uuid.UUID, passphraseHash string) (*Retrieved, error) {
	value := make([]byte, 32)
	_, _ = rand.Read(value) // never fails
	r := &retrieval{
		client: c, ctx: ctx, address: c.server.JoinPath(api.SecretPath, id.String()).String(),
		value: base64.RawURLEncoding.EncodeToString(value), passphraseHash: passphraseHash, total: -1,
	}
	defer r.close()
	if err := r.open(); err != nil {
		return nil, err
	}
	ciphertext, err := c.readCiphertext(r, r.total)
	if err != nil {
		return nil, err
	}
	return &Retrieved{ciphertext, r.end}, nil
}

// maxBelieved is how much memory an answer gets at once because it says that it is long, in bytes. The system provides
// no more of it than is filled; past it, memory grows with what has come.
const maxBelieved = 64 << 20

// readCiphertext decodes an answer as it comes, into where it stays. announced is its text's length, -1 if nobody knows.
func (c *Client) readCiphertext(body io.Reader, announced int64) ([]byte, error) {
	const piece = 64 << 10
	text := &boundedText{body, c.maxText()}
	raw := make([]byte, piece)
	ciphertext := c.memory(piece + int(max(0, min(announced/4*3, c.maxCiphertext, maxBelieved))))
	kept, padded := 0, false // what is left of raw, less than a group of four; the text is over
	for {
		n, err := text.Read(raw[kept:])
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		// A line end after the text is forgiven, and with it those that are elsewhere.
		next := raw[:kept+n]
		if bytes.IndexByte(next, '\n') >= 0 || bytes.IndexByte(next, '\r') >= 0 {
			next = slices.DeleteFunc(next, func(c byte) bool { return c == '\n' || c == '\r' })
		}
		whole := len(next) / 4 * 4
		if cap(ciphertext)-len(ciphertext) < piece {
			ciphertext = append(c.memory(piece+2*cap(ciphertext)), ciphertext...)
		}
		m, malformed := base64.StdEncoding.Strict().Decode(ciphertext[len(ciphertext):cap(ciphertext)], next[:whole])
		if malformed != nil || padded && len(next) > 0 {
			return nil, ErrMalformed
		}
		padded = padded || m < whole/4*3
		ciphertext = ciphertext[:len(ciphertext)+m]
		kept = copy(raw, next[whole:])
		if int64(len(ciphertext)) > c.maxCiphertext {
			return nil, ErrTooLong
		}
		if err == nil {
			continue
		}
		if kept > 0 {
			return nil, fmt.Errorf("%w (the answer ends too early)", ErrInterrupted)
		}
		if len(ciphertext) == 0 {
			return nil, fmt.Errorf("%w (the answer is empty)", ErrInterrupted)
		}
		return ciphertext, nil
	}
}

// maxText is how long an answer's text may be: twice its ciphertext leaves more room for line ends than anybody needs.
func (c *Client) maxText() int64 { return 2*c.maxCiphertext + 1<<10 }

// boundedText gives what may come of an answer, and then ErrTooLong.
type boundedText struct {
	io.Reader
	left int64
}

func (b *boundedText) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, ErrTooLong
	}
	return n, err
}
