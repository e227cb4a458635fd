package httpapi

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// ready answers GET /ready: whether this server takes requests.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if s.draining.Load() {
		s.fail(w, r, http.StatusServiceUnavailable, "stopping")
		return
	}
	s.say(w, "ready")
}

// healthy answers GET /healthy: whether what this server depends on answers too.
func (s *Server) healthy(w http.ResponseWriter, r *http.Request) {
	if err := s.health.now(r.Context()); err != nil {
		s.log.Error().Err(err).Msg("the store is not healthy")
		s.fail(w, r, http.StatusServiceUnavailable, "store")
		return
	}
	s.say(w, "healthy")
}

func (s *Server) say(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text+"\n") // net/http leaves the body out of a HEAD's answer
}

const (
	// healthEvery bounds how often the store is asked, however often somebody asks the server.
	healthEvery   = time.Second
	healthTimeout = 2 * time.Second
)

// health remembers the last answer of the store.
type health struct {
	check func(context.Context) error

	mu    sync.Mutex
	asked time.Time
	err   error
}

func (h *health) now(ctx context.Context) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.asked) < healthEvery {
		return h.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTimeout)
	defer cancel()
	h.err = h.check(ctx)
	h.asked = time.Now()
	return h.err
}
