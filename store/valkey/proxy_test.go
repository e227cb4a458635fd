//go:build unix

package valkey_test

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between a store and Valkey, and loses replies: Valkey executes the command, and then the connection
// breaks.
type proxy struct {
	listener net.Listener
	server   string

	mu    sync.Mutex
	lose  []byte // what a command has in it whose reply is to be lost
	times int    // how often
	lost  atomic.Int64

	open sync.Map // connections
}

func startProxy(t *testing.T, server string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: listener, server: server}
	t.Cleanup(func() {
		_ = listener.Close()
		p.open.Range(func(connection, _ any) bool { return connection.(net.Conn).Close() == nil || true })
	})
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go p.serve(client)
		}
	}()
	return p
}

func (p *proxy) dsn() string { return "redis://" + p.listener.Addr().String() }

// loseReplies makes the proxy lose the replies to the next commands that have text in them.
func (p *proxy) loseReplies(text string, times int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lose, p.times = []byte(text), times
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	p.open.Store(client, nil)
	p.open.Store(server, nil)
	defer p.open.Delete(client)
	defer p.open.Delete(server)
	var losing atomic.Bool
	go func() { // commands
		defer client.Close()
		defer server.Close()
		buffer := make([]byte, 1<<20)
		for {
			n, err := client.Read(buffer)
			if p.toLose(buffer[:n]) {
				losing.Store(true)
			}
			if _, err2 := server.Write(buffer[:n]); err != nil || err2 != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 1<<20)
	for { // replies
		n, err := server.Read(buffer)
		if losing.Load() {
			p.lost.Add(1)
			return
		}
		if _, err2 := client.Write(buffer[:n]); err != nil || err2 != nil {
			return
		}
	}
}

func (p *proxy) toLose(commands []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.times == 0 || !bytes.Contains(commands, p.lose) {
		return false
	}
	p.times--
	return true
}
