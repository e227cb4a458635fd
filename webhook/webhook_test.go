package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hakanai/httpapi/api"
	"hakanai/store/storetest"
)

// receiver is a server that webhooks are sent to, and what it got.
type receiver struct {
	*httptest.Server
	answer func(w http.ResponseWriter, r *http.Request, n int) // n counts from 1

	mu  sync.Mutex
	got []received
}

type received struct {
	header http.Header
	body   string
	hook   api.Webhook
}

func newReceiver(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, n int)) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		got := received{header: request.Header, body: string(body)}
		if err := json.Unmarshal(body, &got.hook); err != nil || request.Method != http.MethodPost {
			t.Errorf("%s %s: %v", request.Method, body, err)
		}
		r.mu.Lock()
		r.got = append(r.got, got)
		n := len(r.got)
		r.mu.Unlock()
		if r.answer != nil {
			r.answer(w, request, n)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// tally counts results and changes.
type tally struct {
	mu      sync.Mutex
	results map[string]int
	changes []error
}

func (c *tally) count(result string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.results[result]
}

// newTestSender is a sender that tells a tally, and does not pause for long.
func newTestSender(t *testing.T, options Options) (*Sender, *tally) {
	t.Helper()
	c := &tally{results: make(map[string]int)}
	options.Result = func(result string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.results[result]++
	}
	options.Changed = func(err error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.changes = append(c.changes, err)
	}
	if options.Backoff == nil {
		options.Backoff = []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}
	}
	return newSender(options), c
}

// deliver sends an event and waits for what becomes of it.
func deliver(t *testing.T, s *Sender, event api.Event) {
	t.Helper()
	s.start()
	s.Send(event)
	end(t, s)
}

