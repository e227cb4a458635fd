package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"hakanai/httpapi/api"
)

// leases is a server that knows leases, and that goes through a list of answers: the last one again and again.
type leases struct {
	lock    sync.Mutex
	answers []http.HandlerFunc
	asked   []*http.Request // for the secret
	config  int             // how often it was asked for its configuration
	knows   bool
}

func (l *leases) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.lock.Lock()
	if r.URL.Path == api.ConfigPath {
		l.config++
		l.lock.Unlock()
		if l.knows {
			_, _ = io.WriteString(w, `{"features":{"leases":true}}`)
		} else {
			w.WriteHeader(http.StatusNotFound)
		}
		return
	}
	answer := l.answers[min(len(l.asked), len(l.answers)-1)]
	l.asked = append(l.asked, r)
	l.lock.Unlock()
	answer(w, r)
}

// get retrieves a secret from it, and fails if that was not with one value.
func (l *leases) get(t *testing.T, prepare ...func(*Client)) ([]byte, error) {
	t.Helper()
	c := serve(t, l.ServeHTTP)
	for _, prepare := range prepare {
		prepare(c)
	}
	got, err := c.Get(t.Context(), uuid.New(), "")
	l.lock.Lock()
	defer l.lock.Unlock()
	for _, r := range l.asked {
		if value := r.Header.Get(api.ClaimHeader); value == "" || value != l.asked[0].Header.Get(api.ClaimHeader) {
			t.Errorf("a request has the value %q", value)
		}
	}
	if err != nil {
		return nil, err
	}
	return got.Ciphertext, nil
}

func status(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// breaking gives the beginning of the text under a lease, and breaks.
func breaking(seconds int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(api.LeaseHeader, fmt.Sprint(seconds))
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		_, _ = io.WriteString(w, text[:5])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

func noAnswer(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// whole gives what is asked for.
func whole(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(api.LeaseHeader, "60")
	http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text))
}

func TestUnderALeaseWhatMayPassIsWaitedFor(t *testing.T) {
	for _, passing := range []int{204, 408, 418, 429, 500, 502, 503, 504, 0} {
		answer := status(passing)
		if passing == 0 {
			answer = noAnswer
		}
		l := &leases{answers: []http.HandlerFunc{breaking(60), answer, whole}}
		if got, err := l.get(t); err != nil || string(got) != "ABCDEFGH" || len(l.asked) != 3 {
			t.Errorf("after %d: %q, %v, %d requests", passing, got, err, len(l.asked))
		}
		if r := l.asked[len(l.asked)-1].Header.Get("Range"); r != "bytes=5-" {
			t.Errorf("after %d it asks for %q", passing, r)
		}
	}
}

func TestUnderALeaseWhatTheServerSaysOfTheSecretIsFinal(t *testing.T) {
	elsewhere := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", "bytes 8-11/12")
		w.WriteHeader(http.StatusPartialContent)
	}
	answers := map[string]http.HandlerFunc{"another place": elsewhere}
	for _, final := range []int{400, 401, 403, 404, 410, 416} {
		answers[fmt.Sprint(final)] = status(final)
	}
	for name, answer := range answers {
		l := &leases{answers: []http.HandlerFunc{breaking(60), answer}}
		_, err := l.get(t)
		var e *StatusError
		if !errors.Is(err, ErrInterrupted) || errors.As(err, &e) || len(l.asked) != 2 {
			t.Errorf("%s gives %v after %d requests", name, err, len(l.asked))
		}
		if strings.Count(err.Error(), ErrInterrupted.Error()) != 1 {
			t.Errorf("%s gives %v", name, err)
		}
	}
}

func TestAFirstRequestWithoutAnAnswerIsRepeatedWhereThereAreLeases(t *testing.T) {
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   error
	}{
		"502": {status(502), ErrGateway}, "504": {status(504), ErrGateway}, "a broken connection": {noAnswer, ErrNoAnswer},
	} {
		l := &leases{knows: true, answers: []http.HandlerFunc{test.answer, status(503), whole}}
		if got, err := l.get(t); err != nil || string(got) != "ABCDEFGH" || len(l.asked) != 3 {
			t.Errorf("%s: %q, %v, %d requests", name, got, err, len(l.asked))
		}
		l = &leases{answers: []http.HandlerFunc{test.answer}}
		if _, err := l.get(t); !errors.Is(err, test.want) || len(l.asked) != 1 || l.config != 1 {
			t.Errorf("%s without leases: %v after %d requests and %d questions", name, err, len(l.asked), l.config)
		}
	}
	l := &leases{knows: true, answers: []http.HandlerFunc{status(503)}}
	if _, err := l.get(t); !errors.Is(err, ErrUnavailable) || len(l.asked) != 1 || l.config != 0 {
		t.Errorf("503: %v after %d requests and %d questions", err, len(l.asked), l.config)
	}
}

