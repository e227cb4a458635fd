package httpapi

import (
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/trace"

	"hakanai/httpapi/api"
	"hakanai/store"
	"hakanai/telemetry"
)

// Every request is observed here and nowhere else: a line of the log, the metrics, a span. What they may say is what is
// listed in this file, and no more: never a path, a query, a header, an address.

// noRoute is the name of the route of a path that is none.
const noRoute = "none"

// observe begins to observe a request.
func (s *Server) observe(rw http.ResponseWriter, r *http.Request) (*response, *http.Request) {
	s.metrics.RequestBegins()
	w := &response{ResponseWriter: rw, start: time.Now()}
	if s.tracer != nil {
		ctx, span := s.tracer.Request(r, s.fromProxy(r))
		w.span, r = span, r.WithContext(ctx)
	}
	w.request = r
	return w, r
}

// observed tells of a request that is over.
func (s *Server) observed(w *response, r *http.Request) {
	route, method, took := routeOf(r), knownMethod(r.Method), time.Since(w.start)
	s.metrics.RequestEnds(route, method, w.status, took)
	if operation := operationOf(r); operation != "" && w.status >= http.StatusBadRequest {
		s.metrics.Refused(operation, w.status)
	}
	if w.span != nil {
		telemetry.EndRequest(w.span, route, method, w.status, w.written)
	}
	level := zerolog.InfoLevel
	if route == "/ready" || route == "/healthy" {
		level = zerolog.DebugLevel
	}
	event := s.log.WithLevel(level)
	if !event.Enabled() {
		return
	}
	event.
		Str("method", method).
		Str("route", route).
		Int("status", w.status).
		Int64("bytes", w.written).
		Dur("ms", took).
		EmbedObject(w)
	if id := w.secretID(); id != uuid.Nil {
		s.secrets.name(event, id)
	}
	event.Msg("request")
}

// routeOf names the route that a request took: a pattern, and one name for all files whose names change with each version.
func routeOf(r *http.Request) string {
	switch {
	case r.Pattern == "" || r.Pattern == "/":
		return noRoute
	case r.Pattern == "/{$}":
		return "/"
	case strings.HasPrefix(r.Pattern, "/"+hashedDir):
		return "/" + hashedDir
	}
	return r.Pattern
}

// operationOf tells what a request wanted to do with a secret. Asking for a link's page does nothing.
func operationOf(r *http.Request) telemetry.Operation {
	switch r.Pattern {
	case api.SecretPath:
		return telemetry.Create
	case api.LinkPath + "/{id}":
		if !isClient(r) {
			return ""
		}
		fallthrough
	case api.SecretPath + "/{id}":
		if r.Method != http.MethodDelete { // which ends what was retrieved
			return telemetry.Retrieve
		}
	}
	return ""
}

func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return method
	}
	return "other"
}

// response remembers what was answered, and what is needed to tell of it.
type response struct {
	http.ResponseWriter
	start   time.Time
	status  int
	written int64
	abort   bool // cut the connection instead of ending the answer

	request *http.Request
	span    trace.Span // nil without a tracer
	id      uuid.UUID  // of the request, once it was told
	secret  store.ID   // the one that was created
}

func (w *response) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *response) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(p)
	w.written += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach what is below.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// MarshalZerologObject adds to a line of the log which request it is about.
func (w *response) MarshalZerologObject(event *zerolog.Event) {
	if w == nil {
		return
	}
	if w.id == uuid.Nil {
		w.id = w.requestID()
	}
	event.Str("request_id", w.id.String())
	if w.span != nil {
		if span := w.span.SpanContext(); span.IsValid() {
			event.Stringer("trace_id", span.TraceID()).Stringer("span_id", span.SpanID())
		}
	}
}

// requestID is the caller's own, if it is a UUID and not the one that opens the secret; or a new one.
func (w *response) requestID() uuid.UUID {
	if sent := w.request.Header.Get("X-Request-Id"); sent != "" {
		if id, err := parseID(sent); err == nil && id != w.secretID() {
			return id
		}
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return uuid.Max // the system gives no random numbers: much else goes wrong, too
	}
	return id
}

// note remembers the secret that was created.
func (w *response) note(id store.ID) {
	if w != nil {
		w.secret = id
	}
}

// secretID is the secret that a request was about.
func (w *response) secretID() store.ID {
	if w.secret != uuid.Nil {
		return w.secret
	}
	if !strings.HasSuffix(w.request.Pattern, "/{id}") {
		return uuid.Nil
	}
	id, err := parseID(w.request.PathValue("id"))
	if err != nil {
		return uuid.Nil
	}
	return id
}

// about finds what tells a line of the log which request it is about. It is nil if w is not of a request that is observed.
func about(w http.ResponseWriter) *response {
	for {
		switch this := w.(type) {
		case *response:
			return this
		case interface{ Unwrap() http.ResponseWriter }:
			w = this.Unwrap()
		default:
			return nil
		}
	}
}
