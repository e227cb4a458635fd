package telemetry

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	someTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	someSpan  = "00f067aa0ba902b7"
	asked     = "00-" + someTrace + "-" + someSpan + "-01"
	notAsked  = "00-" + someTrace + "-" + someSpan + "-00"
)

func request(traceparent string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("traceparent", traceparent)
	r.Header.Set("tracestate", "canary=1")
	r.Header.Set("baggage", "canary=1")
	return r
}

func TestTheCallersTraceIsFollowedIfTheCallerIsBelieved(t *testing.T) {
	for _, test := range []struct {
		name        string
		traceparent string
		believed    bool
		follows     bool
		recorded    bool
	}{
		{"asked for", asked, true, true, true},
		{"not asked for", notAsked, true, true, false},
		{"of a stranger", asked, false, false, true},
		{"of a stranger who does not want to be seen", notAsked, false, false, true},
		{"malformed", "00-canary", true, false, true},
		{"of zeros", "00-00000000000000000000000000000000-0000000000000000-01", true, false, true},
		{"none", "", true, false, true},
	} {
		tracer, _ := recorded()
		_, span := tracer.Request(request(test.traceparent), test.believed)
		if follows := span.SpanContext().TraceID().String() == someTrace; follows != test.follows {
			t.Errorf("%s: it is in trace %s", test.name, span.SpanContext().TraceID())
		}
		if span.IsRecording() != test.recorded {
			t.Errorf("%s: recorded is %v", test.name, span.IsRecording())
		}
		if state := span.SpanContext().TraceState().String(); state != "" {
			t.Errorf("%s: the state is %s", test.name, state)
		}
	}
}

func TestCallersCannotHaveMoreTracedThanIsBounded(t *testing.T) {
	few := sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0))
	tracer := newTracer(sdktrace.NewTracerProvider(sdktrace.WithSampler(few)), "")
	begin, traced := time.Now(), 0
	for range 3 * maxAsked {
		if _, span := tracer.Request(request(asked), true); span.IsRecording() {
			traced++
		}
	}
	if seconds := int(time.Since(begin).Seconds()) + 2; traced < maxAsked || traced > seconds*maxAsked {
		t.Errorf("%d requests were traced", traced)
	}
}

func TestASpanOfARequestSaysNoMoreThanItsRoute(t *testing.T) {
	tracer, spans := recorded()
	_, span := tracer.Request(request(asked), true)
	EndRequest(span, "/s/{id}", "GET", 503, 12)
	ended := spans.Ended()[0]
	if ended.Name() != "GET /s/{id}" || ended.SpanKind() != trace.SpanKindServer || ended.Status().Code.String() != "Error" {
		t.Errorf("%s %s %v", ended.Name(), ended.SpanKind(), ended.Status())
	}
	allowed := map[string]bool{
		"http.request.method": true, "http.route": true, "http.response.status_code": true, "http.response.body.size": true,
	}
	for _, attribute := range ended.Attributes() {
		if !allowed[string(attribute.Key)] {
			t.Errorf("the span says %s", attribute.Key)
		}
	}
}
