package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/rs/zerolog"
	prometheusbridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// EndpointVariable names the collector. Without it nothing is exported, and nothing is made for it.
const EndpointVariable = "OTEL_EXPORTER_OTLP_ENDPOINT"

// closeTime bounds what a stop waits for a collector to take what is left.
const closeTime = 3 * time.Second

// Exporter sends traces, metrics and the log to a collector, as the standard OTEL_ variables say. What it holds is
// bounded: what the collector does not take in time is dropped. A nil Exporter sends nothing.
type Exporter struct {
	tracer  *Tracer
	log     *logWriter
	closers []func(context.Context) error
}

// Export starts an exporter, or returns nil if no collector is named. Its errors are of settings that are wrong; what goes
// wrong later, report is told, now and then.
func Export(ctx context.Context, m *Metrics, version string, report func(error)) (*Exporter, error) {
	if os.Getenv(EndpointVariable) == "" || strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return nil, nil
	}
	if err := checkEndpoint(os.Getenv(EndpointVariable)); err != nil {
		return nil, err
	}
	// The libraries tell of errors at one place for the whole program, and by default to standard error.
	otel.SetErrorHandler(&seldom{report: report})
	otel.SetLogger(logr.Discard())

	about, err := describe(ctx, version)
	if err != nil {
		return nil, fmt.Errorf("describing this server to the collector: %w", err)
	}
	spans, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("exporting traces (OTEL_TRACES_EXPORTER, OTEL_EXPORTER_OTLP_PROTOCOL): %w", err)
	}
	autoexport.WithFallbackMetricProducer(func(context.Context) (sdkmetric.Producer, error) {
		return prometheusbridge.NewMetricProducer(prometheusbridge.WithGatherer(m.registry)), nil
	})
	reader, err := autoexport.NewMetricReader(ctx)
	if err != nil {
		return nil, fmt.Errorf("exporting metrics (OTEL_METRICS_EXPORTER, OTEL_EXPORTER_OTLP_PROTOCOL): %w", err)
	}
	records, err := autoexport.NewLogExporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("exporting the log (OTEL_LOGS_EXPORTER, OTEL_EXPORTER_OTLP_PROTOCOL): %w", err)
	}
	traces := sdktrace.NewTracerProvider(sdktrace.WithResource(about), sdktrace.WithBatcher(spans))
	metrics := sdkmetric.NewMeterProvider(sdkmetric.WithResource(about), sdkmetric.WithReader(reader))
	logs := sdklog.NewLoggerProvider(sdklog.WithResource(about), sdklog.WithProcessor(sdklog.NewBatchProcessor(records)))
	return &Exporter{
		tracer:  newTracer(traces, version),
		log:     newLogWriter(logs),
		closers: []func(context.Context) error{traces.Shutdown, metrics.Shutdown, logs.Shutdown},
	}, nil
}

var errEndpoint = errors.New(EndpointVariable + " must look like http://localhost:4318 or https://collector.example.com")

// checkEndpoint refuses what the exporters would only grumble about. The error does not quote it: it may hold a password.
func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errEndpoint
	}
	return nil
}

// describe says who exports. The command line is left out: a DSN with its password may be on it.
func describe(ctx context.Context, version string) (*resource.Resource, error) {
	about, err := resource.New(ctx,
		resource.WithService(),
		resource.WithAttributes(attribute.String("service.name", "hakanai"), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(),
		resource.WithOS(),
		resource.WithProcessPID(), resource.WithProcessExecutableName(),
		resource.WithProcessRuntimeName(), resource.WithProcessRuntimeVersion(), resource.WithProcessRuntimeDescription(),
		resource.WithFromEnv(),
	)
	if errors.Is(err, resource.ErrPartialResource) { // some systems tell less of themselves than others
		return about, nil
	}
	return about, err
}

// Tracer returns what makes spans, or nil.
func (e *Exporter) Tracer() *Tracer {
	if e == nil {
		return nil
	}
	return e.tracer
}

// Log returns a writer for lines of the log, which passes them on to the collector and to out.
func (e *Exporter) Log(out zerolog.LevelWriter) zerolog.LevelWriter {
	if e == nil {
		return out
	}
	return zerolog.MultiLevelWriter(out, e.log)
}

// Close sends what is left, for no longer than 3 s.
func (e *Exporter) Close() {
	if e == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	var closing sync.WaitGroup
	for _, closer := range e.closers {
		closing.Go(func() { _ = closer(ctx) }) // what was not taken is lost, and nobody can do anything about it
	}
	closing.Wait()
}

// reportEvery bounds how often errors of the export are told: a collector that is away gives one with each batch.
const reportEvery = time.Minute

// seldom passes an error on, and keeps quiet about those that follow soon.
type seldom struct {
	report func(error)
	mu     sync.Mutex
	last   time.Time
}

// Handle implements otel.ErrorHandler.
func (s *seldom) Handle(err error) {
	s.mu.Lock()
	now := time.Now()
	due := s.last.IsZero() || now.Sub(s.last) >= reportEvery
	if due {
		s.last = now
	}
	s.mu.Unlock()
	if due && err != nil {
		s.report(err)
	}
}
