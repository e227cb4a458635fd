package valkey

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/valkey-io/valkey-go"
)

const (
	// askTime bounds how long a replica is asked for its settings.
	askTime = 300 * time.Millisecond
	// askLong is for how long one that does not answer is asked again at once, before it is left alone for askAgain: one that
	// has just come may not be found yet under its name.
	askLong  = 30 * time.Second
	askAgain = 10 * time.Second
)

// replicas knows the settings of the replicas that are there, by address. One that writes nothing to disk, or only now
// and then, can confirm what is in its memory and no more. One that does not answer yet is taken for a better one.
type replicas struct {
	dsn    *DSN
	report func(error)
	known  map[string]replica
}

type replica struct {
	answered bool
	volatile bool // it may forget in a restart what it has confirmed
	findings []string

	silent time.Time // since when it has not answered
	asked  time.Time
}

// see asks those of the replicas that have not answered yet, and forgets those that are there no more: they may come back
// with other settings.
func (r *replicas) see(ctx context.Context, addresses map[string]bool) {
	maps.DeleteFunc(r.known, func(address string, _ replica) bool { return !addresses[address] })
	answers := make(map[string]*replica)
	var all sync.WaitGroup
	for address := range addresses {
		answer := r.known[address]
		if answer.answered || answer.volatile && time.Since(answer.asked) < askAgain {
			continue
		}
		answers[address] = &answer
		all.Go(func() {
			settings, err := r.ask(ctx, address)
			was := answer.volatile
			if answer = answer.learn(settings, err); !answer.answered && answer.volatile && !was {
				r.report(fmt.Errorf("the replica at %s cannot be asked for its settings, and its memory must do as a confirmation: %w",
					address, err))
			}
		})
	}
	all.Wait()
	for address, answer := range answers {
		r.known[address] = *answer
	}
}

// learn takes over what an answer says.
func (r replica) learn(settings map[string]string, err error) replica {
	answer, refused := valkey.IsValkeyErr(err)
	switch {
	case err == nil:
		return replica{answered: true, volatile: !durable(settings), findings: judgeSettings(settings)}
	case refused && strings.HasPrefix(answer.Error(), "NOPERM"):
		return replica{answered: true, volatile: true, findings: []string{notPermitted}}
	}
	r.asked = time.Now()
	if r.silent.IsZero() {
		r.silent = r.asked
	}
	r.volatile = r.asked.Sub(r.silent) > askLong
	return r
}

// ask asks one. Connecting may take longer than anybody waits.
func (r *replicas) ask(ctx context.Context, address string) (map[string]string, error) {
	type answer struct {
		settings map[string]string
		err      error
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	answered := make(chan answer, 1)
	go func() {
		node, err := r.dsn.node(address)
		if err != nil {
			answered <- answer{err: err}
			return
		}
		defer node.Close()
		settings, err := settingsOf(ctx, node)
		answered <- answer{settings, err}
	}()
	select {
	case a := <-answered:
		return a.settings, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// volatile counts those that can confirm what is in their memory and no more.
func (r *replicas) volatile(addresses map[string]bool) (n int) {
	for address := range addresses {
		if r.known[address].volatile {
			n++
		}
	}
	return n
}

// findings are what is unsafe about them.
func (r *replicas) findings() (findings []string) {
	for address, known := range r.known {
		for _, finding := range known.findings {
			findings = append(findings, fmt.Sprintf("the replica at %s: %s", address, finding))
		}
	}
	return findings
}
