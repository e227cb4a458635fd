package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"hakanai/httpapi/api"
)

// What a server's status means. A *StatusError is each of these that fits its status, by errors.Is.
var (
	ErrBadRequest      = errors.New("the server does not understand the request")               // 400
	ErrUnauthorized    = errors.New("a token or passphrase is missing or wrong")                // 401
	ErrForbidden       = errors.New("the secret may not be retrieved from here")                // 403
	ErrNotFound        = errors.New("there is no such secret: it never was, or it has expired") // 404
	ErrGone            = errors.New("the secret is gone: somebody has retrieved it")            // 410
	ErrTooLarge        = errors.New("the secret is larger than the server accepts")             // 413
	ErrTooManyRequests = errors.New("the server has had too many requests")                     // 429
	ErrUnsupported     = errors.New("the server does not offer what was asked for")             // 501
	ErrGateway         = errors.New("a proxy has had no answer from the server")                // 502, 504
	ErrUnavailable     = errors.New("the server is not available just now")                     // 503
	ErrStoreFull       = errors.New("the server has no room left")                              // 507
)

func sentinel(status int) error {
	switch status {
	case http.StatusBadRequest:
		return ErrBadRequest
	case http.StatusUnauthorized:
		return ErrUnauthorized
	case http.StatusForbidden:
		return ErrForbidden
	case http.StatusNotFound:
		return ErrNotFound
	case http.StatusGone:
		return ErrGone
	case http.StatusRequestEntityTooLarge:
		return ErrTooLarge
	case http.StatusTooManyRequests:
		return ErrTooManyRequests
	case http.StatusNotImplemented:
		return ErrUnsupported
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return ErrGateway
	case http.StatusServiceUnavailable:
		return ErrUnavailable
	case http.StatusInsufficientStorage:
		return ErrStoreFull
	}
	return nil
}

// Errors of a request that had no answer.
var (
	// ErrUnreachable says that there was no connection: the server has heard nothing of the request.
	ErrUnreachable = errors.New("the server cannot be reached")
	// ErrNoAnswer says that the connection broke: what the server has done is not known.
	ErrNoAnswer = errors.New("the connection broke before there was an answer")
)

// StatusError is an answer whose status is not 200.
type StatusError struct {
	Status     int
	Message    string        // the server's own words, at most 1 KiB, safe to print on a terminal; may be empty
	RetryAfter time.Duration // when to try again, if the server says so
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("the server answers %d", e.Status)
	if meaning := sentinel(e.Status); meaning != nil {
		text = meaning.Error()
	}
	if e.Message != "" && e.Message != text {
		text += fmt.Sprintf(" (the server says: %s)", e.Message)
	}
	return text
}

// Is matches the sentinel of the status.
func (e *StatusError) Is(target error) bool {
	meaning := sentinel(e.Status)
	return meaning != nil && target == meaning
}

// maxMessage bounds what is read of an answer that is not a ciphertext, in bytes.
const maxMessage = 1 << 10

func statusError(response *http.Response) error {
	e := &StatusError{Status: response.StatusCode}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxMessage))
	if err == nil || len(body) > 0 {
		e.Message = message(body)
	}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = min(time.Duration(seconds), 24*60*60) * time.Second
	}
	return e
}

// message finds a server's own words in an answer: JSON as this project's servers write it, or plain text. A page of
// HTML, as proxies send, says nothing.
func message(body []byte) string {
	var answer api.ErrorResponse
	if json.Unmarshal(body, &answer) == nil {
		return printable(answer.Error, maxMessage)
	}
	text := strings.TrimSpace(string(body))
	if strings.HasPrefix(text, "<") {
		return ""
	}
	return printable(text, maxMessage)
}

// printable makes a text that came from elsewhere safe to print: one line, without control and format characters
// (which hold terminal escapes and changes of direction), at most limit bytes.
func printable(text string, limit int) string {
	var b strings.Builder
	space := false
	for _, r := range text {
		if unicode.IsSpace(r) {
			space = b.Len() > 0
			continue
		}
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			r = '?'
		}
		if b.Len()+1+utf8.RuneLen(r) > limit {
			break
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return b.String()
}
