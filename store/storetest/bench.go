//go:build unix

package storetest

import (
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"

	"hakanai/store"
)

// BenchmarkCreateAndTake measures an empty store, which it closes, with some 32 callers at a time: as a rate, and as CPU of
// this process.
func BenchmarkCreateAndTake(b *testing.B, open func(b *testing.B) store.Store) {
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			s := open(b)
			defer func() {
				if err := s.Close(); err != nil {
					b.Error(err)
				}
			}()
			ciphertext := Bytes(size)
			b.SetParallelism(16)
			b.ReportAllocs()
			before := cpu(b)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := TakeTo(io.Discard, s, Create(b, s, ciphertext, time.Hour)); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}

// cpu is what this process has used so far, user and system.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
