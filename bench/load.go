//go:build linux

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"hakanai/httpapi/api"
)

// clients is how many connections there are, each with one request at a time.
const clients = 32

// conn is one client: a connection that is kept alive, and no more of HTTP than the servers here speak. It is lean, so that
// rates are not the client's own too early.
type conn struct {
	net.Conn
	reader *bufio.Reader
	body   []byte
}

func dial(address string) (*conn, error) {
	c, err := net.Dial("tcp", address) //nolint:noctx // on this machine
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, reader: bufio.NewReaderSize(c, 16<<10)}, nil
}

// do sends a request, and returns what is answered; the body is good until the next request.
func (c *conn) do(request []byte) (status int, body []byte, err error) {
	if _, err := c.Write(request); err != nil {
		return 0, nil, err
	}
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return 0, nil, err
	}
	if len(line) < len("HTTP/1.1 200") {
		return 0, nil, errors.New("the answer is no HTTP")
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, nil, err
	}
	length := 0
	for {
		if line, err = c.reader.ReadSlice('\n'); err != nil {
			return 0, nil, err
		}
		if len(line) <= 2 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return 0, nil, err
			}
		}
	}
	c.body = slices.Grow(c.body[:0], length)[:length]
	_, err = io.ReadFull(c.reader, c.body)
	return status, c.body, err
}

// secret is what all creates of a size send, and all takes must bring back.
type secret struct {
	name string // of the size
	size int
	text []byte // the ciphertext in base64
}

func newSecret(size int) secret {
	ciphertext, random := make([]byte, size), rand.NewChaCha8([32]byte{})
	_, _ = random.Read(ciphertext) // never fails
	name := fmt.Sprintf("%d KiB", size>>10)
	if size >= 1<<20 {
		name = fmt.Sprintf("%d MiB", size>>20)
	}
	return secret{name, size, []byte(base64.StdEncoding.EncodeToString(ciphertext))}
}

// createRequest is what a client with a token sends.
func (s *server) createRequest(text []byte, seconds int) []byte {
	request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %scli\r\nContent-Length: %d\r\n"+
		"Accept: application/json\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n\r\n",
		api.SecretPath, s.address, api.UserAgentPrefix, len(`{"data":"","expires_in":}`)+len(text)+len(strconv.Itoa(seconds)), s.token)
	return fmt.Appendf(append(append(request, `{"data":"`...), text...), `","expires_in":%d}`, seconds)
}

// takeRequest is what a client without a claim sends: those of the published generation, and curl.
func (s *server) takeRequest(id []byte) []byte {
	return fmt.Appendf(nil, "GET %s/%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %scli\r\n\r\n", api.SecretPath, id, s.address, api.UserAgentPrefix)
}

// leasedRequests are what hakanai get sends: a claim that it may repeat, and the word that it has everything.
func (s *server) leasedRequests(id []byte) (take, end []byte) {
	var value [32]byte
	copy(value[:], id)
	request := func(method string) []byte {
		return fmt.Appendf(nil, "%s %s/%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: %scli\r\n%s: %s\r\n\r\n", method, api.SecretPath, id,
			s.address, api.UserAgentPrefix, api.ClaimHeader, base64.RawURLEncoding.EncodeToString(value[:]))
	}
	return request("GET"), request("DELETE")
}

// load is what a run of operations came to.
type load struct {
	operations int
	took       time.Duration
	latencies  []time.Duration // in order
}

func (l load) rate() float64 { return float64(l.operations) / l.took.Seconds() }

func (l load) percentile(p int) time.Duration { return l.latencies[(len(l.latencies)-1)*p/100] }

