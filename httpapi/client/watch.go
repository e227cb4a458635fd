package client

import (
	"context"
	"errors"
	"io"
	"time"
)

// ErrSilence says that nothing moved for Options.SilenceTimeout.
var ErrSilence = errors.New("the server has fallen silent")

// watch ends a request when nothing has moved for a while: not a byte of its body, not a byte of the answer.
type watch struct {
	ctx     context.Context // the request's
	cancel  context.CancelCauseFunc
	timer   *time.Timer
	silence time.Duration
}

func newWatch(ctx context.Context, silence time.Duration) *watch {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(silence, func() { cancel(ErrSilence) })
	return &watch{ctx: ctx, cancel: cancel, timer: timer, silence: silence}
}

// end gives the watch's timer back.
func (w *watch) end() {
	w.timer.Stop()
	w.cancel(context.Canceled)
}

// watchBody counts every byte that is read as a sign of life.
func (w *watch) watchBody(body io.ReadCloser) io.ReadCloser {
	return &watchedBody{ReadCloser: body, watch: w}
}

type watchedBody struct {
	io.ReadCloser
	watch *watch
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 && b.watch.ctx.Err() == nil {
		b.watch.timer.Reset(b.watch.silence)
	}
	return n, err
}

// measured tells how much of a body has been read.
type measured struct {
	io.ReadCloser
	done, total int64 // bytes; total is -1 if nobody knows
	progress    func(done, total int64)
}

func (m *measured) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.done += int64(n)
	m.progress(m.done, m.total)
	return n, err
}
