package webhook

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"

	"hakanai/httpapi/api"
	"hakanai/store/storetest"
)

func TestAddressesOfTheInside(t *testing.T) {
	inside := []string{
		"127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
		"100.64.0.1", "100.127.255.255", "192.0.0.1", "198.18.0.1", "198.19.255.255", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0", "fec0::1",
		"ff02::1", "ff0e::1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "2001:10::1", "2001:db8::1",
		"100::1", "4000::1",
	}
	outside := []string{
		"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "172.15.255.255", "172.32.0.1", "192.167.255.255",
		"192.169.0.1", "198.17.255.255", "198.20.0.1", "223.255.255.255", "2001:4860:4860::8888", "2606:4700::1111", "2a00::1", "64:ff9b::8.8.8.8",
	}
	for want, texts := range map[bool][]string{true: inside, false: outside} {
		for _, text := range texts {
			if got := isInside(netip.MustParseAddr(text)); got != want {
				t.Errorf("%s: inside is %t", text, got)
			}
		}
	}
}

func TestURLsThatAreNone(t *testing.T) {
	for _, text := range []string{
		"", "example.com", "//example.com", "ftp://example.com", "file:///etc/passwd", "unix:///run/x", "https://", "https:///x", "https://:443/x",
		"https://example.com:0/", "https://example.com:70000/", "https://example.com:x/", "https://a b/", "javascript:alert(1)", "https:example.com",
		"https://user@example.com/", "https://user:hunter2@example.com/", "https://example.com/#x", "https://example.com/#",
		"http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://127.1/", "http://017700000001/", "http://0177.0.0.1/",
		"http://127.0.0.1./", "http://1.2.3/", "http://[::1", "http://x/%zz", "http://hunter2\x7f/",
	} {
		for _, allow := range []bool{false, true} {
			if _, err := ParseURL(text, allow); err == nil || errors.Is(err, ErrInside) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%q: %v", text, err)
			}
		}
	}
}

func TestURLsOfTheInsideNeedToBeAllowed(t *testing.T) {
	for _, text := range []string{
		"http://127.0.0.1/", "https://127.0.0.1:8443/x", "http://localhost/", "http://LOCALHOST:80/", "http://localhost./", "http://a.localhost/",
		"http://a.localhost./", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://169.254.169.254/latest",
		"http://10.1.2.3/", "http://[fe80::1%25eth0]/", "http://0.0.0.0/", "http://100.64.0.1/", "http://[64:ff9b::a00:1]/",
	} {
		if _, err := ParseURL(text, false); !errors.Is(err, ErrInside) {
			t.Errorf("%s: %v", text, err)
		}
		if _, err := ParseURL(text, true); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"https://hooks.example.com/a/b?c=d", "http://example.com:8080", "https://8.8.8.8/", "https://[2606:4700::1111]:8443/"} {
		if _, err := ParseURL(text, false); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// namesOf is a resolver that knows what addresses says. nil knows nothing.
func namesOf(t *testing.T, addresses func(name string) []string) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			for answerName(server, addresses) == nil {
			}
		}()
		t.Cleanup(func() { client.Close() })
		return client, nil
	}}
}

// answerName answers one question of DNS over a stream (RFC 1035, section 4).
func answerName(conn net.Conn, addresses func(name string) []string) error {
	var length uint16
	if err := binary.Read(conn, binary.BigEndian, &length); err != nil {
		return err
	}
	query := make([]byte, length)
	if _, err := io.ReadFull(conn, query); err != nil {
		return err
	}
	var labels []string
	end := 12
	for query[end] != 0 {
		next := end + 1 + int(query[end])
		labels = append(labels, string(query[end+1:next]))
		end = next
	}
	question := query[12 : end+5]
	reply := append(query[:2:2], 0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0) // no such name
	reply = append(reply, question...)
	if addresses != nil {
		reply[3] = 0x80
	}
	if askedForIPv4 := question[len(question)-3] == 1; askedForIPv4 && addresses != nil {
		for _, text := range addresses(strings.Join(labels, ".")) {
			reply[7]++
			reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
			reply = append(reply, netip.MustParseAddr(text).AsSlice()...)
		}
	}
	_, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(reply))), reply...))
	return err
}

