package client

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/google/uuid"

	"hakanai/httpapi/api"
)

// Errors of Get that come after the server has given the secret away: it cannot be had again.
var (
	// ErrInterrupted says that the answer broke off.
	ErrInterrupted = errors.New("the connection broke while the secret was on its way: it is lost")
	// ErrMalformed says that the answer is not base64.
	ErrMalformed = errors.New("the server's answer is not a ciphertext")
	// ErrTooLong says that the answer is over Options.MaxCiphertext.
	ErrTooLong = errors.New("the server's answer is too long")
)

// Get retrieves a secret's ciphertext. If it succeeds, nobody else can, and it cannot be repeated. A passphraseHash is
// what api.PassphraseHeader takes, or "". A refusal (ErrUnauthorized, ErrForbidden, ErrTooManyRequests) costs nothing.
// Errors: see StatusError and ErrSilence; ErrInterrupted, ErrMalformed and ErrTooLong when the secret is lost.
func (c *Client) Get(ctx context.Context, id uuid.UUID, passphraseHash string) ([]byte, error) {
	w := newWatch(ctx, c.silence)
	defer w.end()
	address := c.server.JoinPath(api.SecretPath, id.String()).String()
	r, err := http.NewRequestWithContext(w.ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("making a request: %w", err)
	}
	r.Header.Set("Accept", "text/plain, application/json")
	if passphraseHash != "" {
		r.Header.Set(api.PassphraseHeader, passphraseHash)
	}
	response, err := c.do(c.taker, r, w)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // read to its end, or given up
	ciphertext, err := c.readCiphertext(&measured{ReadCloser: response.Body, total: response.ContentLength, progress: c.progress})
	if cause := context.Cause(w.ctx); err != nil && cause != nil {
		return nil, fmt.Errorf("%w (%w)", ErrInterrupted, cause)
	}
	return ciphertext, err
}

// readCiphertext decodes an answer as it comes. Memory grows with what has come, whatever the header says will.
func (c *Client) readCiphertext(body io.Reader) ([]byte, error) {
	// A lone line end after the text is forgiven; base64's decoder skips line ends anywhere.
	decoder := base64.NewDecoder(base64.StdEncoding.Strict(), &brokenOff{body: body})
	var ciphertext bytes.Buffer
	n, err := io.Copy(&ciphertext, io.LimitReader(decoder, c.maxCiphertext+1))
	var corrupt base64.CorruptInputError
	switch {
	case n > c.maxCiphertext:
		return nil, ErrTooLong
	case errors.As(err, &corrupt):
		return nil, ErrMalformed
	case errors.Is(err, io.ErrUnexpectedEOF): // it ends within a group of four
		return nil, fmt.Errorf("%w (the answer ends too early)", ErrInterrupted)
	case err != nil:
		return nil, err
	case n == 0:
		return nil, fmt.Errorf("%w (the answer is empty)", ErrInterrupted)
	}
	return ciphertext.Bytes(), nil
}

// brokenOff tells a connection's errors from the decoder's.
type brokenOff struct{ body io.Reader }

func (b *brokenOff) Read(p []byte) (int, error) {
	n, err := b.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w (%w)", ErrInterrupted, err)
	}
	return n, err
}
