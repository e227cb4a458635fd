package commands

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"

	"hakanai/store/storetest"
)

// BenchmarkServer measures creates and takes with 32 clients against the real program on the embedded store. Clients
// and server share the machine.
func BenchmarkServer(b *testing.B) {
	const clients = 32
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
		ciphertext := storetest.Bytes(size)
		d := startDaemon(b, b.TempDir())
		create := func() string {
			id, status := d.create(client, d.token, ciphertext)
			if status != http.StatusOK {
				b.Errorf("creating: %d", status)
			}
			return id
		}
		b.Run(fmt.Sprintf("create/%dKiB", size>>10), func(b *testing.B) {
			inParallel(b, clients, func(int) { create() })
		})
		b.Run(fmt.Sprintf("take/%dKiB", size>>10), func(b *testing.B) {
			ids := make([]string, b.N)
			inParallel(b, clients, func(i int) { ids[i] = create() })
			b.ResetTimer()
			inParallel(b, clients, func(i int) {
				if _, status := d.take(client, ids[i]); status != http.StatusOK {
					b.Errorf("taking: %d", status)
				}
			})
		})
		d.end(syscall.SIGTERM)
	}
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
