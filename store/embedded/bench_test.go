//go:build unix

package embedded

import (
	"testing"

	"hakanai/store"
	"hakanai/store/storetest"
)

func BenchmarkCreateAndTake(b *testing.B) {
	storetest.BenchmarkCreateAndTake(b, func(b *testing.B) store.Store { return open(b, b.TempDir()) })
}
