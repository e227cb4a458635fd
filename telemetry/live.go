package telemetry

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"hakanai/store"
)

const (
	// countEvery bounds how often the store is asked what is alive, however often somebody asks for the metrics.
	countEvery   = 5 * time.Second
	countTimeout = time.Second
)

// Watch adds how much is alive in a store, and whether it answers.
func (m *Metrics) Watch(s store.Store) {
	m.registry.MustRegister(&live{
		count:   s.Count,
		secrets: prometheus.NewDesc("hakanai_live_secrets", "Secrets that wait to be retrieved, in the whole store.", nil, nil),
		tokens:  prometheus.NewDesc("hakanai_live_tokens", "User tokens that are valid, in the whole store.", nil, nil),
		up:      prometheus.NewDesc("hakanai_store_up", "Whether the store answered when it was last asked: 1 or 0.", nil, nil),
	})
}

// live asks the store when the metrics are asked for. While the store does not answer there are no numbers, rather than
// old ones.
type live struct {
	count               func(context.Context) (store.Counts, error)
	secrets, tokens, up *prometheus.Desc

	mu     sync.Mutex
	asked  time.Time
	counts store.Counts
	err    error
}

// Describe implements prometheus.Collector.
func (l *live) Describe(descs chan<- *prometheus.Desc) {
	descs <- l.secrets
	descs <- l.tokens
	descs <- l.up
}

// Collect implements prometheus.Collector.
func (l *live) Collect(metrics chan<- prometheus.Metric) {
	counts, err := l.now()
	if err != nil {
		metrics <- prometheus.MustNewConstMetric(l.up, prometheus.GaugeValue, 0)
		return
	}
	metrics <- prometheus.MustNewConstMetric(l.up, prometheus.GaugeValue, 1)
	metrics <- prometheus.MustNewConstMetric(l.secrets, prometheus.GaugeValue, float64(counts.Secrets))
	metrics <- prometheus.MustNewConstMetric(l.tokens, prometheus.GaugeValue, float64(counts.Tokens))
}

func (l *live) now() (store.Counts, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(l.asked) < countEvery {
		return l.counts, l.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), countTimeout)
	defer cancel()
	l.counts, l.err = l.count(ctx)
	l.asked = time.Now()
	return l.counts, l.err
}
