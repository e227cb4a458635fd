package httpapi

import (
	"io"
	"net/http"
	"time"
)

// A transfer may take as long as it must, but not stand still, and not crawl: after a grace time it must have gone at
// a least rate on average. So a slow phone is served, and a caller who sends a byte a second does not hold a place for ever.
type paceLimits struct {
	grace   time.Duration
	minRate int64         // bytes a second
	silence time.Duration // how long nothing may move at all
}

func defaultPace() paceLimits {
	return paceLimits{grace: 10 * time.Second, minRate: 8 << 10, silence: silenceTime}
}

const silenceTime = 30 * time.Second

// pace keeps a transfer's deadlines on its connection. How long the store takes is not the caller's fault, and not counted.
type pace struct {
	paceLimits
	controller *http.ResponseController
	waited     time.Duration // for the caller
	bytes      int64
}

func (s *Server) newPace(w http.ResponseWriter) *pace {
	return &pace{paceLimits: s.pace, controller: http.NewResponseController(w)}
}

// deadline is when the next piece must have gone through, if the caller is waited for from now on.
func (p *pace) deadline(now time.Time) time.Time {
	left := p.grace + time.Duration(p.bytes)*time.Second/time.Duration(p.minRate) - p.waited
	return now.Add(min(left, p.silence))
}

// went counts a piece of so many bytes, and the waiting for it.
func (p *pace) went(n int, since time.Time) {
	p.bytes += int64(n)
	p.waited += time.Since(since)
}

// write writes a piece of an answer. Setting a deadline fails only where there is no connection, as in a recorder.
func (p *pace) write(w io.Writer, piece []byte) error {
	began := time.Now()
	_ = p.controller.SetWriteDeadline(p.deadline(began))
	n, err := w.Write(piece)
	p.went(n, began)
	return err
}

// flush hands the connection what is still held back.
func (p *pace) flush() error {
	_ = p.controller.SetWriteDeadline(p.deadline(time.Now()))
	return p.controller.Flush()
}

// end gives the answer time to leave. What is left of a body after an error is not waited for, or not for long: a caller
// who is still sending should get to read why.
func (p *pace) end(err error) {
	var deadline time.Time
	if err != nil {
		deadline = time.Now().Add(time.Second)
	}
	_ = p.controller.SetReadDeadline(deadline)
	_ = p.controller.SetWriteDeadline(time.Now().Add(p.silence))
}

// pacedReader is a request's body, read at a pace.
type pacedReader struct {
	body io.Reader
	pace *pace
}

func (r *pacedReader) Read(p []byte) (int, error) {
	began := time.Now()
	_ = r.pace.controller.SetReadDeadline(r.pace.deadline(began))
	n, err := r.body.Read(p)
	r.pace.went(n, began)
	return n, err
}
