package httpapi

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"hakanai/store"
)

// caller is who a request comes from, as far as the network tells. What cannot be told is the zero value, which no
// restriction allows and no range holds.
type caller struct {
	address netip.Addr // IPv4 or IPv6, never an IPv4 address in IPv6, no zone
	direct  bool       // a trusted proxy that names no client: it may be one itself, or have forgotten to
	country string     // ISO 3166-1 alpha-2
	asn     uint32
	hasASN  bool
	trusted bool // from a trusted range
}

// DefaultTrustedProxies are loopback and the private ranges (RFC 1918, RFC 4193, and link-local): where a proxy before
// this server usually is.
func DefaultTrustedProxies() []netip.Prefix {
	var ranges []netip.Prefix
	for _, text := range []string{
		"127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "169.254.0.0/16", "fe80::/10",
	} {
		ranges = append(ranges, netip.MustParsePrefix(text))
	}
	return ranges
}

// caller finds out who a request comes from. Headers count only when a trusted proxy sent them: anybody else is who
// their connection says, and nowhere in particular.
func (s *Server) caller(r *http.Request) (c caller) {
	peer, ok := peer(r)
	if !ok {
		return caller{}
	}
	c.address = peer
	if contains(s.trustedProxies, c.address) {
		if lines := r.Header.Values(s.addressHeader); len(lines) > 0 {
			c.address = s.forwardedFor(lines)
		} else {
			c.direct = true
		}
		c.country = readCountry(single(r.Header, s.countryHeader))
		c.asn, c.hasASN = readASN(single(r.Header, s.asnHeader))
	}
	c.trusted = c.in(s.trustedRanges)
	return c
}

// peer is the other end of a request's connection.
func peer(r *http.Request) (address netip.Addr, ok bool) {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return plain(peer.Addr()), err == nil
}

// fromProxy tells whether a trusted proxy sent the request.
func (s *Server) fromProxy(r *http.Request) bool {
	address, ok := peer(r)
	return ok && contains(s.trustedProxies, address)
}

// in tells whether the caller is in one of the ranges. A trusted proxy that names no client is a client on this machine
// or on the private network — or it is a proxy that leaves the header out, and then anybody may stand behind it: so it
// is in the ranges that mean it alone, those of this machine and its very address, and in no wider one.
func (c caller) in(ranges []netip.Prefix) bool {
	return slices.ContainsFunc(ranges, func(p netip.Prefix) bool {
		return p.Contains(c.address) && (!c.direct || p.IsSingleIP() || p.Addr().IsLoopback())
	})
}

// forwardedFor finds the client's address in the lines of a header that a trusted proxy sent: the right-most one that is
// not a trusted proxy's own. A client can write anything to the left of it, and it is not looked at. With something in
// it that is no address, nobody knows.
func (s *Server) forwardedFor(lines []string) netip.Addr {
	entries := strings.Split(strings.Join(lines, ","), ",")
	var address netip.Addr
	for _, entry := range slices.Backward(entries) {
		if address = readAddress(strings.Trim(entry, " \t")); !address.IsValid() || !contains(s.trustedProxies, address) {
			return address
		}
	}
	return address // all are proxies: the client is the first of them
}

// readAddress reads one entry: an IPv4 or IPv6 address, with a port or without, IPv6 in brackets or bare.
func readAddress(text string) netip.Addr {
	const longest = len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%") + 16 + len("]:65535")
	if len(text) > longest {
		return netip.Addr{}
	}
	if address, err := netip.ParseAddr(text); err == nil {
		return plain(address)
	}
	if address, err := netip.ParseAddrPort(text); err == nil {
		return plain(address.Addr())
	}
	if inner, ok := strings.CutPrefix(text, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if address, err := netip.ParseAddr(inner); ok && err == nil && address.Is6() {
			return plain(address)
		}
	}
	return netip.Addr{}
}

// plain makes addresses comparable: one form for one host.
func plain(address netip.Addr) netip.Addr { return address.Unmap().WithZone("") }

func contains(ranges []netip.Prefix, address netip.Addr) bool {
	return slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(address) })
}

// single is the value of a header that is there exactly once: of two, nobody knows which the proxy wrote.
func single(h http.Header, name string) string {
	if name == "" {
		return ""
	}
	if lines := h.Values(name); len(lines) == 1 {
		return strings.Trim(lines[0], " \t")
	}
	return ""
}

func readCountry(text string) string {
	if len(text) != 2 || !isLetter(text[0]) || !isLetter(text[1]) {
		return ""
	}
	return strings.ToUpper(text)
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// readASN reads an autonomous system's number, with or without AS before it.
func readASN(text string) (asn uint32, ok bool) {
	if len(text) > 2 && strings.EqualFold(text[:2], "AS") {
		text = text[2:]
	}
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err == nil
}

// origin is what guesses are counted by. A caller whose address cannot be told has the zero value.
func (c caller) origin() store.Origin {
	wide := 32
	if c.address.Is4() {
		wide = 16
	}
	return store.Origin{Near: nearNetwork(c.address), Wide: network(c.address, wide)}
}

// nearNetwork is a /24 of IPv4 or a /56 of IPv6, which one client easily has all of.
func nearNetwork(address netip.Addr) netip.Prefix {
	if address.Is4() {
		return network(address, 24)
	}
	return network(address, 56)
}

func network(address netip.Addr, bits int) netip.Prefix {
	network, err := address.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // there is no address
	}
	return network
}
