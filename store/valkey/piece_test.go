//go:build unix

package valkey_test

import (
	"context"
	"io"
	"runtime"
	"testing"
	"time"

	client "github.com/valkey-io/valkey-go"

	"hakanai/store"
	"hakanai/store/storetest"
	"hakanai/store/valkey"
	"hakanai/store/valkey/valkeytest"
)

func TestSecretsUseTheRoomOfOthersAgain(t *testing.T) {
	s := open(t, valkeytest.Standalone(t, nil).DSN())
	defer s.Close()
	const size, secrets = 128 << 10, 400
	ciphertext := storetest.Bytes(size)
	var ids [secrets]store.ID
	created := allocated(func() {
		for i := range ids {
			ids[i] = storetest.Create(t, s, ciphertext, storetest.Life)
		}
	})
	taken := allocated(func() {
		for _, id := range ids {
			take(t, s, id, size)
		}
	})
	// The race detector makes a sync.Pool lose a quarter of what it is given: of many secrets, that is far from half.
	if most := uint64(size * secrets / 2); created > most || taken > most {
		t.Errorf("of %d bytes, creating takes %d bytes of memory and taking %d", size*secrets, created, taken)
	}
}

func TestALargeSecretTakesTheRoomOfAPiece(t *testing.T) {
	s := open(t, valkeytest.Standalone(t, nil).DSN())
	defer s.Close()
	ciphertext := make([]byte, 8<<20)
	var id store.ID
	created := allocated(func() { id = storetest.Create(t, s, ciphertext, storetest.Life) })
	taken := allocated(func() { take(t, s, id, len(ciphertext)) })
	if created > 1<<20 || taken > 1<<20 {
		t.Errorf("of 8 MiB, creating takes %d bytes of memory and taking %d", created, taken)
	}
}

// allocated tells how many bytes of memory something has asked for.
func allocated(something func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	something()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// take takes a secret, and keeps nothing of it.
func take(t *testing.T, s store.Store, id store.ID, size int) {
	t.Helper()
	if n, err := storetest.TakeTo(io.Discard, s, id); n != int64(size) || err != nil {
		t.Errorf("%d bytes come: %v", n, err)
	}
}

func TestAConnectionThatAReaderGaveUpIsNotMissing(t *testing.T) {
	plain, tls := valkeytest.Standalone(t, nil), valkeytest.StandaloneTLS(t, nil)
	plain.MustCommand("HSET", "hakanai:key", "0", "ciphertext")
	tls.MustCommand("--user", "admin", "--pass", "x", "HSET", "hakanai:key", "0", "ciphertext")
	t.Run("plain", func(t *testing.T) { giveReadersUp(t, plain, plain.DSN()) })
	t.Run("TLS", func(t *testing.T) { giveReadersUp(t, tls.Server, tls.DSN()) })
}

func giveReadersUp(t *testing.T, server *valkeytest.Server, dsn string) {
	parsed, err := valkey.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	options := parsed.ClientOptions()
	options.DisableCache, options.ForceSingleClient, options.BlockingPoolSize = true, true, 1
	client, err := client.NewClient(options)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	read := func(patience time.Duration) ([]byte, error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		return valkey.FetchPiece(ctx, client, "hakanai:key", "0")
	}
	server.Pause()
	for range 50 {
		if got, err := read(10 * time.Millisecond); err == nil {
			t.Errorf("a server that does not answer gives %q", got)
		}
	}
	server.Resume()
	if got, err := read(10 * time.Second); err != nil || string(got) != "ciphertext" {
		t.Errorf("%q comes: %v", got, err)
	}
}
