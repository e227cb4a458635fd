package httpapi

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestCallersAreToldApart(t *testing.T) {
	s := New(Options{
		TrustedProxies: append(DefaultTrustedProxies(), netip.MustParsePrefix("203.0.113.7/32")),
		TrustedRanges: []netip.Prefix{
			netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8:aa::/48"),
			netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.0.0.9/32"), netip.MustParsePrefix("127.0.0.0/8"),
		},
		CountryHeader: "Cf-Ipcountry", ASNHeader: "X-Asn",
		Store: nobody{},
	})
	const proxy, stranger = "10.0.0.1:1000", "192.0.2.9:1000"
	type headers = http.Header
	forwarded := func(lines ...string) headers { return headers{"X-Forwarded-For": lines} }
	for _, c := range []struct {
		name    string
		peer    string
		headers headers
		want    string // address, country, ASN, trusted
	}{
		{"direct, IPv4", stranger, nil, "192.0.2.9"},
		{"direct, IPv6", "[2001:db8::1]:1000", nil, "2001:db8::1"},
		{"direct, IPv4 in IPv6", "[::ffff:192.0.2.9]:1000", nil, "192.0.2.9"},
		{"direct, with a zone", "[2001:db8::1%eth0]:1000", nil, "2001:db8::1"},
		{"direct, trusted range", "198.51.100.3:1", nil, "198.51.100.3 trusted"},
		{"direct, trusted range in IPv6", "[2001:db8:aa::1]:1", nil, "2001:db8:aa::1 trusted"},
		{"direct, trusted range mapped", "[::ffff:198.51.100.3]:1", nil, "198.51.100.3 trusted"},
		{"direct, claims another address", stranger, forwarded("198.51.100.3"), "192.0.2.9"},
		{"direct, claims it in other headers", stranger, headers{
			"X-Real-Ip": {"198.51.100.3"}, "Forwarded": {"for=198.51.100.3"}, "True-Client-Ip": {"198.51.100.3"},
			"Cf-Connecting-Ip": {"198.51.100.3"}, "X-Client-Ip": {"198.51.100.3"}, "X-Forwarded-For": {"198.51.100.3"},
		}, "192.0.2.9"},
		{"direct, claims a country and a system", stranger, headers{"Cf-Ipcountry": {"DE"}, "X-Asn": {"64500"}}, "192.0.2.9"},
		{"no peer at all", "@", nil, "unknown"},
		{"a peer that is no address", "pipe", forwarded("198.51.100.3"), "unknown"},

		{"proxy without the header is in no wide range", proxy, nil, "10.0.0.1"},
		{"proxy without the header, named by its address", "10.0.0.9:1", nil, "10.0.0.9 trusted"},
		{"proxy without the header, on this machine", "127.0.0.1:1", nil, "127.0.0.1 trusted"},
		{"proxy without the header, on this machine, not listed", "[::1]:1", nil, "::1"},
		{"proxy with an empty header", "127.0.0.1:1", forwarded(""), "unknown"},
		{"proxy, client in the wide range", proxy, forwarded("10.1.1.1"), "10.1.1.1 trusted"},
		{"proxy on loopback", "127.0.0.1:1", forwarded("192.0.2.1"), "192.0.2.1"},
		{"proxy on IPv6 loopback", "[::1]:1", forwarded("192.0.2.1"), "192.0.2.1"},
		{"proxy by its own range", "203.0.113.7:1", forwarded("192.0.2.1"), "192.0.2.1"},
		{"proxy's neighbour is none", "203.0.113.8:1", forwarded("192.0.2.1"), "203.0.113.8"},
		{"proxy in unique local IPv6", "[fd00::1]:1", forwarded("192.0.2.1"), "192.0.2.1"},
		{"proxy mapped", "[::ffff:10.0.0.1]:1", forwarded("192.0.2.1"), "192.0.2.1"},
		{"proxy link-local with a zone", "[fe80::1%eth0]:1", forwarded("192.0.2.1"), "192.0.2.1"},
		{"proxy, trusted client", proxy, forwarded("198.51.100.3"), "198.51.100.3 trusted"},
		{"proxy, IPv6", proxy, forwarded("2001:db8::7"), "2001:db8::7"},
		{"proxy, IPv6 in brackets", proxy, forwarded("[2001:db8::7]"), "2001:db8::7"},
		{"proxy, IPv6 with a port", proxy, forwarded("[2001:db8::7]:443"), "2001:db8::7"},
		{"proxy, IPv6 with a zone", proxy, forwarded("fe80::7%en0"), "fe80::7"},
		{"proxy, IPv4 with a port", proxy, forwarded("192.0.2.1:5555"), "192.0.2.1"},
		{"proxy, IPv4 in IPv6", proxy, forwarded("::ffff:198.51.100.3"), "198.51.100.3 trusted"},
		{"proxy, IPv4 in IPv6 with a port", proxy, forwarded("[::ffff:198.51.100.3]:1"), "198.51.100.3 trusted"},
		{"list: the right-most stranger counts", proxy, forwarded("198.51.100.3, 192.0.2.1"), "192.0.2.1"},
		{"list: proxies on the right are passed over", proxy, forwarded("198.51.100.3,192.0.2.1 , 10.1.1.1,\t127.0.0.1"), "192.0.2.1"},
		{"list: all are proxies", proxy, forwarded("10.2.2.2, 10.1.1.1"), "10.2.2.2 trusted"},
		{"list: garbage to the left does not count", proxy, forwarded("<script>, unknown, 192.0.2.1"), "192.0.2.1"},
		{"list: garbage behind proxies", proxy, forwarded("192.0.2.1, unknown, 10.1.1.1"), "unknown"},
		{"lines: they are one list", proxy, forwarded("198.51.100.3", "192.0.2.1"), "192.0.2.1"},
		{"lines: the last is a proxy", proxy, forwarded("198.51.100.3", "192.0.2.1", "10.1.1.1"), "192.0.2.1"},
		{"garbage: unknown", proxy, forwarded("unknown"), "unknown"},
		{"garbage: nothing", proxy, forwarded(""), "unknown"},
		{"garbage: a comma at the end", proxy, forwarded("192.0.2.1,"), "unknown"},
		{"garbage: obfuscated", proxy, forwarded("_hidden"), "unknown"},
		{"garbage: four numbers too large", proxy, forwarded("300.1.1.1"), "unknown"},
		{"garbage: octal", proxy, forwarded("0192.0.2.1"), "unknown"},
		{"garbage: a range", proxy, forwarded("198.51.100.0/24"), "unknown"},
		{"garbage: a name", proxy, forwarded("localhost"), "unknown"},
		{"garbage: a port too large", proxy, forwarded("192.0.2.1:70000"), "unknown"},
		{"garbage: half a bracket", proxy, forwarded("[2001:db8::7"), "unknown"},
		{"garbage: IPv4 in brackets", proxy, forwarded("[192.0.2.1]"), "unknown"},
		{"garbage: quotation marks", proxy, forwarded(`"192.0.2.1"`), "unknown"},
		{"garbage: 10 kB", proxy, forwarded(strings.Repeat("1", 10_000)), "unknown"},
		{"10 kB of addresses", proxy, forwarded(strings.Repeat("198.51.100.3,", 800) + "192.0.2.1"), "192.0.2.1"},

		{"country", proxy, headers{"Cf-Ipcountry": {"de"}}, "10.0.0.1 DE"},
		{"country with spaces", proxy, headers{"Cf-Ipcountry": {" FR "}}, "10.0.0.1 FR"},
		{"country twice", proxy, headers{"Cf-Ipcountry": {"DE", "FR"}}, "10.0.0.1"},
		{"country that is none", proxy, headers{"Cf-Ipcountry": {"D1"}}, "10.0.0.1"},
		{"country list", proxy, headers{"Cf-Ipcountry": {"DE,FR"}}, "10.0.0.1"},
		{"system", proxy, headers{"X-Asn": {"64500"}}, "10.0.0.1 AS64500"},
		{"system with AS", proxy, headers{"X-Asn": {"AS64500"}}, "10.0.0.1 AS64500"},
		{"system 0", proxy, headers{"X-Asn": {"0"}}, "10.0.0.1 AS0"},
		{"system too large", proxy, headers{"X-Asn": {"4294967296"}}, "10.0.0.1"},
		{"system twice", proxy, headers{"X-Asn": {"1", "2"}}, "10.0.0.1"},
		{"system negative", proxy, headers{"X-Asn": {"-1"}}, "10.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := s.caller(&http.Request{RemoteAddr: c.peer, Header: c.headers})
			text := "unknown"
			if got.address.IsValid() {
				text = got.address.String()
			}
			if got.country != "" {
				text += " " + got.country
			}
			if got.hasASN {
				text += " AS" + asnText(got.asn)
			}
			if got.trusted {
				text += " trusted"
			}
			if text != c.want {
				t.Errorf("the caller is %s, want %s", text, c.want)
			}
		})
	}
}

func FuzzCaller(f *testing.F) {
	s := New(Options{TrustedProxies: DefaultTrustedProxies(), Store: nobody{}, TrustedRanges: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}})
	for _, text := range []string{"192.0.2.1", "[2001:db8::7]:443, 10.0.0.1", "unknown,,", "fe80::1%eth0", "::ffff:1.2.3.4:5"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		direct := s.caller(&http.Request{RemoteAddr: "192.0.2.9:1", Header: http.Header{"X-Forwarded-For": {text}}})
		if direct.address.String() != "192.0.2.9" {
			t.Errorf("with %q a direct client passes for %s", text, direct.address)
		}
		proxied := s.caller(&http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"X-Forwarded-For": {text, "192.0.2.5"}}})
		if proxied.address.String() != "192.0.2.5" {
			t.Errorf("with %q before its address a client passes for %s", text, proxied.address)
		}
		alone := s.caller(&http.Request{RemoteAddr: "10.0.0.1:1", Header: http.Header{"X-Forwarded-For": {text}}})
		if a := alone.address; a.Zone() != "" || a.Is4In6() {
			t.Errorf("%q is read as %s", text, a)
		}
	})
}
