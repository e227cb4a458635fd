// Package telemetrytest is a collector for tests: it takes OTLP over gRPC and over HTTP, and keeps what it gets.
package telemetrytest

import (
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	logservice "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metricsservice "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	traceservice "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	_ "google.golang.org/grpc/encoding/gzip" // what exporters may use
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// The protocols, as OTEL_EXPORTER_OTLP_PROTOCOL names them.
const (
	GRPC = "grpc"
	HTTP = "http/protobuf"
)

// Collector listens on two addresses.
type Collector struct {
	endpoints map[string]string

	mu        sync.Mutex
	spans     []*traces.Span
	metrics   map[string]*metrics.Metric // the last of each name
	records   []*logs.LogRecord
	resources []*resource.Resource
	text      string // all that came, for a person to read
}

// Start starts a collector, which ends with the test.
func Start(tb testing.TB) *Collector {
	tb.Helper()
	c := &Collector{endpoints: make(map[string]string), metrics: make(map[string]*metrics.Metric)}
	listen := func(protocol string) net.Listener {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		c.endpoints[protocol] = "http://" + listener.Addr().String()
		return listener
	}

	overGRPC := grpc.NewServer()
	traceservice.RegisterTraceServiceServer(overGRPC, traceServer{c: c})
	metricsservice.RegisterMetricsServiceServer(overGRPC, metricsServer{c: c})
	logservice.RegisterLogsServiceServer(overGRPC, logsServer{c: c})
	grpcListener := listen(GRPC)
	go func() { _ = overGRPC.Serve(grpcListener) }() // until it is stopped
	tb.Cleanup(overGRPC.Stop)

	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/traces", handle(tb, func(request *traceservice.ExportTraceServiceRequest) proto.Message {
		c.addTraces(request)
		return new(traceservice.ExportTraceServiceResponse)
	}))
	mux.HandleFunc("POST /v1/metrics", handle(tb, func(request *metricsservice.ExportMetricsServiceRequest) proto.Message {
		c.addMetrics(request)
		return new(metricsservice.ExportMetricsServiceResponse)
	}))
	mux.HandleFunc("POST /v1/logs", handle(tb, func(request *logservice.ExportLogsServiceRequest) proto.Message {
		c.addLogs(request)
		return new(logservice.ExportLogsServiceResponse)
	}))
	overHTTP := &http.Server{Handler: mux}
	httpListener := listen(HTTP)
	go func() { _ = overHTTP.Serve(httpListener) }() // until it is closed
	tb.Cleanup(func() { _ = overHTTP.Close() })
	return c
}

// Endpoint is the URL for a protocol.
func (c *Collector) Endpoint(protocol string) string { return c.endpoints[protocol] }

// handle answers requests of one signal.
func handle[Request any, Message interface {
	*Request
	proto.Message
}](tb testing.TB, take func(Message) proto.Message) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			unzipped, err := gzip.NewReader(r.Body)
			if err != nil {
				tb.Errorf("the collector: %v", err)
				return
			}
			body = unzipped
		}
		raw, err := io.ReadAll(body)
		request := Message(new(Request))
		if err == nil {
			err = proto.Unmarshal(raw, request)
		}
		if err != nil {
			tb.Errorf("the collector: %v", err)
			http.Error(w, "malformed", http.StatusBadRequest)
			return
		}
		answer, err := proto.Marshal(take(request))
		if err != nil {
			tb.Errorf("the collector: %v", err)
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = w.Write(answer)
	}
}

type traceServer struct {
	traceservice.UnimplementedTraceServiceServer
	c *Collector
}

func (s traceServer) Export(
	_ context.Context, request *traceservice.ExportTraceServiceRequest,
) (*traceservice.ExportTraceServiceResponse, error) {
	s.c.addTraces(request)
	return new(traceservice.ExportTraceServiceResponse), nil
}

type metricsServer struct {
	metricsservice.UnimplementedMetricsServiceServer
	c *Collector
}

func (s metricsServer) Export(
	_ context.Context, request *metricsservice.ExportMetricsServiceRequest,
) (*metricsservice.ExportMetricsServiceResponse, error) {
	s.c.addMetrics(request)
	return new(metricsservice.ExportMetricsServiceResponse), nil
}

type logsServer struct {
	logservice.UnimplementedLogsServiceServer
	c *Collector
}

func (s logsServer) Export(_ context.Context, request *logservice.ExportLogsServiceRequest) (*logservice.ExportLogsServiceResponse, error) {
	s.c.addLogs(request)
	return new(logservice.ExportLogsServiceResponse), nil
}

func (c *Collector) note(message proto.Message) { c.text += prototext.Format(message) }

func (c *Collector) addTraces(request *traceservice.ExportTraceServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note(request)
	for _, group := range request.GetResourceSpans() {
		c.resources = append(c.resources, group.GetResource())
		for _, scope := range group.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
}

func (c *Collector) addMetrics(request *metricsservice.ExportMetricsServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note(request)
	for _, group := range request.GetResourceMetrics() {
		c.resources = append(c.resources, group.GetResource())
		for _, scope := range group.GetScopeMetrics() {
			for _, metric := range scope.GetMetrics() {
				c.metrics[metric.GetName()] = metric
			}
		}
	}
}

func (c *Collector) addLogs(request *logservice.ExportLogsServiceRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note(request)
	for _, group := range request.GetResourceLogs() {
		c.resources = append(c.resources, group.GetResource())
		for _, scope := range group.GetScopeLogs() {
			c.records = append(c.records, scope.GetLogRecords()...)
		}
	}
}

// Spans returns those that came so far.
func (c *Collector) Spans() []*traces.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*traces.Span(nil), c.spans...)
}

// Metrics returns the last of each name.
func (c *Collector) Metrics() map[string]*metrics.Metric {
	c.mu.Lock()
	defer c.mu.Unlock()
	last := make(map[string]*metrics.Metric, len(c.metrics))
	for name, metric := range c.metrics {
		last[name] = metric
	}
	return last
}

// Records returns the lines of the log that came so far.
func (c *Collector) Records() []*logs.LogRecord {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*logs.LogRecord(nil), c.records...)
}

// Resources returns who has sent, once for each message.
func (c *Collector) Resources() []*resource.Resource {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*resource.Resource(nil), c.resources...)
}

// Text returns all that came.
func (c *Collector) Text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text
}
