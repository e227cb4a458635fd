package httpapi

import (
	"net"
	"net/netip"
	"sync"
)

const (
	// maxConns bounds all connections. Each holds a goroutine and about 10 KiB while nothing is on its way.
	maxConns = 10_000
	// maxConnsPerNetwork bounds those of one public network: a /24 of IPv4, a /56 of IPv6. Loopback and private
	// addresses are spared, since a proxy brings everybody from there.
	maxConnsPerNetwork = 512
)

// limitListener closes connections at once that are over a limit. An accept never waits for one to end, so whoever
// holds many connections does not hold up the others.
func limitListener(listener net.Listener) net.Listener {
	return &limitedListener{Listener: listener, perNetwork: make(map[netip.Prefix]int)}
}

type limitedListener struct {
	net.Listener
	mu         sync.Mutex
	all        int
	perNetwork map[netip.Prefix]int // none of 0
}

func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		network := networkOf(conn.RemoteAddr())
		if !l.enter(network) {
			_ = conn.Close() // refused: there is nothing to lose
			continue
		}
		return &countedConn{Conn: conn, closed: func() { l.leave(network) }}, nil
	}
}

func (l *limitedListener) enter(network netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= maxConns || network.IsValid() && l.perNetwork[network] >= maxConnsPerNetwork {
		return false
	}
	l.all++
	if network.IsValid() {
		l.perNetwork[network]++
	}
	return true
}

func (l *limitedListener) leave(network netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if !network.IsValid() {
		return
	}
	if l.perNetwork[network]--; l.perNetwork[network] == 0 {
		delete(l.perNetwork, network)
	}
}

// networkOf is the public network that an address belongs to, or none.
func networkOf(addr net.Addr) netip.Prefix {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := plain(tcp.AddrPort().Addr())
	if ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() {
		return netip.Prefix{}
	}
	return nearNetwork(ip)
}
