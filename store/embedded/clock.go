package embedded

import (
	"sync"
	"time"
)

const (
	// largestStep is the most by which the wall clock may run ahead of elapsed time and still be believed at once.
	largestStep = 5 * time.Second
	// secondSighting is how long a larger jump must last before anything is deleted because of it.
	secondSighting = time.Minute
)

// clock is the store's own time, in milliseconds since 1970. It never goes backwards over a restart (the index keeps
// the highest time seen), and within a process it follows the monotonic clock when the wall clock is set back: no
// deadline is ever prolonged.
//
// When the wall clock jumps ahead (a machine that slept, or a clock set wrong), what has expired by it is not served.
// But it is not deleted either, and nothing new is accepted, until the jump has lasted for secondSighting; if the clock
// is put right before, it is as if nothing had been.
type clock struct {
	wall    func() time.Time
	elapsed func() time.Duration // monotonic, since the clock was made

	mu    sync.Mutex
	base  int64         // the time when elapsed was at
	at    time.Duration // see base
	since time.Duration // elapsed when a jump was first seen
	jump  bool          // the wall clock is ahead by more than largestStep
}

// newClock starts from the wall clock, or from the highest time an earlier process saw, whichever is later.
func newClock(wall func() time.Time, seen int64) *clock {
	if wall == nil {
		wall = time.Now
	}
	start := time.Now()
	return &clock{
		wall:    wall,
		elapsed: func() time.Duration { return time.Since(start) },
		base:    max(wall().UnixMilli(), seen),
	}
}

// now is the time by which secrets are served: the later of the wall clock and the time that has certainly passed.
func (c *clock) now() int64 {
	certain, wall := c.observe()
	return max(certain, wall)
}

// certain is the time by which secrets are deleted: a jump of the wall clock counts only once it has lasted.
func (c *clock) certain() int64 {
	certain, _ := c.observe()
	return certain
}

// jumped tells whether now and certain differ.
func (c *clock) jumped() bool {
	certain, wall := c.observe()
	return wall > certain
}

// observe reads both clocks and takes over from the wall clock what can be believed.
func (c *clock) observe() (certain, wall int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	elapsed := c.elapsed()
	certain = c.base + (elapsed - c.at).Milliseconds()
	wall = c.wall().UnixMilli()
	ahead := time.Duration(wall-certain) * time.Millisecond
	if wall-certain > int64(time.Duration(1<<62)/time.Millisecond) {
		ahead = 1 << 62
	}
	switch {
	case ahead <= 0:
		c.jump = false
	case ahead <= largestStep, c.jump && elapsed-c.since >= secondSighting:
		c.jump = false
		c.base, c.at = wall, elapsed
		certain = wall
	case !c.jump:
		c.jump, c.since = true, elapsed
	}
	return certain, wall
}
