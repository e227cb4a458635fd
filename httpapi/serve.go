package httpapi

import (
	"context"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	readHeaderTimeout = 5 * time.Second
	idleTimeout       = 60 * time.Second
	maxHeaderBytes    = 16 << 10
	// DrainTime is how long a stop waits for what is under way.
	DrainTime = 30 * time.Second
	// undoTime bounds an undoing that goes on without its caller.
	undoTime = 10 * time.Second
)

// Serve answers requests from a listener until ctx is done. Then it takes nothing new, lets what is under way finish
// within 30 s, and returns nil; an error if that was not enough or the listener failed.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: readHeaderTimeout,
		WriteTimeout:      silenceTime, // a new one for each request; transfers set their own
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          stdlog.New(errorLog{s}, "", 0),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, conn)
		},
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(limitListener(listener)) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	s.draining.Store(true)
	s.log.Info().Msg("stopping: what is under way may finish")
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), DrainTime)
	defer cancel()
	if err := server.Shutdown(drain); err != nil {
		return errors.Join(fmt.Errorf("stopping: %w", err), server.Close())
	}
	return nil
}

// connKey is the context's key of a request's connection.
type connKey struct{}

// sentBytes returns a function that tells how many bytes the request's connection has taken so far. Where that cannot
// be known, it counts on with each call, so that a byte always seems to have left.
func sentBytes(r *http.Request) func() int64 {
	if conn, ok := r.Context().Value(connKey{}).(*countedConn); ok {
		return conn.sent.Load
	}
	var calls int64
	return func() int64 { calls++; return calls }
}

// countedConn counts the bytes that its connection has taken.
type countedConn struct {
	net.Conn
	sent   atomic.Int64
	closed func()
	once   atomic.Bool
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

func (c *countedConn) Close() error {
	if c.once.CompareAndSwap(false, true) {
		c.closed()
	}
	return c.Conn.Close()
}

// detached is a context for what must be done although the caller is gone.
func detached(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), undoTime)
}

// errorLog takes what net/http has to say: that a connection failed. Its text can quote the caller, so only the number
// of such lines is of use, at the lowest level.
type errorLog struct{ s *Server }

func (l errorLog) Write(p []byte) (int, error) {
	l.s.log.Debug().Msg("a connection failed")
	return len(p), nil
}