func TestWhenTheLeaseIsOverTheErrorIsWhatBeganIt(t *testing.T) {
	l := &leases{answers: []http.HandlerFunc{breaking(1), status(503)}}
	if _, err := l.get(t); !errors.Is(err, ErrInterrupted) || strings.Contains(err.Error(), ErrUnavailable.Error()) || len(l.asked) < 2 {
		t.Errorf("it is %v after %d requests", err, len(l.asked))
	}
	l = &leases{knows: true, answers: []http.HandlerFunc{noAnswer, status(503)}}
	_, err := l.get(t, func(c *Client) { c.patience = time.Second })
	if !errors.Is(err, ErrNoAnswer) || errors.Is(err, ErrUnavailable) || len(l.asked) < 2 {
		t.Errorf("it is %v after %d requests", err, len(l.asked))
	}
}

func TestAskingForLeasesIsBoundedInAll(t *testing.T) {
	var asked []string
	var lock sync.Mutex
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		lock.Lock()
		asked = append(asked, r.URL.Path)
		lock.Unlock()
		if r.URL.Path != api.ConfigPath {
			panic(http.ErrAbortHandler)
		}
		<-r.Context().Done() // says nothing, however long it is listened to
	})
	c.askTime = silence / 5
	_, err := c.Get(t.Context(), uuid.New(), "")
	lock.Lock()
	defer lock.Unlock()
	if !errors.Is(err, ErrNoAnswer) || len(asked) != 2 {
		t.Errorf("it gives %v after %q", err, asked)
	}
}

func TestPausesGrowUntilBytesArrive(t *testing.T) {
	r := &retrieval{client: newClient(t, "http://localhost"), total: -1}
	pauses := func(n int) (all []time.Duration) {
		for range n {
			all = append(all, r.nextPause())
		}
		return all
	}
	want := []time.Duration{minPause, 2 * minPause, 4 * minPause, 8 * minPause, 16 * minPause, maxPause, maxPause}
	if got := pauses(len(want)); !slices.Equal(got, want) {
		t.Errorf("they are %v", got)
	}
	r.body = io.NopCloser(strings.NewReader("x"))
	if _, err := r.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if got := pauses(2); !slices.Equal(got, want[:2]) {
		t.Errorf("after a byte they are %v", got)
	}
	// Two breaks without a byte between them are one time of trouble.
	l := &leases{answers: []http.HandlerFunc{breaking(60), func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", "bytes 5-11/12")
		w.Header().Set("Content-Length", "7")
		w.WriteHeader(http.StatusPartialContent)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}}}
	var resumed int
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := serve(t, l.ServeHTTP)
	c.resuming = func(int64, int64, error) {
		if resumed++; resumed == 3 {
			cancel()
		}
	}
	r = &retrieval{client: c, ctx: ctx, address: c.server.String(), value: "v", total: -1}
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, context.Canceled) || r.pause != 4*minPause {
		t.Errorf("after %d interruptions the pause is %v (%v)", resumed, r.pause, err)
	}
}

func TestALeaseIsBelievedForAnHour(t *testing.T) {
	for header, want := range map[string]time.Duration{"3600": time.Hour, "3601": time.Hour, "9223372036854775807": time.Hour} {
		c := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set(api.LeaseHeader, header) })
		r := &retrieval{client: c, ctx: t.Context(), address: c.server.String(), value: "v", total: -1}
		before := time.Now()
		err := r.open()
		r.close()
		if err != nil || !r.leased || r.until.Before(before.Add(want)) || r.until.After(time.Now().Add(want)) {
			t.Errorf("%s: a lease (%v) until %v (%v)", header, r.leased, r.until, err)
		}
	}
}

func TestEndlessLineEndsEnd(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, text[:4])
		for range 1000 {
			if _, err := w.Write(bytes.Repeat([]byte("\n"), 64<<10)); err != nil {
				return
			}
		}
	})
	c.maxCiphertext = 1 << 20
	if _, err := c.Get(t.Context(), uuid.New(), ""); !errors.Is(err, ErrTooLong) {
		t.Errorf("they give %v", err)
	}
}
