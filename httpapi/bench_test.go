package httpapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"hakanai/httpapi/api"
)

// nowhere takes an answer and remembers nothing.
type nowhere struct{ header http.Header }

func (w *nowhere) Header() http.Header         { return w.header }
func (w *nowhere) WriteHeader(int)             {}
func (w *nowhere) Write(p []byte) (int, error) { return len(p), nil }

// TestARequestAllocatesLittle bounds what BenchmarkRequest counts.
func TestARequestAllocatesLittle(t *testing.T) {
	s := newSite(t, func(s *Server) { s.log = zerolog.New(io.Discard) })
	w := &nowhere{make(http.Header)}
	r := httptest.NewRequest(http.MethodGet, api.SecretPath+"/"+uuid.NewString(), nil)
	allocations := testing.AllocsPerRun(100, func() {
		clear(w.header)
		s.server.ServeHTTP(w, r)
	})
	if allocations > 80 {
		t.Errorf("a request takes %v allocations", allocations)
	}
}

// BenchmarkRequest measures what every request costs, whatever it asks for: one that reaches the store and finds nothing.
func BenchmarkRequest(b *testing.B) {
	for name, level := range map[string]zerolog.Level{"logged": zerolog.InfoLevel, "quiet": zerolog.WarnLevel} {
		b.Run(name, func(b *testing.B) {
			s := newSite(b, func(s *Server) { s.log = zerolog.New(io.Discard).Level(level).With().Timestamp().Logger() })
			w := &nowhere{make(http.Header)}
			r := httptest.NewRequest(http.MethodGet, api.SecretPath+"/"+uuid.NewString(), nil)
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				s.server.ServeHTTP(w, r)
			}
		})
	}
}
