//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

type options struct {
	rounds  int
	time    time.Duration
	sizes   []int
	only    string
	store   string
	profile string
}

// bench is one run.
type bench struct {
	options
	programs
	dir     string
	results results
	running []*server // to be stopped, the last first
}

// measure runs what was chosen, in a directory of its own that is gone afterwards.
func measure(o options) (r results, err error) {
	b := &bench{options: o, results: results{}}
	if b.dir, err = os.MkdirTemp("", "hakanai-bench-"); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.programs, err = build(b.dir); err != nil {
		return nil, err
	}
	for _, part := range []struct {
		name    string
		measure func() error
		extra   bool // only when it is asked for
	}{
		{"rates", b.rates, false}, {"latency", b.latency, false}, {"memory", b.memory, false}, {"live", b.live, false},
		{"cli", b.cli, false}, {"growth", b.growth, true}, {"expiry", b.expiry, true},
	} {
		if o.only != "" && o.only != part.name || o.only == "" && part.extra {
			continue
		}
		start := time.Now()
		if err := errors.Join(part.measure(), b.stopAll()); err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
		_, _ = fmt.Fprintf(os.Stderr, "%s: %s\n", part.name, time.Since(start).Round(time.Second)) // only to those who wait
	}
	return b.results, nil
}

// keep remembers a server that must be stopped.
func (b *bench) keep(s *server, err error) (*server, error) {
	if err == nil {
		b.running = append(b.running, s)
	}
	return s, err
}

func (b *bench) stopAll() (err error) {
	for _, s := range slices.Backward(b.running) {
		err = errors.Join(err, s.stop())
	}
	b.running = nil
	return err
}

// folder makes a new directory.
func (b *bench) folder() (string, error) { return os.MkdirTemp(b.dir, "") }

// place is a store with what it needs, on which Hakanai can be started more than once.
type place struct {
	name  string
	flags []string
	token string
}

// places makes a new store of each kind.
func (b *bench) places() ([]*place, error) {
	dir, err := b.folder()
	if err != nil {
		return nil, err
	}
	valkeyDir, err := b.folder()
	if err != nil {
		return nil, err
	}
	valkey, err := b.keep(b.startValkey(valkeyDir))
	if err != nil {
		return nil, err
	}
	places := []*place{
		{name: "valkey", flags: []string{"--redis-dsn", "redis://" + valkey.address}},
		{name: "embedded", flags: []string{"--data-dir", dir}},
	}
	return slices.DeleteFunc(places, func(p *place) bool { return b.store != "" && b.store != p.name }), nil
}

// serve starts Hakanai on a place.
func (b *bench) serve(p *place) (*server, error) {
	programs := b.programs
	if b.profile != "" {
		programs.hakanai = []string{b.self, "profiled", filepath.Join(b.profile, p.name+".prof")}
	}
	s, err := b.keep(programs.startHakanai(p.name, filepath.Join(b.dir, p.name+".log"), p.token, p.flags...))
	if err == nil {
		p.token = s.token
	}
	return s, err
}

// serveAll starts Hakanai on a new store of each kind.
func (b *bench) serveAll() (servers []*server, err error) {
	places, err := b.places()
	if err != nil {
		return nil, err
	}
	for _, p := range places {
		s, err := b.serve(p)
		if err != nil {
			return nil, err
		}
		servers = append(servers, s)
	}
	return servers, nil
}

// serveIdle is serve, and what the server has in memory then, in MiB.
func (b *bench) serveIdle(p *place) (s *server, idle float64, err error) {
	if s, err = b.serve(p); err == nil {
		idle, err = s.memory("VmRSS")
	}
	return s, idle, err
}