func end(t *testing.T, s *Sender) {
	t.Helper()
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

var anEvent = api.Event{Action: api.Retrieved, SecretID: "d7f2a5f5-0a75-4b1d-8c59-1a1d5a3b8e11", Header: http.Header{}}

func TestAnEventIsToldAsTheProtocolSays(t *testing.T) {
	r := newReceiver(t, nil)
	s, c := newTestSender(t, Options{
		URL: r.URL + "/hook?x=1", AllowPrivate: true, Token: "opensesame", SigningKey: []byte("0123456789abcdef"), Headers: DefaultHeaders(),
	})
	hash := strings.Repeat("a", 64)
	deliver(t, s, api.Event{
		Action: api.Created, SecretID: anEvent.SecretID, UserType: api.Authenticated,
		Header: http.Header{
			"User-Agent": {"curl/8"}, "X-Forwarded-For": {"192.0.2.1", "198.51.100.1"}, "Accept": {"text/plain"}, "X-Real-Ip": {"192.0.2.9"},
		},
		Restrictions: api.Restrictions{
			AllowedIPs: []string{"192.0.2.0/24", "::1"}, AllowedCountries: []string{"DE", "FR"}, AllowedASNs: []uint32{64500}, PassphraseHash: &hash,
		},
	})
	got := r.all()
	if len(got) != 1 || c.count(Delivered) != 1 || len(c.changes) != 0 {
		t.Fatalf("%d tries, %v, %v", len(got), c.results, c.changes)
	}
	const want = `{"secret_id":"d7f2a5f5-0a75-4b1d-8c59-1a1d5a3b8e11","action":"Created","details":{` +
		`"restrictions":"allowed_ips: 192.0.2.0/24, ::1; allowed_countries: DE, FR; allowed_asns: 64500",` +
		`"user-agent":"curl/8","user_type":"authenticated","x-forwarded-for":"192.0.2.1, 198.51.100.1","x-real-ip":"192.0.2.9"}}`
	if got[0].body != want {
		t.Errorf("got\n%s\nwant\n%s", got[0].body, want)
	}
	h := got[0].header
	if h.Get("Authorization") != "Bearer opensesame" || h.Get("Content-Type") != "application/json" {
		t.Errorf("%v", h)
	}
	var seconds int64
	var mac string
	if _, err := fmt.Sscanf(h.Get(api.SignatureHeader), "t=%d,v1=%s", &seconds, &mac); err != nil {
		t.Fatalf("%v: %v", h, err)
	}
	if h.Get(api.SignatureHeader) != sign([]byte("0123456789abcdef"), time.Unix(seconds, 0), []byte(want)) {
		t.Errorf("the signature is %s", h.Get(api.SignatureHeader))
	}
}

func TestAnEventWithoutDetailsHasNone(t *testing.T) {
	r := newReceiver(t, nil)
	s, _ := newTestSender(t, Options{URL: r.URL, AllowPrivate: true})
	deliver(t, s, anEvent)
	got := r.all()[0]
	if want := `{"secret_id":"` + anEvent.SecretID + `","action":"Retrieved","details":{}}`; got.body != want {
		t.Errorf("got %s", got.body)
	}
	if got.header.Get(api.SignatureHeader) != "" || got.header.Get("Authorization") != "" {
		t.Errorf("%v", got.header)
	}
}

// The value is that of another implementation:
// printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac secretsecretsecret
func TestTheSignatureIsAnHMACOverTimeAndBody(t *testing.T) {
	const want = "t=1700000000,v1=7d9d50b29b6694ba5e8a0407919a265a018b8e128cf9ed0598a54ca815496fbb"
	if got := sign([]byte("secretsecretsecret"), time.Unix(1_700_000_000, 0), []byte(`{"a":1}`)); got != want {
		t.Errorf("got %s", got)
	}
}

func TestCredentialsAreNeverPassedOn(t *testing.T) {
	r := newReceiver(t, nil)
	denied := []string{"Authorization", "proxy-authorization", "COOKIE", "Set-Cookie", "X-Secret-Passphrase", "x-hakanai-claim"}
	s, _ := newTestSender(t, Options{URL: r.URL, AllowPrivate: true, Headers: append(denied, "X-Fine")})
	event := anEvent
	event.Header = http.Header{}
	for _, name := range denied {
		event.Header.Set(name, "hunter2")
	}
	event.Header.Set("X-Fine", "yes")
	deliver(t, s, event)
	if got := r.all()[0]; strings.Contains(got.body, "hunter2") || strings.Contains(fmt.Sprint(got.header), "hunter2") ||
		len(got.hook.Details) != 1 || got.hook.Details["x-fine"] != "yes" {
		t.Errorf("got %s %v", got.body, got.header)
	}
}

func TestLongAndOddValuesAreBounded(t *testing.T) {
	r := newReceiver(t, nil)
	s, _ := newTestSender(t, Options{URL: r.URL, AllowPrivate: true, Headers: []string{"x-long", "x-odd"}})
	event := anEvent
	event.Header = http.Header{"X-Long": {strings.Repeat("ä", 5000)}, "X-Odd": {"a\xff\"\u2028"}}
	event.Restrictions.AllowedIPs = slices.Repeat([]string{"192.0.2.1"}, 1000)
	deliver(t, s, event)
	details := r.all()[0].hook.Details
	if got := details["x-long"]; got != strings.Repeat("ä", maxHeader/2) {
		t.Errorf("%d bytes", len(got))
	}
	if got := details["x-odd"]; got != "a\ufffd\"\u2028" {
		t.Errorf("got %q", got)
	}
	if got := details["restrictions"]; len(got) != maxRestrictions {
		t.Errorf("%d bytes", len(got))
	}
}

func TestWhatFailsIsTriedAgainUnderTheSameID(t *testing.T) {
	for _, status := range []int{500, 502, 503, 504, 408, 425, 429} {
		r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, n int) {
			if n < 4 {
				w.WriteHeader(status)
			}
		})
		s, c := newTestSender(t, Options{URL: r.URL, AllowPrivate: true, SigningKey: []byte("k")})
		deliver(t, s, anEvent)
		got := r.all()
		if len(got) != 4 || c.count(Delivered) != 1 || c.count(Failed) != 0 {
			t.Fatalf("%d: %d tries, %v", status, len(got), c.results)
		}
		for _, again := range got[1:] {
			if id := again.header.Get(api.DeliveryHeader); len(id) != 36 || id != got[0].header.Get(api.DeliveryHeader) || again.body != got[0].body {
				t.Errorf("%d: another try is %v %s", status, again.header, again.body)
			}
		}
	}
}

