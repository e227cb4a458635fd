package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/trace"
)

// LogFields are the fields that lines of the log may have. Others are not passed on to a collector.
func LogFields() []string {
	return []string{
		zerolog.TimestampFieldName, zerolog.LevelFieldName, zerolog.MessageFieldName, zerolog.ErrorFieldName,
		"method", "route", "status", "bytes", "ms", "request_id", "trace_id", "span_id", "secret", "secret_id", // of requests
		"stack",                                              // of a panic
		"address", "metrics", "settings", "store", "version", // of the start
		"finding", // of Valkey's settings
	}
}

// logWriter passes lines of the log, which are JSON objects, on to OpenTelemetry.
type logWriter struct {
	logger log.Logger
	fields map[string]bool
}

func newLogWriter(provider log.LoggerProvider) *logWriter {
	w := &logWriter{logger: provider.Logger("hakanai"), fields: make(map[string]bool)}
	for _, field := range LogFields() {
		w.fields[field] = true
	}
	return w
}

// Write implements io.Writer, for lines without a level.
func (w *logWriter) Write(line []byte) (int, error) { return w.WriteLevel(zerolog.NoLevel, line) }

// WriteLevel implements zerolog.LevelWriter. It never fails: who logs has other things to do.
func (w *logWriter) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	var fields map[string]any
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	if decoder.Decode(&fields) != nil {
		return len(line), nil
	}
	var record log.Record
	record.SetTimestamp(time.Now())
	record.SetSeverity(severity(level))
	record.SetSeverityText(level.String())
	for name, value := range fields {
		switch name {
		case zerolog.MessageFieldName:
			if text, ok := value.(string); ok {
				record.SetBody(attribute.StringValue(text))
			}
		case zerolog.TimestampFieldName, zerolog.LevelFieldName, "trace_id", "span_id": // the record says so itself
		default:
			if w.fields[name] {
				record.AddAttributes(attribute.KeyValue{Key: attribute.Key(name), Value: attributeValue(value)})
			}
		}
	}
	w.logger.Emit(spanOf(fields), record)
	return len(line), nil
}

// spanOf returns a context with the span that a line is about, by which the record is tied to it.
func spanOf(fields map[string]any) context.Context {
	traceText, _ := fields["trace_id"].(string)
	spanText, _ := fields["span_id"].(string)
	traceID, err := trace.TraceIDFromHex(traceText)
	if err != nil {
		return context.Background()
	}
	spanID, err := trace.SpanIDFromHex(spanText)
	if err != nil {
		return context.Background()
	}
	return trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: traceID, SpanID: spanID,
	}))
}

func attributeValue(value any) attribute.Value {
	switch value := value.(type) {
	case string:
		return attribute.StringValue(value)
	case bool:
		return attribute.BoolValue(value)
	case json.Number:
		if whole, err := value.Int64(); err == nil {
			return attribute.Int64Value(whole)
		}
		if fraction, err := value.Float64(); err == nil {
			return attribute.Float64Value(fraction)
		}
	case map[string]any: // the settings
		if text, err := json.Marshal(value); err == nil {
			return attribute.StringValue(string(text))
		}
	}
	return attribute.Value{}
}

func severity(level zerolog.Level) log.Severity {
	switch level {
	case zerolog.TraceLevel:
		return log.SeverityTrace
	case zerolog.DebugLevel:
		return log.SeverityDebug
	case zerolog.WarnLevel:
		return log.SeverityWarn
	case zerolog.ErrorLevel:
		return log.SeverityError
	case zerolog.FatalLevel, zerolog.PanicLevel:
		return log.SeverityFatal
	}
	return log.SeverityInfo
}
