package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"hakanai/store"
)

// ready answers GET /ready: whether requests should be sent to this server.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	if s.draining.Load() {
		s.fail(w, r, http.StatusServiceUnavailable, "stopping")
		return
	}
	if s.storeIsWell(w, r) {
		s.say(w, "ready")
	}
}

// healthy answers GET /healthy: whether what this server depends on answers too.
func (s *Server) healthy(w http.ResponseWriter, r *http.Request) {
	if s.storeIsWell(w, r) {
		s.say(w, "healthy")
	}
}

// storeIsWell answers with the name of the store, and false, if it is not.
func (s *Server) storeIsWell(w http.ResponseWriter, r *http.Request) bool {
	err := s.health.now(r.Context())
	if err == nil {
		return true
	}
	if !errors.Is(err, store.ErrDown) { // which the store itself has said
		s.log.Error().EmbedObject(about(w)).Err(err).Msg("the store is not healthy")
	}
	s.fail(w, r, http.StatusServiceUnavailable, "store")
	return false
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
