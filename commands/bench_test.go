//go:build unix

package commands

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"

	"hakanai/store/storetest"
	"hakanai/store/valkey/valkeytest"
)

// BenchmarkServer measures creates and takes with 32 clients against the real program, on the embedded store, on one
// Valkey that writes to disk before it answers, and on one with two replicas that must confirm. Clients, servers and
// Valkey share the machine.
func BenchmarkServer(b *testing.B) {
	const clients = 32
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	for _, kind := range []struct {
		name  string
		flags func(b *testing.B) []string
	}{
		{"embedded", func(b *testing.B) []string { return []string{"--data-dir", b.TempDir()} }},
		{"valkey", func(b *testing.B) []string { return []string{"--redis-dsn", valkeytest.Standalone(b, nil).DSN()} }},
		{"replicated", func(b *testing.B) []string { return []string{"--redis-dsn", valkeytest.WithSentinels(b).DSN()} }},
	} {
		for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%s/%dKiB", kind.name, size>>10), func(b *testing.B) {
				d := startServe(b, kind.flags(b))
				d.awaitReady()
				storetest.Eventually(b, "the first token is printed", func() bool { return len(d.logged("hakanai send")) == 1 })
				benchmarkServer(b, d, client, clients, storetest.Bytes(size))
				d.end(syscall.SIGTERM)
			})
		}
	}
}

func benchmarkServer(b *testing.B, d *daemon, client *http.Client, clients int, ciphertext []byte) {
	create := func() string {
		id, status := d.create(client, d.token, ciphertext)
		if status != http.StatusOK {
			b.Errorf("creating: %d", status)
		}
		return id
	}
	b.Run("create", func(b *testing.B) {
		inParallel(b, clients, func(int) { create() })
	})
	b.Run("take", func(b *testing.B) {
		ids := make([]string, b.N)
		inParallel(b, clients, func(i int) { ids[i] = create() })
		b.ResetTimer()
		inParallel(b, clients, func(i int) {
			if _, status := d.take(client, ids[i]); status != http.StatusOK {
				b.Errorf("taking: %d", status)
			}
		})
	})
}

// inParallel runs b.N steps on a number of goroutines, and reports the rate.
func inParallel(b *testing.B, goroutines int, step func(i int)) {
	b.Helper()
	var next atomic.Int64
	done := make(chan struct{})
	for range goroutines {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
				step(i)
			}
		}()
	}
	for range goroutines {
		<-done
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "ops/s")
}