// rates measures CPU and rates of creates and takes, and of requests that find nothing, in rounds: all servers take turns.
func (b *bench) rates() error {
	floor, err := b.keep(b.startFloor("floor"))
	if err != nil {
		return err
	}
	dir, err := b.folder()
	if err != nil {
		return err
	}
	disk, err := b.keep(b.startFloor("disk", dir))
	if err != nil {
		return err
	}
	servers, err := b.serveAll()
	if err != nil {
		return err
	}
	servers = append([]*server{floor, disk}, servers...)
	for round := range b.rounds + 1 { // the first warms up
		into := b.results
		if round == 0 {
			into = results{}
		}
		for _, s := range servers {
			if s.name == "disk" {
				continue
			}
			err := s.measured(into, "ask in vain", func() (load, error) { return s.askInVain(until(time.Now().Add(b.time))) })
			if err != nil {
				return err
			}
		}
		for _, size := range b.sizes {
			for _, s := range servers {
				if err := b.round(into, s, newSecret(size)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// round creates secrets for a while, and takes them: half of them in one request, the others as hakanai get does.
func (b *bench) round(into results, s *server, secret secret) error {
	var ids [][]byte
	err := s.measured(into, "create "+secret.name, func() (l load, err error) {
		ids, l, err = s.create(secret, 3600, 0, until(time.Now().Add(b.time)))
		return l, err
	})
	if err != nil {
		return err
	}
	var leased [][]byte
	if s.honest {
		ids, leased = ids[:len(ids)/2], ids[len(ids)/2:]
	}
	err = s.measured(into, "take "+secret.name, func() (load, error) { return s.take(secret, ids, 0) })
	if err != nil || leased == nil {
		return err
	}
	return s.measured(into, "take and end "+secret.name, func() (load, error) { return s.takeLeased(secret, leased) })
}

// measured adds what a run of operations came to, and cost the server.
func (s *server) measured(into results, what string, operate func() (load, error)) error {
	before, err := s.cpu()
	if err != nil {
		return err
	}
	l, err := operate()
	if err != nil {
		return err
	}
	after, err := s.cpu()
	if err != nil {
		return err
	}
	into.add(what, "cpu µs", s.name, micros(after-before)/float64(l.operations))
	into.addLoad(what, s.name, l)
	return nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// latency measures at half of the rate that was reached under full load just before. What the floor takes is the machine's
// own.
func (b *bench) latency() error {
	floor, err := b.keep(b.startFloor("floor"))
	if err != nil {
		return err
	}
	servers, err := b.serveAll()
	if err != nil {
		return err
	}
	servers = append([]*server{floor}, servers...)
	secret, seconds := newSecret(1<<10), 3*time.Second
	for range b.rounds {
		for _, s := range servers {
			ids, full, err := s.create(secret, 3600, 0, until(time.Now().Add(time.Second)))
			if err != nil {
				return err
			}
			pauseOf := func(l load) time.Duration { return time.Duration(2 * clients / l.rate() * float64(time.Second)) }
			more, half, err := s.create(secret, 3600, pauseOf(full), until(time.Now().Add(seconds)))
			if err != nil {
				return err
			}
			b.results.addLoad("create 1 KiB at half load", s.name, half)
			if full, err = s.take(secret, ids, 0); err != nil {
				return err
			}
			if half, err = s.take(secret, more, pauseOf(full)); err != nil {
				return err
			}
			b.results.addLoad("take 1 KiB at half load", s.name, half)
		}
	}
	return nil
}

func (r results) addLoad(what, who string, l load) {
	r.add(what, "rate", who, l.rate())
	r.add(what, "p50 µs", who, micros(l.percentile(50)))
	r.add(what, "p99 µs", who, micros(l.percentile(99)))
}

// memory measures the most that a server has had, above what it has while nobody asks anything, with one secret of 8 MiB on
// each of 32 connections. Each way has a new process.
func (b *bench) memory() error {
	places, err := b.places()
	if err != nil {
		return err
	}
	secret := newSecret(8 << 20)
	for _, p := range places {
		var ids [][]byte
		for _, way := range []string{"up", "down"} {
			s, idle, err := b.serveIdle(p)
			if err != nil {
				return err
			}
			if way == "up" {
				ids, _, err = s.create(secret, 3600, 0, upTo(clients))
			} else {
				_, err = s.take(secret, ids, 0)
			}
			if err != nil {
				return err
			}
			peak, err := s.memory("VmHWM")
			if err := errors.Join(err, s.stop()); err != nil {
				return err
			}
			b.results.add("memory 32 x 8 MiB "+way, "MiB above idle", p.name, peak-idle)
		}
		b.running = b.running[:1] // Valkey
	}
	return nil
}

// live measures the embedded store with 100,000 secrets: what it holds in memory after a restart, and how long that takes.
func (b *bench) live() error {
	dir, err := b.folder()
	if err != nil {
		return err
	}
	p := &place{name: "embedded", flags: []string{"--data-dir", dir}}
	s, idle, err := b.serveIdle(p)
	if err != nil {
		return err
	}
	if _, _, err := s.create(newSecret(1<<10), 3600, 0, upTo(100_000)); err != nil {
		return err
	}
	if err := b.stopAll(); err != nil {
		return err
	}
	for range b.rounds {
		start := time.Now()
		if s, err = b.serve(p); err != nil {
			return err
		}
		b.results.add("100,000 live", "start-up s", p.name, time.Since(start).Seconds())
		has, err := s.memory("VmHWM")
		if err := errors.Join(err, b.stopAll()); err != nil {
			return err
		}
		b.results.add("100,000 live", "MiB above idle", p.name, has-idle)
	}
	return nil
}
