//go:build linux

package main

import "time"

// What takes longer than anybody waits for as a rule: many secrets.

// growth measures the CPU of a create and a take among 1,000 live secrets, and among 1,000,000.
func (b *bench) growth() error {
	places, err := b.places()
	if err != nil {
		return err
	}
	secret := newSecret(1 << 10)
	for _, p := range places {
		p.flags = append(p.flags, "--token-quota", "16g") // a million count for more than a token may have as a rule
		s, err := b.serve(p)
		if err != nil {
			return err
		}
		live := 0
		for _, step := range []struct {
			live int
			unit string
		}{{1_000, "cpu µs at 1,000"}, {1_000_000, "cpu µs at 1,000,000"}} {
			if _, _, err := s.create(secret, 24*3600, 0, upTo(step.live-live)); err != nil {
				return err
			}
			live = step.live
			for round := range b.rounds + 1 {
				both := results{}
				if err := b.round(both, s, secret); err != nil {
					return err
				}
				if round > 0 {
					b.results.add("create and take 1 KiB", step.unit, p.name,
						both.median("create 1 KiB", "cpu µs", p.name)+both.median("take 1 KiB", "cpu µs", p.name))
				}
			}
		}
	}
	return nil
}

// expiry measures how long creates and takes take, at a quarter of full load, while 100,000 secrets expire in one minute.
func (b *bench) expiry() error {
	places, err := b.places()
	if err != nil {
		return err
	}
	secret := newSecret(1 << 10)
	const many, spread, beside = 100_000, 60, 2_000
	for _, p := range places {
		s, err := b.serve(p)
		if err != nil {
			return err
		}
		begin := time.Now()
		const steps = 60 // the first ends when the last was created, or a little later
		ends := begin.Add(90 * time.Second)
		for step := range steps {
			life := int(time.Until(ends).Seconds()) + 1 + step*spread/steps
			if _, _, err := s.create(secret, life, 0, upTo(many/steps)); err != nil {
				return err
			}
		}
		b.results.add("create and take while many expire", "s to create them", p.name, time.Since(begin).Seconds())
		time.Sleep(time.Until(ends))
		pause := time.Second * clients / beside
		for time.Since(ends) < spread*time.Second {
			ids, creates, err := s.create(secret, 3600, pause, until(time.Now().Add(3*time.Second)))
			if err != nil {
				return err
			}
			takes, err := s.take(secret, ids, pause)
			if err != nil {
				return err
			}
			for _, l := range []load{creates, takes} {
				b.results.add("create and take while many expire", "p50 ms", p.name, micros(l.percentile(50))/1000)
				b.results.add("create and take while many expire", "p99 ms", p.name, micros(l.percentile(99))/1000)
			}
		}
	}
	return nil
}
