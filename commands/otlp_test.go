package commands

import (
	"encoding/hex"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"

	"hakanai/httpapi/api"
	"hakanai/store/storetest"
	"hakanai/telemetry/telemetrytest"
)

// exportTo sets the variables of servers that are started later, so that they export soon.
func exportTo(t *testing.T, endpoint, protocol string) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
	t.Setenv("OTEL_BLRP_SCHEDULE_DELAY", "100")
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "200")
}

// overBothProtocols runs a test with a collector for each protocol.
func overBothProtocols(t *testing.T, run func(t *testing.T, c *telemetrytest.Collector)) {
	for _, protocol := range []string{telemetrytest.GRPC, telemetrytest.HTTP} {
		t.Run(protocol, func(t *testing.T) {
			c := telemetrytest.Start(t)
			exportTo(t, c.Endpoint(protocol), protocol)
			run(t, c)
		})
	}
}

const (
	callersTrace = "4bf92f3577b34da6a3ce929d0e0e4736"
	callersSpan  = "00f067aa0ba902b7"
)

// attributes are those of a span, a point or a record, as text.
func attributes(pairs []*common.KeyValue) map[string]string {
	texts := make(map[string]string)
	for _, pair := range pairs {
		texts[pair.GetKey()] = strings.TrimSpace(strings.Trim(strings.SplitN(pair.GetValue().String(), ":", 2)[1], `"`))
	}
	return texts
}

func TestACollectorGetsTracesMetricsAndTheLog(t *testing.T) {
	overBothProtocols(t, func(t *testing.T, c *telemetrytest.Collector) {
		onBothStores(t, func(t *testing.T, place []string) {
			d := startServe(t, append(place, "--metrics-listen", "127.0.0.1:0"))
			d.awaitReady()
			token, _ := d.firstTokens(false)
			path := d.secret(token, "")
			parent := []string{"traceparent", "00-" + callersTrace + "-" + callersSpan + "-01"}
			if a := d.ask("GET", path, "", parent...); a.status != http.StatusOK {
				t.Fatalf("retrieving gives %d %s", a.status, a.body)
			}
			d.ask("GET", path, "", parent...)
			d.ask("GET", "/nothing", "")
			scraped := d.scrape()
			asking.CloseIdleConnections()
			if status := d.end(syscall.SIGTERM); status != 0 {
				t.Errorf("the server ended with %d", status)
			}
			checkSpans(t, c, place)
			checkRecords(t, c)
			checkResources(t, c)
			compareMetrics(t, c.Metrics(), scraped)
		})
	})
}

// checkSpans looks at the spans of a retrieval that belongs to a caller's trace.
func checkSpans(t *testing.T, c *telemetrytest.Collector, place []string) {
	t.Helper()
	var request *traces.Span
	for _, span := range c.Spans() {
		if hex.EncodeToString(span.GetParentSpanId()) == callersSpan && attributes(span.GetAttributes())["http.response.status_code"] == "200" {
			request = span
		}
	}
	if request == nil {
		t.Fatalf("no request is below the caller's span")
	}
	want := map[string]string{
		"http.request.method": "GET", "http.route": api.SecretPath + "/{id}", "http.response.status_code": "200",
		"http.response.body.size": "136",
	}
	if got := attributes(request.GetAttributes()); request.GetName() != "GET "+want["http.route"] || !maps.Equal(got, want) ||
		hex.EncodeToString(request.GetTraceId()) != callersTrace || request.GetKind() != traces.Span_SPAN_KIND_SERVER {
		t.Errorf("the request's span is %v", request)
	}
	below := make(map[string]int)
	for _, span := range c.Spans() {
		if string(span.GetParentSpanId()) != string(request.GetSpanId()) {
			continue
		}
		below[span.GetName()]++
		system := attributes(span.GetAttributes())["db.system.name"]
		if onValkey := place[0] == "--redis-dsn"; onValkey != (system == "valkey") || onValkey != (span.GetKind() == traces.Span_SPAN_KIND_CLIENT) {
			t.Errorf("a span is of %q: %v", system, span)
		}
		if string(span.GetTraceId()) != string(request.GetTraceId()) || span.GetEndTimeUnixNano() > request.GetEndTimeUnixNano() {
			t.Errorf("%s is not within its request", span.GetName())
		}
	}
	if !maps.Equal(below, map[string]int{"store claim": 1, "store read": 1, "store release": 1}) {
		t.Errorf("below the request are %v", below)
	}
}

// checkRecords looks for the line about that retrieval.
func checkRecords(t *testing.T, c *telemetrytest.Collector) {
	t.Helper()
	bodies := make(map[string]int)
	var found map[string]string
	for _, record := range c.Records() {
		bodies[record.GetBody().GetStringValue()]++
		if a := attributes(record.GetAttributes()); hex.EncodeToString(record.GetTraceId()) == callersTrace && a["status"] == "200" {
			found = a
			for _, span := range c.Spans() {
				if string(span.GetSpanId()) == string(record.GetSpanId()) && !strings.HasPrefix(span.GetName(), "GET ") {
					t.Errorf("the line is about %s", span.GetName())
				}
			}
		}
	}
	if found["route"] != api.SecretPath+"/{id}" || found["method"] != "GET" || len(found["request_id"]) != 36 || len(found["secret"]) != 16 {
		t.Errorf("the line about the retrieval says %v", found)
	}
	for _, message := range []string{"listening", "request", "stopped"} {
		if bodies[message] == 0 {
			t.Errorf("of the lines %q none came: %v", message, bodies)
		}
	}
}

