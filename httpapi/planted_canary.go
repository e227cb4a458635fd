//go:build canary

package httpapi

import (
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
)

// planted panics, or tells a secret, when a request asks for it: so that a test sees what a panic tells, and that it finds a
// secret where there is one.
func (s *Server) planted(w *response, r *http.Request) {
	switch where := r.Header.Get("X-Planted"); where {
	case "panic":
		panic(r.URL.String() + " " + strings.Join(r.Header.Values("Authorization"), " "))
	case "log":
		s.log.Info().Str("error", r.URL.Path).Msg("planted")
	case "metrics":
		s.metrics.RequestBegins()
		s.metrics.RequestEnds(r.URL.Path, "GET", 200, 0)
	case "trace":
		if w.span != nil {
			w.span.SetAttributes(attribute.String("http.target", r.URL.String()))
		}
	}
}
