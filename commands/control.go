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
	"runtime"
	"time"

	"hakanai/store"
	"hakanai/store/embedded"
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

// maxSocketPath is the longest path that a unix socket can have anywhere, in bytes.
const maxSocketPath = 103

var errLongPath = errors.New("the path of the data directory is too long for a socket in it: " +
	"while the server runs, hakanai admin cannot reach it")

// controlPath is a path of the socket that the system takes, valid until done is called. Linux has a short one for
// every directory that is open.
func controlPath(dir string) (path string, done func(), err error) {
	path = filepath.Join(dir, controlName)
	if len(path) <= maxSocketPath {
		return path, func() {}, nil
	}
	if runtime.GOOS != "linux" {
		return "", nil, errLongPath
	}
	open, err := os.Open(dir) //nolint:gosec // the operator names it
	if err != nil {
		return "", nil, err
	}
	return fmt.Sprintf("/proc/self/fd/%d/%s", open.Fd(), controlName), func() { _ = open.Close() }, nil
}

// control is the operator's entrance.
type control struct {
	server *http.Server
	done   func()
}

// startControl opens it. The store is locked to this process, so a socket that is there is left over from another.
func startControl(dir string, secrets store.Store) (_ *control, err error) {
	path, done, err := controlPath(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			done()
		}
	}()
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
	c := &control{&http.Server{Handler: mux, ReadTimeout: controlTimeout, WriteTimeout: controlTimeout}, done}
	go func() { _ = c.server.Serve(listener) }() // ends with close
	return c, nil
}

func (c *control) close() {
	_ = c.server.Close() // removes the socket too
	c.done()
}

// controlClient talks to a running server. It implements tokenStore.
type controlClient struct {
	client *http.Client
	dir    string
}

// dialControl finds the server that has a data directory open. Error: there is none.
func dialControl(ctx context.Context, dir string) (*controlClient, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		path, done, err := controlPath(dir)
		if err != nil {
			return nil, err
		}
		defer done()
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	connection, err := dial(ctx, "", "")
	if err != nil {
		return nil, err
	}
	_ = connection.Close() // it was only to see that somebody is there
	return &controlClient{&http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: controlTimeout}, dir}, nil
}

// String says what the store itself does.
func (c *controlClient) String() string { return embedded.Describe(c.dir) }

// ReplaceTokens asks the server to.
func (c *controlClient) ReplaceTokens(ctx context.Context, hash store.TokenHash, token store.Token) error {
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

// Close ends the connection.
func (c *controlClient) Close() error {
	c.client.CloseIdleConnections()
	return nil
}