// run has every client make operations until there are no more, and returns the first error. Operation i is made by one of
// them; more tells whether there is one. Between the beginnings of two operations of a client there is at least the pause.
func run(address string, pause time.Duration, more func(i int) bool, operate func(c *conn, i int) error) (l load, err error) {
	var next atomic.Int64
	var mutex sync.Mutex
	var all sync.WaitGroup
	work := func(offset time.Duration) error {
		c, err := dial(address)
		if err != nil {
			return err
		}
		defer c.Close() //nolint:errcheck // all was answered
		var latencies []time.Duration
		for begin := time.Now().Add(offset); ; begin = begin.Add(pause) {
			if pause > 0 {
				time.Sleep(time.Until(begin))
			}
			i := int(next.Add(1)) - 1
			if !more(i) {
				break
			}
			start := time.Now()
			if err := operate(c, i); err != nil {
				return err
			}
			latencies = append(latencies, time.Since(start))
		}
		mutex.Lock()
		defer mutex.Unlock()
		l.latencies = append(l.latencies, latencies...)
		return nil
	}
	start := time.Now()
	for i := range clients {
		all.Go(func() {
			if workErr := work(pause * time.Duration(i) / clients); workErr != nil {
				mutex.Lock()
				defer mutex.Unlock()
				err = cmp.Or(err, workErr) // one tells what the others do
			}
		})
	}
	all.Wait()
	l.took, l.operations = time.Since(start), len(l.latencies)
	slices.Sort(l.latencies)
	if err == nil && l.operations == 0 {
		err = errors.New("there was no operation")
	}
	return l, err
}

func until(end time.Time) func(int) bool { return func(int) bool { return time.Now().Before(end) } }

func upTo(n int) func(int) bool { return func(i int) bool { return i < n } }

// create creates secrets as long as there are more, and returns their ids.
func (s *server) create(secret secret, seconds int, pause time.Duration, more func(int) bool) (ids [][]byte, l load, err error) {
	request := s.createRequest(secret.text, seconds)
	var mutex sync.Mutex
	l, err = run(s.address, pause, more, func(c *conn, _ int) error {
		status, body, err := c.do(request)
		if err != nil || status != 200 || len(body) < len(created) {
			return fmt.Errorf("%s: a create is answered %d %q (%w)", s.name, status, body, err)
		}
		id := bytes.Clone(body[len(`{"id":"`) : len(created)-len(`"}`)])
		if s.name == "floor" { // which keeps nothing, and answers as many bytes as it is asked for
			id = fmt.Appendf(nil, "%d", len(secret.text))
		}
		mutex.Lock()
		defer mutex.Unlock()
		ids = append(ids, id)
		return nil
	})
	return ids, l, err
}

// take takes secrets, in one request each.
func (s *server) take(secret secret, ids [][]byte, pause time.Duration) (load, error) {
	requests := make([][]byte, len(ids))
	for i, id := range ids {
		requests[i] = s.takeRequest(id)
	}
	return run(s.address, pause, upTo(len(ids)), func(c *conn, i int) error { return s.checkTake(c, requests[i], secret) })
}

// takeLeased takes secrets as hakanai get does.
func (s *server) takeLeased(secret secret, ids [][]byte) (load, error) {
	type pair struct{ take, end []byte }
	requests := make([]pair, len(ids))
	for i, id := range ids {
		requests[i].take, requests[i].end = s.leasedRequests(id)
	}
	return run(s.address, 0, upTo(len(ids)), func(c *conn, i int) error {
		if err := s.checkTake(c, requests[i].take, secret); err != nil {
			return err
		}
		if status, body, err := c.do(requests[i].end); err != nil || status != 204 {
			return fmt.Errorf("%s: the end of a lease is answered %d %q (%w)", s.name, status, body, err)
		}
		return nil
	})
}

// askInVain asks for a secret that is not there: what a request costs of which nothing comes. The floor answers as many bytes.
func (s *server) askInVain(more func(int) bool) (load, error) {
	id, want := uuid.Nil.String(), 404
	if s.name == "floor" {
		id, want = "57", 200
	}
	request := s.takeRequest([]byte(id))
	return run(s.address, 0, more, func(c *conn, _ int) error {
		if status, body, err := c.do(request); err != nil || status != want {
			return fmt.Errorf("%s: to ask in vain is answered %d %q (%w)", s.name, status, body, err)
		}
		return nil
	})
}

func (s *server) checkTake(c *conn, request []byte, secret secret) error {
	status, body, err := c.do(request)
	if err != nil || status != 200 || len(body) < len(secret.text) || s.honest && !bytes.Equal(body, secret.text) {
		return fmt.Errorf("%s: a take of %d bytes is answered %d, %d bytes (%w)", s.name, len(secret.text), status, len(body), err)
	}
	return nil
}
