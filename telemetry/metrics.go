// Package telemetry shows operators how a server is doing: metrics for Prometheus, and, where a collector is named,
// traces, the same metrics and the log over OpenTelemetry.
//
// It promises that nothing it shows tells of a secret: labels, attributes and fields are lists of what may be said, and
// neither ids nor addresses, paths, headers or tokens are on them. And it never stands in the way: what a collector does
// not take in time is dropped.
package telemetry

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics are what a server counts. They are on a registry of their own, and their labels have few values, whatever is
// asked of the server.
type Metrics struct {
	registry *prometheus.Registry

	requests  *prometheus.HistogramVec // route, method, status
	inFlight  prometheus.Gauge
	created   prometheus.Counter
	retrieved prometheus.Counter
	refused   *prometheus.CounterVec // operation, reason
	sizes     prometheus.Histogram
	lives     prometheus.Histogram

	operations *prometheus.HistogramVec // operation
	failures   *prometheus.CounterVec   // operation, kind

	deliveries *prometheus.CounterVec // result
}

const (
	second = 1.0 // metrics are in seconds and bytes
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
	kib    = 1 << 10
	mib    = 1 << 20
)

// NewMetrics returns the metrics of one server, of a version, with those of its process and of Go.
func NewMetrics(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "hakanai_http_request_duration_seconds",
			Help:    "How long requests took, from their headers to the end of their answers.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"route", "method", "status"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "hakanai_http_requests_in_flight", Help: "Requests that are being answered.",
		}),
		created: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "hakanai_secrets_created_total", Help: "Secrets that were stored.",
		}),
		retrieved: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "hakanai_secrets_retrieved_total", Help: "Secrets that were handed out.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hakanai_secrets_refused_total", Help: "Requests to create or retrieve a secret that were refused, by reason.",
		}, []string{"operation", "reason"}),
		sizes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "hakanai_secret_size_bytes",
			Help:    "Ciphertext of the secrets that were stored.",
			Buckets: []float64{1 * kib, 4 * kib, 16 * kib, 64 * kib, 256 * kib, 1 * mib, 4 * mib, 16 * mib, 64 * mib},
		}),
		lives: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "hakanai_secret_ttl_seconds",
			Help:    "How long the secrets that were stored may wait.",
			Buckets: []float64{5 * minute, 30 * minute, 1 * hour, 6 * hour, 12 * hour, 1 * day, 3 * day, 7 * day, 30 * day},
		}),
		operations: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "hakanai_store_operation_duration_seconds",
			Help:    "How long the store took; reading and writing are summed up for each secret.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"operation"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hakanai_store_operation_errors_total", Help: "Operations that the store could not carry out.",
		}, []string{"operation", "kind"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "hakanai_webhook_deliveries_total", Help: "Webhook events by what became of them.",
		}, []string{"result"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "hakanai_build_info", Help: "The version that runs, as labels; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "go": runtime.Version()},
	})
	build.Set(1)
	m.registry.MustRegister(
		m.requests, m.inFlight, m.created, m.retrieved, m.refused, m.sizes, m.lives, m.operations, m.failures, m.deliveries,
		build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	m.beginAtZero()
	return m
}

// beginAtZero makes the series of events that may never happen: a rate cannot see the first of something that was not
// there before.
func (m *Metrics) beginAtZero() {
	for _, operation := range []Operation{Create, Retrieve} {
		for _, reason := range operation.reasons() {
			m.refused.WithLabelValues(string(operation), reason)
		}
	}
	for _, result := range []string{"delivered", "failed", "dropped"} {
		m.deliveries.WithLabelValues(result)
	}
}

// Gatherer gives what was counted.
func (m *Metrics) Gatherer() prometheus.Gatherer { return m.registry }

// RequestBegins counts a request in.
func (m *Metrics) RequestBegins() { m.inFlight.Inc() }

// RequestEnds counts a request out. The route is the name of one, never a path.
func (m *Metrics) RequestEnds(route, method string, status int, took time.Duration) {
	m.inFlight.Dec()
	m.requests.WithLabelValues(route, methodLabel(method), statusLabel(status)).Observe(took.Seconds())
}

func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// statusLabel is the class of a status. An answer that was cut off before it began has none.
func statusLabel(status int) string {
	switch {
	case status < 100:
		return "none"
	case status < 200:
		return "1xx"
	case status < 300:
		return "2xx"
	case status < 400:
		return "3xx"
	case status < 500:
		return "4xx"
	}
	return "5xx"
}

// Created counts a secret that was stored: so many bytes of ciphertext, for so long.
func (m *Metrics) Created(size int64, ttl time.Duration) {
	m.created.Inc()
	m.sizes.Observe(float64(size))
	m.lives.Observe(ttl.Seconds())
}

// Retrieved counts a secret that was handed out, once for each secret.
func (m *Metrics) Retrieved() { m.retrieved.Inc() }

// CountExpired returns a function that counts secrets that nobody retrieved in time, for a store that can tell.
func (m *Metrics) CountExpired() func(secrets int) {
	expired := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "hakanai_secrets_expired_total", Help: "Secrets that ended before anybody retrieved them.",
	})
	m.registry.MustRegister(expired)
	return func(secrets int) { expired.Add(float64(secrets)) }
}

// WebhookDelivery counts a webhook event that is over: delivered, failed after its last try, or dropped untold.
func (m *Metrics) WebhookDelivery(result string) { m.deliveries.WithLabelValues(result).Inc() }
