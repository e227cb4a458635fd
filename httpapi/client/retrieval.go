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
	// askTime is how long a server is asked whether it knows leases.
	askTime  = 10 * time.Second
	minPause = 200 * time.Millisecond
	maxPause = 5 * time.Second
	// maxLease bounds what a server says of its lease, in seconds.
	maxLease = 60 * 60
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
	repeating     bool          // a request before may have claimed the secret
	leased        bool          // the server lets the same value come back
	until         time.Time     // when the lease ends
	pause         time.Duration // before the last repetition; 0 when bytes have arrived since
	offset, total int64         // of the answer's text, bytes; total is -1 if nobody knows
}

// open makes the first request. One that had no answer may have claimed the secret: it is repeated, if the server says that
// it knows leases. One that the server refuses is over.
func (r *retrieval) open() error {
	r.until = time.Now().Add(r.client.patience)
	err := r.request()
	if r.final(err) || r.ctx.Err() != nil {
		return err
	}
	r.repeating = true
	if r.hasLeases() {
		return r.again(err)
	}
	if r.ctx.Err() != nil {
		return context.Cause(r.ctx)
	}
	return err
}

// hasLeases asks the server whether it knows leases: more than once, since the line may be as bad for this question, but
// all of it within a bounded time.
func (r *retrieval) hasLeases() bool {
	ctx, cancel := context.WithTimeout(r.ctx, r.client.askTime)
	defer cancel()
	for pause := minPause; ; pause *= 2 {
		config, err := r.client.Config(ctx)
		if r.final(err) {
			return err == nil && config.Features.Leases
		}
		if wait(ctx, pause) != nil {
			return false
		}
	}
}

// wait waits. Error: the context's.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// final tells whether what came of a request is the last word. As long as the secret cannot have been claimed, that is
// every answer but a proxy's that has waited for one in vain. Later it is only what the server itself says of the secret
// or the request: whatever else comes, a server that restarts or a proxy in its way, may pass before the lease does.
func (r *retrieval) final(err error) bool {
	var status *StatusError
	var redirect *RedirectError
	switch {
	case err == nil, errors.As(err, &redirect), errors.Is(err, ErrInterrupted):
		return true
	case !errors.As(err, &status):
		return !r.repeating && errors.Is(err, ErrUnreachable)
	case !r.repeating:
		return !errors.Is(err, ErrGateway)
	}
	switch status.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone,
		http.StatusRequestedRangeNotSatisfiable:
		return true
	}
	return false
}

// again repeats the request until it has a final answer, or the lease is over. cause is why; it is the error when the time
// is over, since what came of the last repetition says nothing about the secret.
func (r *retrieval) again(cause error) error {
	r.repeating = true
	for err := cause; ; {
		r.close()
		if r.ctx.Err() != nil {
			return context.Cause(r.ctx)
		}
		pause := r.nextPause()
		if time.Now().Add(pause).After(r.until) {
			return cause
		}
		r.client.resuming(r.offset, r.total, err)
		if err := wait(r.ctx, pause); err != nil {
			return err
		}
		if err = r.request(); r.final(err) {
			return err
		}
	}
}

// nextPause is how long to wait before the next request: longer each time, until bytes arrive.
func (r *retrieval) nextPause() time.Duration {
	r.pause = min(max(2*r.pause, minPause), maxPause)
	return r.pause
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
		r.leased, r.until = true, time.Now().Add(time.Duration(min(seconds, maxLease))*time.Second)
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
			r.pause = 0
			return n, nil
		case err == nil:
			continue
		case errors.Is(err, io.EOF) && (r.total < 0 || r.offset >= r.total):
			return 0, io.EOF
		}
		if cause := context.Cause(r.watch.ctx); cause != nil {
			err = cause
		}
		if r.leased {
			err = r.again(err)
		}
		switch {
		case err == nil:
		case errors.Is(err, ErrInterrupted):
			return 0, err
		case r.final(err): // what the server says now is about the rest, not about the secret
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
