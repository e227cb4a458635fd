package telemetry

import (
	"context"
	"errors"
	"testing"

	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
)

// keeper keeps what is exported.
type keeper struct{ records []sdklog.Record }

func (k *keeper) OnEmit(_ context.Context, record *sdklog.Record) error {
	k.records = append(k.records, record.Clone())
	return nil
}
func (k *keeper) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (k *keeper) Shutdown(context.Context) error                         { return nil }
func (k *keeper) ForceFlush(context.Context) error                       { return nil }

func TestLinesArePassedOnWithTheFieldsThatAreAllowed(t *testing.T) {
	var kept keeper
	writer := newLogWriter(sdklog.NewLoggerProvider(sdklog.WithProcessor(&kept)))
	log := zerolog.New(writer).With().Timestamp().Logger()
	log.Warn().Str("route", "/s/{id}").Int("status", 404).Float64("ms", 1.5).Err(errors.New("odd")).
		Str("trace_id", someTrace).Str("span_id", someSpan).
		Interface("settings", map[string]string{"port": "1"}).
		Str("path", "canary").Str("token", "canary").Interface("headers", map[string]string{"a": "canary"}).
		Msg("request")
	if len(kept.records) != 1 {
		t.Fatalf("%d records are kept", len(kept.records))
	}
	record := kept.records[0]
	if record.Body().AsString() != "request" || record.SeverityText() != "warn" || record.Severity().String() != "WARN" {
		t.Errorf("it is %v %s %s", record.Body(), record.SeverityText(), record.Severity())
	}
	if record.TraceID().String() != someTrace || record.SpanID().String() != someSpan {
		t.Errorf("it is of trace %s, span %s", record.TraceID(), record.SpanID())
	}
	got := make(map[string]any)
	record.WalkAttributes(func(a attribute.KeyValue) bool {
		got[string(a.Key)] = a.Value.AsInterface()
		return true
	})
	want := map[string]any{"route": "/s/{id}", "status": int64(404), "ms": 1.5, "error": "odd", "settings": `{"port":"1"}`}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %v, want %v", name, got[name], value)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("it says %v, too", got)
	}
}

func TestALineThatIsNoneDisturbsNobody(t *testing.T) {
	var kept keeper
	writer := newLogWriter(sdklog.NewLoggerProvider(sdklog.WithProcessor(&kept)))
	for _, line := range []string{"", "canary", `{"message":`, "[]", `{"message":1,"level":[],"error":{"a":1}}`} {
		if n, err := writer.Write([]byte(line)); n != len(line) || err != nil {
			t.Errorf("%q gives %d, %v", line, n, err)
		}
	}
}
