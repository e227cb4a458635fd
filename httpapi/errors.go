package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"hakanai/httpapi/api"
	"hakanai/store"
)

// retryAfter is what a caller is told to wait when the server cannot serve just now, in seconds.
const retryAfter = 5

// fail answers with an error status and a short text: JSON for those who accept it, else plain.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, status int, text string) {
	body, contentType := []byte(text+"\n"), "text/plain; charset=utf-8"
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		// A struct of one string always encodes.
		body, _ = json.Marshal(api.ErrorResponse{Error: text}) //nolint:errchkjson // see above
		contentType = "application/json"
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if status == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the caller is gone: there is nobody to tell
	}
}

// errCaller says that the caller's connection failed: nobody is there to be answered, and the store is not to blame.
var errCaller = errors.New("the caller's connection failed")

// callerFailed is errCaller with a reason. The addresses of the connection, which are in errors of package net, are left out.
func callerFailed(doing string, err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return fmt.Errorf("%w: %s: %w", errCaller, doing, err)
}

// bodyFailed is the error of a body that could not be read to its end. The end of something else, such as a file of the
// store, is none of the caller's.
func bodyFailed(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return badRequest("the body ends too early")
	}
	return err
}

// requestError is an error that is the caller's: its text is the answer.
type requestError struct {
	status     int
	text       string
	retryAfter time.Duration // for 429 and 503; 0 leaves it to the default
}

func (e *requestError) Error() string { return e.text }

func refuse(status int, text string) error { return &requestError{status: status, text: text} }

func badRequest(text string) error { return refuse(http.StatusBadRequest, text) }

func tooLarge(text string) error { return refuse(http.StatusRequestEntityTooLarge, text) }

// failWith answers with the status that an error stands for. Errors of the store itself are logged, and the caller
// learns only that it is not well.
func (s *Server) failWith(w http.ResponseWriter, r *http.Request, err error) {
	var request *requestError
	switch {
	case errors.As(err, &request):
		if seconds := int(math.Ceil(request.retryAfter.Seconds())); seconds > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(seconds))
		}
		s.fail(w, r, request.status, request.text)
	case errors.Is(err, store.ErrNotFound):
		s.fail(w, r, http.StatusNotFound, "there is no such secret: it never was, or it has expired")
	case errors.Is(err, store.ErrGone):
		s.fail(w, r, http.StatusGone, "the secret is gone: somebody has retrieved it")
	case errors.Is(err, store.ErrUsedUp):
		w.Header().Set("Retry-After", strconv.Itoa(int(minLease/time.Second)))
		s.fail(w, r, http.StatusTooManyRequests, "you have asked for this secret too often: it is gone for everybody else")
	case errors.Is(err, store.ErrFull):
		s.log.Warn().EmbedObject(about(w)).Err(err).Msg("the store is full")
		s.fail(w, r, http.StatusInsufficientStorage, "the store is full: nothing was stored")
	case errors.Is(err, store.ErrDown): // the store itself has said so, once
		s.fail(w, r, http.StatusServiceUnavailable, "the store is not available: try again soon")
	case errors.Is(err, os.ErrDeadlineExceeded): // the caller's: a store that answers too late is down
		w.Header().Set("Connection", "close")
		s.fail(w, r, http.StatusRequestTimeout, "the request came too slowly")
	case errors.Is(err, context.Canceled), errors.Is(err, errCaller):
		s.fail(w, r, http.StatusServiceUnavailable, "the caller has gone away: nothing was done")
	case errors.Is(err, store.ErrClockJump):
		s.log.Warn().EmbedObject(about(w)).Err(err).Msg("the store accepts nothing new until it is certain of the time")
		s.fail(w, r, http.StatusServiceUnavailable, "the server's clock is being set: try again soon")
	default:
		s.log.Error().EmbedObject(about(w)).Err(err).Msg("the store failed")
		s.fail(w, r, http.StatusServiceUnavailable, "the store is not available: try again soon")
	}
}
