package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"hakanai/httpapi/api"
)

// maxAnswer bounds an answer of JSON, in bytes.
const maxAnswer = 64 << 10

// Config asks for the server's configuration. Servers that have none answer with ErrNotFound.
func (c *Client) Config(ctx context.Context) (config api.Config, err error) {
	err = c.ask(ctx, http.MethodGet, api.ConfigPath, nil, &config)
	return config, err
}

// MakeToken makes a user token; the client's own token must be the admin token. A limit of 0 leaves the size of secrets
// to the server. Errors: see StatusError and ErrSilence.
func (c *Client) MakeToken(ctx context.Context, ttl time.Duration, limit int64) (string, error) {
	seconds := int64(ttl / time.Second)
	request := api.TokenRequest{TTLSeconds: &seconds}
	if limit > 0 {
		request.UploadSizeLimit = &limit
	}
	body, err := json.Marshal(request)
	if err != nil {
		return "", fmt.Errorf("encoding the request: %w", err)
	}
	var made api.TokenResponse
	if err := c.ask(ctx, http.MethodPost, api.AdminTokensPath, body, &made); err != nil {
		return "", err
	}
	if token := printable(made.Token, maxMessage); token == made.Token && token != "" {
		return token, nil
	}
	return "", fmt.Errorf("the server's answer holds no token")
}

// ask makes a request with a small body, or none, and reads an answer of JSON.
func (c *Client) ask(ctx context.Context, method, path string, body []byte, answer any) error {
	w := newWatch(ctx, c.silence)
	defer w.end()
	r, err := http.NewRequestWithContext(w.ctx, method, c.server.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Accept", "application/json")
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := c.do(c.sender, r, w)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // read to its end, or given up
	if err := json.NewDecoder(io.LimitReader(response.Body, maxAnswer)).Decode(answer); err != nil {
		return fmt.Errorf("reading the server's answer: %w", err)
	}
	return nil
}