func TestANameOfTheInsideIsNotConnectedTo(t *testing.T) {
	r := newReceiver(t, nil)
	u, _ := url.Parse(r.URL)
	s, c := newTestSender(t, Options{URL: "http://receiver.test:" + u.Port()})
	s.resolver = namesOf(t, func(string) []string { return []string{"127.0.0.1"} })
	deliver(t, s, anEvent)
	if len(r.all()) != 0 || c.count(Failed) != 1 || !errors.Is(c.changes[0], errInside) {
		t.Errorf("%d tries, %v, %v", len(r.all()), c.results, c.changes)
	}

	allowed, c := newTestSender(t, Options{URL: "http://receiver.test:" + u.Port(), AllowPrivate: true})
	allowed.resolver = s.resolver
	deliver(t, allowed, anEvent)
	if len(r.all()) != 1 || c.count(Delivered) != 1 {
		t.Errorf("where it is allowed: %d tries, %v", len(r.all()), c.results)
	}
}

// A name that is outside the first time and inside the second: 127.0.0.2 stands for the outside here.
func TestANameThatMovesInsideIsNotConnectedTo(t *testing.T) {
	r := newReceiver(t, nil)
	r.Config.SetKeepAlivesEnabled(false)
	u, _ := url.Parse(r.URL)
	var mu sync.Mutex
	answer := "127.0.0.2"
	outside, err := net.Listen("tcp", "127.0.0.2:"+u.Port())
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = r.Config.Serve(outside) }()
	s, c := newTestSender(t, Options{URL: "http://receiver.test:" + u.Port()})
	s.inside = func(address netip.Addr) bool { return address.String() == "127.0.0.1" }
	s.resolver = namesOf(t, func(string) []string {
		mu.Lock()
		defer mu.Unlock()
		defer func() { answer = "127.0.0.1" }()
		return []string{answer}
	})
	s.start()
	s.Send(api.Event{Action: api.Created, SecretID: "1"})
	storetest.Eventually(t, "the first is told", s.isIdle)
	s.Send(api.Event{Action: api.Created, SecretID: "2"})
	end(t, s)
	if got := r.all(); len(got) != 1 || got[0].hook.SecretID != "1" || c.count(Delivered) != 1 || c.count(Failed) != 1 {
		t.Errorf("%d tries, %v", len(got), c.results)
	}
}

// A name with several addresses is connected to at those that are outside alone: 127.0.0.1 stands for them here.
func TestOfSeveralAddressesThoseOutsideAreUsed(t *testing.T) {
	r := newReceiver(t, nil)
	u, _ := url.Parse(r.URL)
	s, c := newTestSender(t, Options{URL: "http://receiver.test:" + u.Port()})
	s.inside = func(address netip.Addr) bool { return address.String() != "127.0.0.1" }
	s.resolver = namesOf(t, func(string) []string { return []string{"10.0.0.1", "169.254.169.254", "127.0.0.1"} })
	deliver(t, s, anEvent)
	if len(r.all()) != 1 || c.count(Delivered) != 1 {
		t.Errorf("%d tries, %v", len(r.all()), c.results)
	}
}

// The environment's proxy would make the connection for us, past the check of the address.
func TestTheEnvironmentsProxyIsNotUsed(t *testing.T) {
	proxy := newReceiver(t, nil)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	s, c := newTestSender(t, Options{URL: "http://receiver.test"})
	s.resolver = namesOf(t, nil)
	deliver(t, s, anEvent)
	if len(proxy.all()) != 0 || c.count(Failed) != 1 {
		t.Errorf("%d tries at the proxy, %v", len(proxy.all()), c.results)
	}
}