func checkResources(t *testing.T, c *telemetrytest.Collector) {
	t.Helper()
	for _, resource := range c.Resources() {
		got := attributes(resource.GetAttributes())
		for name, want := range map[string]string{"service.name": "hakanai", "os.type": "linux", "process.runtime.name": "go"} {
			if got[name] != want {
				t.Errorf("%s is %q, want %q", name, got[name], want)
			}
		}
		for _, name := range []string{"service.version", "service.instance.id", "os.description", "process.pid", "process.runtime.version"} {
			if got[name] == "" {
				t.Errorf("%s is missing", name)
			}
		}
		for name := range got {
			if strings.HasPrefix(name, "process.command") || strings.HasPrefix(name, "process.owner") {
				t.Errorf("it tells %s", name)
			}
		}
	}
}

// compareMetrics compares what the collector got with what Prometheus got: the same names and numbers.
func compareMetrics(t *testing.T, exported map[string]*metrics.Metric, scraped string) {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(scraped))
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for name, family := range families {
		if exported[name] == nil {
			t.Errorf("%s is for Prometheus alone", name)
			continue
		}
		if !strings.HasPrefix(name, "hakanai_") { // the process goes on
			continue
		}
		numbers := numbersOf(exported[name])
		for _, metric := range family.GetMetric() {
			labels := make(map[string]string)
			for _, pair := range metric.GetLabel() {
				labels[pair.GetName()] = pair.GetValue()
			}
			if labels["operation"] == "count" { // what asks for metrics asks for this
				continue
			}
			want := metric.GetCounter().GetValue() + metric.GetGauge().GetValue() +
				float64(metric.GetHistogram().GetSampleCount()) + metric.GetHistogram().GetSampleSum()
			if got, ok := numbers[labelText(labels)]; !ok || got != want {
				t.Errorf("%s %v is %v for the collector, %v for Prometheus", name, labels, got, want)
			}
			compared++
		}
	}
	if compared < 50 {
		t.Errorf("only %d numbers were compared", compared)
	}
}

func labelText(labels map[string]string) string {
	var texts []string
	for name, value := range labels {
		texts = append(texts, name+"="+value)
	}
	slices.Sort(texts)
	return strings.Join(texts, ",")
}

// numbersOf gives each point of a metric by its labels; of a histogram, count and sum together.
func numbersOf(metric *metrics.Metric) map[string]float64 {
	numbers := make(map[string]float64)
	for _, point := range append(metric.GetSum().GetDataPoints(), metric.GetGauge().GetDataPoints()...) {
		numbers[labelText(attributes(point.GetAttributes()))] = point.GetAsDouble() + float64(point.GetAsInt())
	}
	for _, point := range metric.GetHistogram().GetDataPoints() {
		numbers[labelText(attributes(point.GetAttributes()))] = float64(point.GetCount()) + point.GetSum()
	}
	return numbers
}

// TestACollectorThatIsNoneHoldsNothingUp counts on requests that all succeed and a server that ends well, with a collector
// that refuses, one that never answers, and one that is slow to say no.
func TestACollectorThatIsNoneHoldsNothingUp(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // connections are made, and nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refusing.Close()
	for _, protocol := range []string{telemetrytest.GRPC, telemetrytest.HTTP} {
		for name, listener := range map[string]net.Listener{"silent": silent, "refusing": refusing} {
			t.Run(protocol+" "+name, func(t *testing.T) {
				exportTo(t, "http://"+listener.Addr().String(), protocol)
				d := startServe(t, []string{"--data-dir", t.TempDir()})
				d.awaitReady()
				token, _ := d.firstTokens(false)
				var asked sync.WaitGroup
				for range 8 {
					asked.Go(func() {
						for range 400 { // more spans than may wait
							path := d.secret(token, "")
							if a := d.ask("GET", path, ""); a.status != http.StatusOK {
								t.Errorf("retrieving gives %d", a.status)
							}
						}
					})
				}
				asked.Wait()
				asking.CloseIdleConnections()
				begin := time.Now()
				if status := d.end(syscall.SIGTERM); status != 0 {
					t.Errorf("the server ended with %d", status)
				}
				if took := time.Since(begin); took > 30*time.Second {
					t.Errorf("the server took %s to end", took)
				}
				warned := d.logged("the collector has not taken everything")
				if name == "refusing" && len(warned) == 0 || len(warned) > 2 {
					t.Errorf("of the collector it says %q", warned)
				}
				for _, l := range d.logged("") {
					if strings.HasPrefix(l, "{") != strings.Contains(l, `"level"`) || strings.Contains(l, "grpc:") {
						t.Errorf("a line is none of the log: %s", l)
					}
				}
			})
		}
	}
}

func TestWithoutACollectorNothingIsExported(t *testing.T) {
	c := telemetrytest.Start(t)
	for name, set := range map[string][2]string{
		"no endpoint":  {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", c.Endpoint(telemetrytest.HTTP)},
		"switched off": {"OTEL_SDK_DISABLED", "true"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "switched off" {
				exportTo(t, c.Endpoint(telemetrytest.HTTP), telemetrytest.HTTP)
			}
			t.Setenv(set[0], set[1])
			d := startAt(t, []string{"--data-dir", t.TempDir()})
			d.ask("GET", api.ConfigPath, "")
			storetest.Eventually(t, "the request is logged", func() bool { return len(d.logged("/config.json")) > 0 })
			if lines := d.logged("trace_id"); len(lines) > 0 {
				t.Errorf("traced: %q", lines)
			}
		})
	}
	if text := c.Text(); text != "" {
		t.Errorf("the collector got %s", text)
	}
}
