package webhook

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Errors of ParseURL. None of them quotes the URL, which may hold a secret.
var (
	errURL      = errors.New("must look like https://hooks.example.com/path")
	errUser     = errors.New("must not have a user in it: use the webhook's token")
	errFragment = errors.New("must not have a fragment")
	errNumber   = errors.New("must not have a number for its host")
)

// ErrInside is the error of a URL whose host is plainly inside, where that is not allowed.
var ErrInside = errInside

// ParseURL checks a URL of a receiver. What its host's name stands for is seen only when it is connected to.
func ParseURL(text string, allowPrivate bool) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, errURL
	}
	switch {
	case u.User != nil:
		return nil, errUser
	case u.Fragment != "" || strings.Contains(text, "#"):
		return nil, errFragment
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || port == 0) {
		return nil, errURL
	}
	host := strings.ToLower(u.Hostname())
	address, err := netip.ParseAddr(host)
	switch {
	case err != nil && isNumber(host):
		return nil, errNumber
	case allowPrivate:
	case err == nil && isInside(address), host == "localhost", strings.HasSuffix(strings.TrimSuffix(host, "."), ".localhost"),
		host == "localhost.":
		return nil, errInside
	}
	return u, nil
}

// isNumber tells whether a host is one of the ways to write an IPv4 address that not everybody understands: 2130706433,
// 0x7f.1, 127.1 (what browsers take for an address ends in a number).
func isNumber(host string) bool {
	host = strings.TrimSuffix(host, ".")
	last := host[strings.LastIndexByte(host, '.')+1:]
	if digits, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(digits, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}

// isInside tells whether an address is of the inside: of this machine, its network, or its provider's; or one that
// reaches such an address by another form of it.
func isInside(address netip.Addr) bool {
	if address.Zone() != "" || address.Is4In6() {
		return true
	}
	if address.Is4() {
		return inAny(address, "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
			"192.0.0.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3")
	}
	if inAny(address, "64:ff9b::/96") { // NAT64: the last 32 bits are an IPv4 address
		bytes := address.As16()
		return isInside(netip.AddrFrom4([4]byte(bytes[12:])))
	}
	return !inAny(address, "2000::/3") || inAny(address, "2001::/23", "2001:db8::/32", "2002::/16")
}

func inAny(address netip.Addr, ranges ...string) bool {
	for _, text := range ranges {
		if netip.MustParsePrefix(text).Contains(address) {
			return true
		}
	}
	return false
}
