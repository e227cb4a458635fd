//go:build unix

package embedded

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"hakanai/store/storetest"
)

// BenchmarkCreateAndTake measures the store alone, with some 32 callers at a time, as a rate and as CPU.
func BenchmarkCreateAndTake(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			s := open(b, b.TempDir())
			defer closeStore(b, s)
			ciphertext := storetest.Bytes(size)
			b.SetParallelism(16)
			b.ReportAllocs()
			before := cpu(b)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					id := storetest.Create(b, s, ciphertext, time.Hour)
					if _, err := storetest.Take(s, id); err != nil {
						b.Error(err)
					}
				}
			})
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
		})
	}
}

func cpu(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
