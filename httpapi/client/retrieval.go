package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"hakanai/httpapi/api"
)

const (
	// firstPatience is how long a first request that had no answer is repeated: a server's shortest lease.
	firstPatience = time.Minute
	// maxAsked is how often a server is asked whether it knows leases.
	maxAsked = 5
	minPause = 200 * time.Millisecond
	maxPause = 5 * time.Second
	// endTime bounds the end of a lease, which ends by itself.
	endTime = 10 * time.Second
)

// retrieval is the body of an answer, over as many connections as it takes. All requests carry the same value, by which
// the server knows that it is the same caller.
type retrieval struct {
	client         *Client
	ctx            context.Context
	address        string
	value          string
	passphraseHash string

	watch         *watch
	body          io.ReadCloser
	leased        bool      // the server lets the same value come back
	until         time.Time // when the lease ends
	offset, total int64     // of the answer's text, bytes; total is -1 if nobody knows
}

// open makes the first request. One that had no answer may have claimed the secret: it is repeated, if the server says that
// it knows leases. One that the server refuses is over.
func (r *retrieval) open() error {
	r.until = time.Now().Add(firstPatience)
	err := r.request()
	if answered(err) || errors.Is(err, ErrUnreachable) || r.ctx.Err() != nil {
		return err
	}
	for range maxAsked { // the line may be as bad for this question
		config, configErr := r.client.Config(r.ctx)
		switch {
		case configErr == nil && config.Features.Leases:
			return r.again(err)
		case answered(configErr):
			return err
		}
		if pauseErr := r.pause(minPause); pauseErr != nil {
			return pauseErr
		}
	}
	return err
}

// pause waits. Error: the context's.
func (r *retrieval) pause(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

// answered tells whether a request had an answer, or can have none.
func answered(err error) bool {
	var status *StatusError
	var redirect *RedirectError
	return err == nil || errors.As(err, &status) || errors.As(err, &redirect)
}

// again repeats the request, at growing intervals, until it has an answer or the lease is over. A server that is not
// available just now may be so later. cause is why.
func (r *retrieval) again(cause error) error {
	err := cause
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		r.close()
		if time.Now().Add(pause).After(r.until) {
			return err
		}
		r.client.resuming(r.offset, r.total, err)
		if err := r.pause(pause); err != nil {
			return err
		}
		if err = r.request(); answered(err) && !errors.Is(err, ErrUnavailable) {
			return err
		}
	}
}

// request asks for what is left of the answer.
func (r *retrieval) request() error {
	c := r.client
	r.watch = newWatch(r.ctx, c.silence)
	request, err := http.NewRequestWithContext(r.watch.ctx, http.MethodGet, r.address, nil)
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	request.Header.Set("Accept", "text/plain, application/json")
	request.Header.Set(api.ClaimHeader, r.value)
	if r.passphraseHash != "" {
		request.Header.Set(api.PassphraseHeader, r.passphraseHash)
	}
	if r.offset > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", r.offset))
	}
	response, err := c.do(c.taker, request, r.watch) //nolint:bodyclose // close does
	if err != nil {
		return err
	}
	r.body = response.Body
	if seconds, err := strconv.Atoi(response.Header.Get(api.LeaseHeader)); err == nil && seconds > 0 {
		r.leased, r.until = true, time.Now().Add(time.Duration(seconds)*time.Second)
	}
	return r.position(response)
}

// position finds out which part of the answer comes, and skips what is here already.
func (r *retrieval) position(response *http.Response) error {
	begins := int64(0)
	if response.StatusCode == http.StatusPartialContent {
		text, _ := strings.CutPrefix(response.Header.Get("Content-Range"), "bytes ")
		first, rest, _ := strings.Cut(text, "-")
		_, length, _ := strings.Cut(rest, "/")
		var err1, err2 error
		begins, err1 = strconv.ParseInt(first, 10, 64)
		r.total, err2 = strconv.ParseInt(length, 10, 64)
		if errors.Join(err1, err2) != nil || begins > r.offset {
			return fmt.Errorf("%w (the server continues at another place)", ErrInterrupted)
		}
	} else {
		r.total = response.ContentLength
	}
	_, err := io.CopyN(io.Discard, r.body, r.offset-begins)
	return err
}

// Read gives the answer's text. What breaks is continued, if that is possible.
func (r *retrieval) Read(p []byte) (int, error) {
	for {
		n, err := r.body.Read(p)
		r.offset += int64(n)
		r.client.progress(r.offset, r.total)
		switch {
		case n > 0:
			return n, nil
		case err == nil:
			continue
		case errors.Is(err, io.EOF) && (r.total < 0 || r.offset >= r.total):
			return 0, io.EOF
		}
		if cause := context.Cause(r.watch.ctx); cause != nil {
			err = cause
		}
		if r.leased && r.ctx.Err() == nil {
			err = r.again(err)
		}
		switch {
		case err == nil:
		case answered(err): // what the server says now is about the rest, not about the secret
			return 0, fmt.Errorf("%w (%s)", ErrInterrupted, err) //nolint:errorlint // see above
		default:
			return 0, fmt.Errorf("%w (%w)", ErrInterrupted, err)
		}
	}
}

// close ends the connection.
func (r *retrieval) close() {
	if r.body != nil {
		_ = r.body.Close() // it was read to its end, or has broken
		r.body = nil
	}
	if r.watch != nil {
		r.watch.end()
		r.watch = nil
	}
}

// end ends the lease. A lease that is over is no error: it may have been ended by a request that had no answer.
func (r *retrieval) end(ctx context.Context) error {
	if !r.leased {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, endTime)
	defer cancel()
	w := newWatch(ctx, r.client.silence)
	defer w.end()
	request, err := http.NewRequestWithContext(w.ctx, http.MethodDelete, r.address, nil)
	if err != nil {
		return fmt.Errorf("making a request: %w", err)
	}
	request.Header.Set(api.ClaimHeader, r.value)
	response, err := r.client.do(r.client.sender, request, w)
	if errors.Is(err, ErrGone) || errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return response.Body.Close()
}
