package commands

import (
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

const (
	// barAfter is how long a transfer must have taken before anybody wants to know how far it is.
	barAfter = 500 * time.Millisecond
	barEvery = 100 * time.Millisecond
	barWidth = 24
)

// bar shows a person how far a transfer is: on a terminal, if it takes long enough. A nil *bar shows nothing.
type bar struct {
	p    *program
	what string

	mu    sync.Mutex
	began time.Time
	bar   *progressbar.ProgressBar
	over  bool
}

func (p *program) newBar(what string) *bar {
	if !p.errTerminal || p.quiet {
		return nil
	}
	return &bar{p: p, what: what}
}

// show is told how many bytes have moved, of how many; total is -1 if nobody knows.
func (b *bar) show(done, total int64) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.over:
		return
	case b.began.IsZero():
		b.began = time.Now()
	case b.bar == nil && time.Since(b.began) > barAfter && done != total:
		b.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(b.p.err), progressbar.OptionSetDescription(b.what), progressbar.OptionShowBytes(true),
			progressbar.OptionShowCount(), progressbar.OptionUseIECUnits(true), progressbar.OptionSetWidth(barWidth),
			progressbar.OptionThrottle(barEvery), progressbar.OptionClearOnFinish())
	}
	if b.bar != nil {
		_ = b.bar.Set64(done) // that it could not be shown is no trouble
	}
}

// end takes the bar away.
func (b *bar) end() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over = true; b.bar != nil {
		_ = b.bar.Clear() // as above
	}
}
