// Package webhook tells another program over HTTP what becomes of secrets: that one was created, that one was retrieved.
//
// It never holds up what it tells of. Events wait in a queue of bounded length, in memory alone; what finds it full is
// dropped, and counted. An event that is not taken is tried a few times more, under the same id, so that a receiver can
// tell a repetition. What is told is what was chosen of a request, never a credential, and it goes where the operator
// says and nowhere else: not on to where an answer points, and not to addresses of the inside unless they are allowed.
package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/google/uuid"

	"hakanai/httpapi/api"
)

// What becomes of an event, as Options.Result is told.
const (
	Delivered = "delivered"
	Failed    = "failed"  // after its last try
	Dropped   = "dropped" // untold: the queue was full, or there was no more time
)

// Options are the settings of New. URL is required, and checked by ParseURL.
type Options struct {
	URL          string
	Token        string   // for Authorization: Bearer; "" for none
	SigningKey   []byte   // for the signature; nil for none
	Headers      []string // of requests, that events tell of
	AllowPrivate bool     // the receiver may be at an address of the inside

	Result  func(result string) // learns what becomes of each event
	Changed func(err error)     // learns that deliveries fail, and with nil, that they succeed again
	Backoff []time.Duration     // between tries; DefaultBackoff() if nil
}

// DefaultBackoff is how long the pauses before the second and later tries are.
func DefaultBackoff() []time.Duration {
	return []time.Duration{time.Second, 5 * time.Second, 30 * time.Second}
}

const (
	queueLength = 1024
	workers     = 2
	tryTime     = 5 * time.Second
	maxAnswer   = 4 << 10 // bytes of an answer that are read
)

// Sender delivers events to one receiver. Its methods may be called from anywhere.
type Sender struct {
	options  Options
	headers  []string
	client   *http.Client
	resolver *net.Resolver         // nil for the system's
	inside   func(netip.Addr) bool // addresses that need AllowPrivate
	tryTime  time.Duration

	queue   chan *delivery // has room for all that are pending
	stop    context.CancelFunc
	closing chan struct{}
	work    sync.WaitGroup

	mu      sync.Mutex
	pending int           // not delivered, failed or dropped yet
	idle    chan struct{} // closed when nothing is pending any more, after Close was called
	failing bool
}

// delivery is one event on its way.
type delivery struct {
	id    string
	body  []byte
	tries int
}

// New returns a sender at work. Close ends it.
func New(options Options) *Sender {
	s := newSender(options)
	s.start()
	return s
}

func newSender(options Options) *Sender {
	s := &Sender{
		options: options, headers: allowedHeaders(options.Headers), inside: isInside, tryTime: tryTime,
		queue: make(chan *delivery, queueLength), closing: make(chan struct{}), idle: make(chan struct{}),
	}
	if s.options.Backoff == nil {
		s.options.Backoff = DefaultBackoff()
	}
	if s.options.Result == nil {
		s.options.Result = func(string) {}
	}
	if s.options.Changed == nil {
		s.options.Changed = func(error) {}
	}
	s.client = s.newClient()
	return s
}

func (s *Sender) start() {
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	for range workers {
		s.work.Go(func() {
			for {
				select {
				case d := <-s.queue:
					s.try(ctx, d)
				case <-ctx.Done():
					return
				}
			}
		})
	}
}

var errFull = errors.New("the queue is full")

// Send queues an event, and returns at once. Nothing of the event's header is kept but what is told.
func (s *Sender) Send(event api.Event) {
	if !s.enter() {
		s.report(Dropped, errFull)
		return
	}
	body, _ := json.Marshal(s.describe(event)) // strings always encode
	s.queue <- &delivery{id: uuid.NewString(), body: body}
}

// enter takes a place in the queue, if there is one.
func (s *Sender) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending == queueLength || s.closed() {
		return false
	}
	s.pending++
	return true
}

func (s *Sender) closed() bool {
	select {
	case <-s.closing:
		return true
	default:
		return false
	}
}

// leave gives a place back.
func (s *Sender) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending--; s.pending == 0 && s.closed() {
		close(s.idle)
	}
}

// try makes one try, and sees to the next.
func (s *Sender) try(ctx context.Context, d *delivery) {
	err := s.post(ctx, d)
	switch {
	case ctx.Err() != nil: // no more time: Close counts it
		return
	case err == nil:
		s.report(Delivered, nil)
	case isFinal(err) || d.tries == len(s.options.Backoff):
		s.report(Failed, err)
	default:
		pause := s.options.Backoff[d.tries]
		d.tries++
		go s.queueAfter(pause, d)
		return
	}
	s.leave()
}

// queueAfter queues a delivery again after a pause, or at once when there is not much time any more.
func (s *Sender) queueAfter(pause time.Duration, d *delivery) {
	select {
	case <-time.After(pause):
	case <-s.closing:
	}
	s.queue <- d
}

// report says what has become of an event, and whether that is a change.
func (s *Sender) report(result string, err error) {
	s.options.Result(result)
	s.mu.Lock()
	defer s.mu.Unlock()
	if failing := err != nil; failing != s.failing {
		s.failing = failing
		s.options.Changed(err) // under the lock, so that changes are told in their order
	}
}

// Close takes nothing new, and returns when everything is delivered or has failed: what waited for another try is tried
// at once. When ctx is done first, the rest is dropped, and an error says how much.
func (s *Sender) Close(ctx context.Context) error {
	s.mu.Lock()
	close(s.closing)
	if s.pending == 0 {
		close(s.idle)
	}
	s.mu.Unlock()
	select {
	case <-s.idle:
	case <-ctx.Done():
	}
	s.stop()
	s.work.Wait()
	s.client.CloseIdleConnections()
	s.mu.Lock()
	left := s.pending
	s.mu.Unlock()
	for range left {
		s.options.Result(Dropped)
	}
	if left > 0 {
		return fmt.Errorf("%d webhooks were not delivered in time", left)
	}
	return nil
}
