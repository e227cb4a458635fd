// Package client sends secrets to a Hakanai server and gets them back. It moves ciphertext only: what it is given has
// been sealed already, what it returns has yet to be opened (package hakanai/crypto does both).
//
// A secret can be retrieved once, and a client must not lose it on the way by carelessness. So a Get needs no
// Content-Length, may take as long as bytes keep coming, never follows a redirect to another server, and is repeated only
// where the server knows that it is the same caller.
package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"hakanai/httpapi/api"
)

// Options are the settings of New. Only Server is required.
type Options struct {
	Server  string // scheme, host and port, such as https://example.com
	Version string // for the User-Agent; "devel" by default
	Token   string // sent when a secret is created, where the server wants one
	// SilenceTimeout is how long nothing may move in either direction before a request is given up; 30 s by default.
	// There is no limit on a request as a whole: its context is that.
	SilenceTimeout time.Duration
	// MaxCiphertext bounds what a Get takes, in bytes; 1 GiB by default.
	MaxCiphertext int64
	// Progress, if it is set, is told how many bytes of a secret have moved, of how many, as they are on the wire: of a
	// Send's request, and of a Get's answer (total is -1 if the server does not say). It is called often, by one goroutine
	// at a time, and must not wait.
	Progress func(done, total int64)
	// Resuming, if it is set, is told that the connection of a Get broke, and that it is about to be continued: after how
	// many bytes, of how many, and why.
	Resuming func(done, total int64, cause error)
	// Memory makes the empty buffer for a Get's ciphertext; make by default.
	Memory func(capacity int) []byte
	// TLS is for private certificate authorities. The default trusts the system's.
	TLS *tls.Config
}

const (
	defaultSilence       = 30 * time.Second
	defaultMaxCiphertext = 1 << 30
	maxHeaderBytes       = 64 << 10
	maxRedirects         = 3
)

// Client talks to one server. It may be used by many goroutines at once.
type Client struct {
	server        *url.URL
	userAgent     string
	token         string
	silence       time.Duration
	maxCiphertext int64
	patience      time.Duration // firstPatience
	askTime       time.Duration // askTime
	progress      func(done, total int64)
	resuming      func(done, total int64, cause error)
	memory        func(capacity int) []byte

	sender, taker *http.Client
}

// New checks the options and returns a client.
func New(options Options) (*Client, error) {
	server, err := parseServer(options.Server)
	if err != nil {
		return nil, err
	}
	c := &Client{
		server:        server,
		userAgent:     api.UserAgentPrefix + "cli/" + options.Version,
		token:         options.Token,
		silence:       options.SilenceTimeout,
		maxCiphertext: options.MaxCiphertext,
		patience:      firstPatience,
		askTime:       askTime,
		progress:      options.Progress,
		resuming:      options.Resuming,
		memory:        options.Memory,
	}
	if options.Version == "" {
		c.userAgent += "devel"
	}
	if c.progress == nil {
		c.progress = func(int64, int64) {}
	}
	if c.resuming == nil {
		c.resuming = func(int64, int64, error) {}
	}
	if c.memory == nil {
		c.memory = func(capacity int) []byte { return make([]byte, 0, capacity) }
	}
	if c.silence <= 0 {
		c.silence = defaultSilence
	}
	if c.maxCiphertext <= 0 {
		c.maxCiphertext = defaultMaxCiphertext
	}
	c.sender = &http.Client{Transport: c.transport(options.TLS), CheckRedirect: c.checkRedirect}
	taker := c.transport(options.TLS)
	// Go's transport repeats a GET when a connection that it used before breaks. For a secret the repetition would find
	// it gone, taken by the first try. On a connection of its own, and without HTTP/2, nothing is ever repeated.
	taker.DisableKeepAlives = true
	taker.Protocols = new(http.Protocols)
	taker.Protocols.SetHTTP1(true)
	c.taker = &http.Client{Transport: taker, CheckRedirect: c.checkRedirect}
	return c, nil
}

// parseServer reads a server's address.
func parseServer(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the server's address should look like https://example.com")
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return nil, errors.New("the server's address has more than a scheme, a host and a port: it should look like https://example.com")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

func (c *Client) transport(config *tls.Config) *http.Transport {
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        config,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true, // ciphertext does not compress
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxHeaderBytes,
		IdleConnTimeout:        90 * time.Second,
	}
}

// RedirectError is a redirect that was not followed. What a request carries is for the server that it was meant for.
type RedirectError struct {
	Target string // scheme, host and port of where it would have led
}

func (e *RedirectError) Error() string {
	return fmt.Sprintf("the server redirects to %s, which was not followed: if that is right, use its address", e.Target)
}

// checkRedirect lets pass only what stays on the server, and repeats no POST.
func (c *Client) checkRedirect(r *http.Request, via []*http.Request) error {
	if r.URL.Scheme != c.server.Scheme || r.URL.Host != c.server.Host || via[0].Method == http.MethodPost || len(via) > maxRedirects {
		return &RedirectError{Target: printable(r.URL.Scheme+"://"+r.URL.Host, 200)}
	}
	return nil
}

// do makes a request, and returns an answer of success whose body the watch looks after. The watch must be ended.
func (c *Client) do(client *http.Client, r *http.Request, w *watch) (*http.Response, error) {
	r.Header.Set("User-Agent", c.userAgent)
	response, err := client.Do(r)
	if err != nil {
		return nil, requestError(r.Context(), err)
	}
	response.Body = w.watchBody(response.Body)
	if !succeeded(r, response.StatusCode) {
		err := statusError(response)
		return nil, errors.Join(err, response.Body.Close())
	}
	return response, nil
}

// succeeded tells whether a status is the success of a request.
func succeeded(r *http.Request, status int) bool {
	switch status {
	case http.StatusOK:
		return true
	case http.StatusPartialContent:
		return r.Header.Get("Range") != ""
	case http.StatusNoContent:
		return r.Method == http.MethodDelete
	}
	return false
}

// requestError says why a request had no answer. What package url adds, the method and the address, helps nobody.
func requestError(ctx context.Context, err error) error {
	var redirect *RedirectError
	if errors.As(err, &redirect) {
		return redirect
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	var dial *net.OpError
	var tlsError *tls.CertificateVerificationError
	if errors.As(err, &dial) && dial.Op != "read" && dial.Op != "write" || errors.As(err, &tlsError) || errors.Is(err, http.ErrSchemeMismatch) {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return fmt.Errorf("%w: %w", ErrNoAnswer, err)
}