func TestTriesHaveAnEnd(t *testing.T) {
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(500) })
	s, c := newTestSender(t, Options{URL: r.URL, AllowPrivate: true})
	deliver(t, s, anEvent)
	if got := len(r.all()); got != 4 || c.count(Failed) != 1 {
		t.Errorf("%d tries, %v", got, c.results)
	}
}

func TestWhatIsRefusedForGoodIsNotTriedAgain(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 410, 413, 304} {
		r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(status) })
		s, c := newTestSender(t, Options{URL: r.URL, AllowPrivate: true})
		deliver(t, s, anEvent)
		if got := len(r.all()); got != 1 || c.count(Failed) != 1 {
			t.Errorf("%d: %d tries, %v", status, got, c.results)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	other := newReceiver(t, nil)
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, target := range []string{other.URL, "http://169.254.169.254/latest/meta-data/"} {
			r := newReceiver(t, func(w http.ResponseWriter, request *http.Request, _ int) { http.Redirect(w, request, target, status) })
			s, c := newTestSender(t, Options{URL: r.URL, AllowPrivate: true, Token: "opensesame"})
			deliver(t, s, anEvent)
			if got := len(r.all()); got != 1 || c.count(Failed) != 1 || len(c.changes) != 1 {
				t.Errorf("%d: %d tries, %v", status, got, c.results)
			} else if !strings.Contains(c.changes[0].Error(), "redirects are not followed") {
				t.Errorf("the log has %q", c.changes[0])
			}
		}
	}
	if got := len(other.all()); got != 0 {
		t.Errorf("%d redirects were followed", got)
	}
}

func TestAReceiverThatDoesNotAnswerIsLeft(t *testing.T) {
	stalled := make(chan struct{})
	defer close(stalled)
	r := newReceiver(t, func(_ http.ResponseWriter, request *http.Request, n int) {
		if n == 1 {
			select {
			case <-request.Context().Done():
			case <-stalled:
			}
		}
	})
	s, c := newTestSender(t, Options{URL: r.URL, AllowPrivate: true, Backoff: slices.Repeat([]time.Duration{time.Millisecond}, 100)})
	s.tryTime = 100 * time.Millisecond
	deliver(t, s, anEvent)
	if got := len(r.all()); got < 2 || c.count(Delivered) != 1 {
		t.Errorf("%d tries, %v", got, c.results)
	}
}

func TestAnAnswerIsNotReadToItsEnd(t *testing.T) {
	var sent atomic.Int64
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		piece := make([]byte, 64<<10)
		for range 1 << 14 { // 1 GiB
			n, err := w.Write(piece)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	})
	s, c := newTestSender(t, Options{URL: r.URL, AllowPrivate: true})
	deliver(t, s, anEvent)
	r.Close()
	if c.count(Delivered) != 1 || sent.Load() > 64<<20 { // what fits into the buffers of the connection
		t.Errorf("%d bytes were sent, %v", sent.Load(), c.results)
	}
}

func TestAFullQueueDropsAndCounts(t *testing.T) {
	goOn := make(chan struct{})
	r := newReceiver(t, func(http.ResponseWriter, *http.Request, int) { <-goOn })
	s, c := newTestSender(t, Options{URL: r.URL, AllowPrivate: true})
	s.start()
	const more = 500
	for range queueLength + more {
		s.Send(anEvent) // returns, although nothing is taken
	}
	if got := c.count(Dropped); got != more {
		t.Errorf("%d are dropped, want %d", got, more)
	}
	close(goOn)
	end(t, s)
	if c.count(Delivered) != queueLength || len(r.all()) != queueLength {
		t.Errorf("%v, %d received", c.results, len(r.all()))
	}
	if len(c.changes) != 2 || !errors.Is(c.changes[0], errFull) || c.changes[1] != nil {
		t.Errorf("changes are %v", c.changes)
	}
}

