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

// pace keeps a transfer's deadlines on its connection.
type pace struct {
	paceLimits
	controller *http.ResponseController
	start      time.Time
	bytes      int64
}

func (s *Server) newPace(w http.ResponseWriter) *pace {
	return &pace{paceLimits: s.pace, controller: http.NewResponseController(w), start: time.Now()}
}

// deadline is when the next piece must have gone through.
func (p *pace) deadline() time.Time {
	required := p.start.Add(p.grace + time.Duration(p.bytes)*time.Second/time.Duration(p.minRate))
	if silence := time.Now().Add(p.silence); silence.Before(required) {
		return silence
	}
	return required
}

// write writes a piece of an answer. Setting a deadline fails only where there is no connection, as in a recorder.
func (p *pace) write(w io.Writer, piece []byte) error {
	_ = p.controller.SetWriteDeadline(p.deadline())
	n, err := w.Write(piece)
	p.bytes += int64(n)
	return err
}

// flush hands the connection what is still held back.
func (p *pace) flush() error {
	_ = p.controller.SetWriteDeadline(p.deadline())
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
	_ = r.pace.controller.SetReadDeadline(r.pace.deadline())
	n, err := r.body.Read(p)
	r.pace.bytes += int64(n)
	return n, err
}
