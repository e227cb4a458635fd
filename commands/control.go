package commands

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"hakanai/store"
)

// A server that has an embedded store open lets its operator in by a unix socket in the data directory, which nobody
// else can enter. It takes hashes of tokens: no token goes through it.

const (
	controlName    = "control.sock"
	controlTimeout = 10 * time.Second
	maxControl     = 4 << 10 // bytes of a request
)

// replaceRequest is the body of POST /tokens.
type replaceRequest struct {
	Kind            store.TokenKind
	Hash            store.TokenHash
	TTL             time.Duration
	UploadSizeLimit int64
}

// control is the operator's entrance.
type control struct{ server *http.Server }

// startControl opens it. The store is locked to this process, so a socket that is there is left over from another.
func startControl(dir string, secrets store.Store) (*control, error) {
	path := filepath.Join(dir, controlName)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	listener, err := net.Listen("unix", path) //nolint:noctx // it does not wait
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /tokens", func(w http.ResponseWriter, r *http.Request) {
		var request replaceRequest
		if err := json.NewDecoder(io.LimitReader(r.Body, maxControl)).Decode(&request); err != nil {
			http.Error(w, "malformed", http.StatusBadRequest)
			return
		}
		err := secrets.ReplaceTokens(r.Context(), request.Hash, store.Token{
			Kind: request.Kind, TTL: request.TTL, UploadSizeLimit: request.UploadSizeLimit,
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	c := &control{&http.Server{Handler: mux, ReadTimeout: controlTimeout, WriteTimeout: controlTimeout}}
	go func() { _ = c.server.Serve(listener) }() // ends with close
	return c, nil
}

func (c *control) close() { _ = c.server.Close() } // removes the socket too

// controlClient talks to a running server.
type controlClient struct{ client *http.Client }

// dialControl finds the server that has a data directory open. Error: there is none.
func dialControl(ctx context.Context, dir string) (*controlClient, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(dir, controlName))
	}
	connection, err := dial(ctx, "", "")
	if err != nil {
		return nil, err
	}
	_ = connection.Close() // it was only to see that somebody is there
	return &controlClient{&http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: controlTimeout}}, nil
}

func (c *controlClient) replaceTokens(ctx context.Context, hash store.TokenHash, token store.Token) error {
	body, err := json.Marshal(replaceRequest{token.Kind, hash, token.TTL, token.UploadSizeLimit})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://control/tokens", bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := c.client.Do(request)
	if err != nil {
		return fmt.Errorf("asking the running server: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // read to its end, or given up
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, maxControl)) // what there is of it
		return fmt.Errorf("the running server answers: %s", bytes.TrimSpace(text))
	}
	return nil
}

func (c *controlClient) close() error {
	c.client.CloseIdleConnections()
	return nil
}
