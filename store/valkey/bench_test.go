//go:build unix

package valkey_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/valkey-io/valkey-go"

	"hakanai/store"
	"hakanai/store/storetest"
	"hakanai/store/valkey/valkeytest"
)

// BenchmarkConnections is why there are two kinds of connections: shared ones, which many commands go over together, and
// a pool, in which a command has one for itself. Small commands are faster together, and pieces of ciphertext hold them up.
func BenchmarkConnections(b *testing.B) {
	server := valkeytest.Standalone(b, valkeytest.Settings{"appendonly": "no"})
	client := func(pool bool) valkey.Client {
		c, err := valkey.NewClient(valkey.ClientOption{
			InitAddress: []string{server.Address()}, DisableCache: true, DisableAutoPipelining: pool, BlockingPoolSize: 128,
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(c.Close)
		return c
	}
	clients := map[string]valkey.Client{"shared": client(false), "pool": client(true)}
	set := func(c valkey.Client, key string, value []byte) {
		if err := c.Do(context.Background(), c.B().Set().Key(key).Value(valkey.BinaryString(value)).Build()).Error(); err != nil {
			b.Error(err)
		}
	}
	for _, kib := range []int{1, 16, 128} {
		value := storetest.Bytes(kib << 10)
		for _, kind := range []string{"shared", "pool"} {
			b.Run(fmt.Sprintf("%s/%dKiB", kind, kib), func(b *testing.B) {
				b.SetParallelism(16)
				b.SetBytes(int64(len(value)))
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						set(clients[kind], "x", value)
					}
				})
			})
		}
	}
	for _, kind := range []string{"shared", "pool"} {
		b.Run("1KiB_beside_128KiB_over_"+kind, func(b *testing.B) {
			large, small := storetest.Bytes(128<<10), storetest.Bytes(1<<10)
			ctx, stop := context.WithCancel(b.Context())
			var writers sync.WaitGroup
			for range 8 {
				writers.Go(func() {
					for ctx.Err() == nil {
						set(clients[kind], "large", large)
					}
				})
			}
			for b.Loop() {
				set(clients["shared"], "small", small)
			}
			stop()
			writers.Wait()
		})
	}
}

func BenchmarkCreateAndTake(b *testing.B) {
	storetest.BenchmarkCreateAndTake(b, func(b *testing.B) store.Store { return open(b, valkeytest.Standalone(b, nil).DSN()) })
}
