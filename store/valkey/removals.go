package valkey

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/valkey-io/valkey-go"

	"hakanai/store"
)

// removals remove ciphertext that nobody can have any more. Nobody waits for it, and what has come in while Valkey was
// removing goes in one go. What cannot be removed expires by itself.
type removals struct {
	store *Store

	mu       sync.Mutex
	keys     []string
	removing bool
}

func (r *removals) add(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = append(r.keys, key)
	if !r.removing {
		r.removing = true
		r.store.done.Go(r.run)
	}
}

func (r *removals) run() {
	for {
		r.mu.Lock()
		keys := r.keys
		r.keys, r.removing = nil, len(keys) > 0
		r.mu.Unlock()
		if len(keys) == 0 {
			return
		}
		err := r.store.small(context.Background(), func(ctx context.Context, client valkey.Client) (err error) {
			commands := make(valkey.Commands, len(keys))
			for i, key := range keys {
				commands[i] = client.B().Unlink().Key(key).Build()
			}
			for _, result := range client.DoMulti(ctx, commands...) {
				err = errors.Join(err, result.Error())
			}
			return err
		})
		if err != nil && !errors.Is(err, store.ErrDown) { // a store that is down says so itself
			r.store.options.Report(fmt.Errorf("removing ciphertext: %w", err))
		}
	}
}
