package valkey

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/valkey-io/valkey-go"

	"hakanai/store"
)

// removals remove ciphertext that nobody can have any more, or will be able to soon, and give its share of a quota back. What
// has come in while Valkey was removing goes in one go. What cannot be removed goes by itself, later.
type removals struct {
	store *Store

	mu       sync.Mutex
	waiting  []removal
	removing bool
}

// removal is a key to be removed, and a share to be given back.
type removal struct {
	key   string
	share reservation
	later time.Duration // when, if not at once
	done  chan struct{} // closed when that is over; nil when nobody waits
}

// add removes soon. It waits only for a share that is given back at once.
func (r *removals) add(removal removal) {
	if removal.share.account != "" && removal.later == 0 {
		removal.done = make(chan struct{})
		defer func() { <-removal.done }()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, removal)
	if !r.removing {
		r.removing = true
		r.store.done.Go(r.run)
	}
}

func (r *removals) run() {
	for {
		r.mu.Lock()
		batch := r.waiting
		r.waiting, r.removing = nil, len(batch) > 0
		r.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		if err := r.remove(batch); err != nil && !errors.Is(err, store.ErrDown) { // a store that is down says so itself
			r.store.options.Report(fmt.Errorf("removing ciphertext: %w", err))
		}
		for _, removal := range batch {
			if removal.done != nil {
				close(removal.done)
			}
		}
	}
}

func (r *removals) remove(batch []removal) error {
	unknown := false
	send := func(ctx context.Context, client valkey.Client) (err error) {
		var commands valkey.Commands
		for _, removal := range batch {
			remove := client.B().Unlink().Key(removal.key).Build()
			if removal.later > 0 {
				remove = client.B().Pexpire().Key(removal.key).Milliseconds(removal.later.Milliseconds()).Lt().Build()
			}
			commands = append(commands, remove)
			if removal.share.account != "" {
				release := r.store.releasing(removal.share, removal.later)
				commands = append(commands, release.build(client.B(), "EVALSHA", release.script.sha1))
			}
		}
		for _, result := range client.DoMulti(ctx, commands...) {
			if answer, ok := valkey.IsValkeyErr(result.Error()); ok && answer.IsNoScript() {
				unknown = true
				continue
			}
			err = errors.Join(err, result.Error())
		}
		return err
	}
	err := r.store.small(context.Background(), send)
	if unknown && err == nil { // Valkey has not seen the script: now it does
		for _, removal := range batch {
			r.store.release(context.Background(), removal.share, removal.later)
		}
	}
	return err
}