func TestManySendersLoseNothing(t *testing.T) {
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n%3 == 0 {
			w.WriteHeader(503)
		}
	})
	s, c := newTestSender(t, Options{URL: r.URL, AllowPrivate: true, Backoff: slices.Repeat([]time.Duration{time.Millisecond}, 100)})
	s.start()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				s.Send(anEvent)
			}
		})
	}
	all.Wait()
	end(t, s)
	ids := make(map[string]bool)
	for _, got := range r.all() {
		ids[got.header.Get(api.DeliveryHeader)] = true
	}
	if c.count(Delivered) != 800 || len(ids) != 800 {
		t.Errorf("%v, %d ids", c.results, len(ids))
	}
}

func TestClosingDropsWhatThereIsNoMoreTimeFor(t *testing.T) {
	goOn := make(chan struct{})
	defer close(goOn)
	r := newReceiver(t, func(http.ResponseWriter, *http.Request, int) { <-goOn })
	s, c := newTestSender(t, Options{URL: r.URL, AllowPrivate: true})
	s.start()
	for range 10 {
		s.Send(anEvent)
	}
	storetest.Eventually(t, "both workers are at it", func() bool { return len(r.all()) == workers })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Close(ctx); err == nil || !strings.Contains(err.Error(), "10 webhooks") || c.count(Dropped) != 10 {
		t.Errorf("%v, %v", err, c.results)
	}
	s.Send(anEvent)
	if c.count(Dropped) != 11 {
		t.Errorf("after the end: %v", c.results)
	}
}

func TestClosingTriesAtOnceWhatWaitsForAnotherTry(t *testing.T) {
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n == 1 {
			w.WriteHeader(503)
		}
	})
	s, c := newTestSender(t, Options{URL: r.URL, AllowPrivate: true, Backoff: []time.Duration{time.Hour}})
	s.start()
	s.Send(anEvent)
	storetest.Eventually(t, "it has failed once", func() bool { return len(r.all()) == 1 })
	end(t, s)
	if c.count(Delivered) != 1 {
		t.Errorf("%v", c.results)
	}
}

func TestChangesAreToldOnce(t *testing.T) {
	var ill atomic.Bool
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		if ill.Load() {
			w.WriteHeader(500)
		}
	})
	s, c := newTestSender(t, Options{URL: r.URL + "/hunter2?hunter2", AllowPrivate: true, Token: "hunter2"})
	s.start()
	for _, round := range []bool{false, true, true, false, false, true} {
		ill.Store(round)
		for range 3 {
			s.Send(anEvent)
		}
		storetest.Eventually(t, "all three are done", s.isIdle)
	}
	end(t, s)
	var texts []string
	for _, change := range c.changes {
		texts = append(texts, fmt.Sprint(change))
	}
	want := []string{"the receiver answers with status 500", "<nil>", "the receiver answers with status 500"}
	if !slices.Equal(texts, want) {
		t.Errorf("changes are %q", texts)
	}
}

func (s *Sender) isIdle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending == 0
}

func TestNoErrorQuotesTheURLOrTheReceiver(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + listener.Addr().String()
	listener.Close()
	garbage := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 hunter2 hunter2\r\n\r\n")
		conn.Close()
	}))
	defer garbage.Close()
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	defer untrusted.Close()
	for base, want := range map[string]string{
		closed: "connection refused", garbage.URL: errConnection.Error(), untrusted.URL: errTrust.Error(),
		"http://hunter2.invalid": "the receiver's name is not found",
	} {
		s, c := newTestSender(t, Options{URL: base + "/hunter2", AllowPrivate: true})
		s.resolver = namesOf(t, nil)
		deliver(t, s, anEvent)
		if len(c.changes) != 1 || !strings.Contains(c.changes[0].Error(), want) || strings.Contains(c.changes[0].Error(), "hunter2") {
			t.Errorf("%s: %v, want %s", base, c.changes, want)
		}
	}
}
