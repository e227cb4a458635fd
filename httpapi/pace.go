package httpapi

import (
	"io"
	"net/http"
	"time"
)

// A transfer may take as long as it must, but not stand still, and not crawl: after a grace time it must have gone at
// minRate on average. So a slow phone is served, and a caller who sends a byte a second does not hold a place for ever.
const (
	graceTime   = 10 * time.Second
	silenceTime = 30 * time.Second
	minRate     = 8 << 10 // bytes a second
)

// pace keeps a transfer's deadlines on its connection.
type pace struct {
	controller *http.ResponseController
	start      time.Time
	bytes      int64
}

func newPace(w http.ResponseWriter) *pace {
	return &pace{controller: http.NewResponseController(w), start: time.Now()}
}

// deadline is when the next piece must have gone through.
func (p *pace) deadline() time.Time {
	required := p.start.Add(graceTime + time.Duration(p.bytes)*time.Second/minRate)
	if silence := time.Now().Add(silenceTime); silence.Before(required) {
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

// end lets the request's connection rest from reading, and gives the answer time to leave.
func (p *pace) end() {
	_ = p.controller.SetReadDeadline(time.Time{})
	_ = p.controller.SetWriteDeadline(time.Now().Add(silenceTime))
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
