package commands

import (
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

const (
	// barAfter is how long a transfer must have taken before anybody wants to know how far it is.
	barAfter = time.Second
	barEvery = 100 * time.Millisecond
	barWidth = 24
)

// bar shows a person how far a transfer is: on a terminal, if it takes long enough. A nil *bar shows nothing.
type bar struct {
	p    *program
	what string

	mu       sync.Mutex
	bar      *progressbar.ProgressBar // nil until the transfer begins
	done     int64
	shown    bool
	over     chan struct{}
	watching sync.WaitGroup
}

func (p *program) newBar(what string) *bar {
	if !p.errTerminal || p.quiet {
		return nil
	}
	return &bar{p: p, what: what, over: make(chan struct{})}
}

// move is told how many bytes have moved, of how many; total is -1 if nobody knows. The first time, it starts the clock.
func (b *bar) move(done, total int64) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done = done; b.bar == nil {
		b.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(b.p.err), progressbar.OptionSetDescription(b.what), progressbar.OptionShowBytes(true),
			progressbar.OptionShowCount(), progressbar.OptionUseIECUnits(true), progressbar.OptionSetWidth(barWidth),
			progressbar.OptionClearOnFinish())
		b.bar.StartWithoutRender()
		b.watching.Go(b.watch)
	}
}

// watch draws the bar now and then, whether anything moves or not.
func (b *bar) watch() {
	next := time.NewTimer(barAfter)
	defer next.Stop()
	for {
		select {
		case <-b.over:
			return
		case <-next.C:
			b.draw()
			next.Reset(barEvery)
		}
	}
}

func (b *bar) draw() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shown = true
	_ = b.bar.Set64(b.done) // that it could not be shown is no trouble
}

// wipe takes the bar away until it is drawn again.
func (b *bar) wipe() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shown {
		_ = b.bar.Clear() // as above
	}
}

// end takes the bar away.
func (b *bar) end() {
	if b == nil {
		return
	}
	close(b.over)
	b.watching.Wait()
	b.wipe()
}
