package valkey

import (
	"context"
	"crypto/tls"
	"net"
	"unsafe"
)

// connection is one to a server. It takes strings as they are: else the client's writer copies a piece of ciphertext into its
// buffer, part by part.
type connection struct{ net.Conn }

func (c connection) WriteString(s string) (int, error) {
	return c.Write(unsafe.Slice(unsafe.StringData(s), len(s))) //nolint:gosec // who writes does not change what is written
}

// dial connects to a server, or to its socket.
func (d *DSN) dial(ctx context.Context, address string, dialer *net.Dialer, config *tls.Config) (net.Conn, error) {
	if p, ok := ctx.(patient); ok {
		ctx = p.Context // a handshake ends with its context, and knows no deadline
	}
	connect, network := dialer.DialContext, "tcp"
	if d.unix {
		network = "unix"
	} else if config != nil {
		connect = (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext
	}
	c, err := connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return connection{c}, nil
}

// patient has a deadline, which is the connection's, and does not end: valkey-go does not give a connection back that it has
// taken for a stream when the context has ended meanwhile.
type patient struct{ context.Context }

func (patient) Done() <-chan struct{} { return nil }

func (patient) Err() error { return nil }
