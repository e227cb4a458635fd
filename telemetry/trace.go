package telemetry

import (
	"context"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Tracer makes the spans of requests and of what they do. A nil Tracer makes none, and costs nothing.
type Tracer struct {
	tracer trace.Tracer
	asked  budget
}

func newTracer(provider trace.TracerProvider, version string) *Tracer {
	return &Tracer{tracer: provider.Tracer("hakanai", trace.WithInstrumentationVersion(version))}
}

// Request begins the span of a request. Its parent is the span that the caller names (W3C Trace Context), if the caller is
// believed. Of traceparent no more is taken than a trace's id and a span's; tracestate may hold anything, and is left.
func (t *Tracer) Request(r *http.Request, believed bool) (context.Context, trace.Span) {
	ctx := r.Context()
	if believed {
		ctx = t.follow(ctx, r.Header)
	}
	return t.tracer.Start(ctx, "request", trace.WithSpanKind(trace.SpanKindServer))
}

// maxAsked is how many requests a second are traced because their callers say so. The sampler of this server, which may
// have been told to trace few, decides about the others.
const maxAsked = 100

func (t *Tracer) follow(ctx context.Context, h http.Header) context.Context {
	remote := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(h)))
	if !remote.IsValid() || remote.IsSampled() && !t.asked.take(time.Now()) {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, remote.WithTraceState(trace.TraceState{}))
}

// EndRequest ends the span of a request. The route is the name of one, never a path.
func EndRequest(span trace.Span, route, method string, status int, bytes int64) {
	if span.IsRecording() {
		span.SetName(method + " " + route)
		span.SetAttributes(
			attribute.String("http.request.method", method),
			attribute.String("http.route", route),
			attribute.Int("http.response.status_code", status),
			attribute.Int64("http.response.body.size", bytes),
		)
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
	}
	span.End()
}

// step begins the span of a step of a request, with attributes that are constant.
func (t *Tracer) step(ctx context.Context, name string, options []trace.SpanStartOption) (context.Context, trace.Span) {
	if t == nil {
		return ctx, nil
	}
	return t.tracer.Start(ctx, name, options...)
}

// budget lets maxAsked a second pass.
type budget struct {
	mu     sync.Mutex
	second int64
	taken  int
}

func (b *budget) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if second := now.Unix(); second != b.second {
		b.second, b.taken = second, 0
	}
	b.taken++
	return b.taken <= maxAsked
}
