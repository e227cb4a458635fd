package httpapi

import (
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"hakanai/httpapi/api"
	"hakanai/store/storetest"
)

// events are what a server tells of.
type events struct {
	mu  sync.Mutex
	all []string // action and id
}

func (e *events) note(event api.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event.Action+" "+event.SecretID)
}

func (e *events) have() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.all)
}

// want checks what was told. A retrieval is told of when its answer has left, so it is waited for.
func (e *events) want(t *testing.T, want ...string) {
	t.Helper()
	storetest.Eventually(t, "it is told", func() bool { return len(e.have()) >= len(want) })
	if got := e.have(); !slices.Equal(got, want) {
		t.Errorf("it tells of %q, want %q", got, want)
	}
}

// tellingSite is a server that tells events.
func tellingSite(t *testing.T, change ...func(*Server)) (*site, *events) {
	told := &events{}
	return newSite(t, append(change, func(s *Server) { s.notify = told.note })...), told
}

func TestOfAClaimThatIsRepeatedTheFirstIsTold(t *testing.T) {
	s, told := tellingSite(t)
	id, value := s.create(storetest.Bytes(1000)), newValue()
	for range 3 {
		if status, _, _ := s.claim(id, value); status != http.StatusOK {
			t.Fatalf("the claimant gets %d", status)
		}
	}
	s.claim(id, value, "Range", "bytes=10-")
	s.claim(id, newValue())
	s.get(id)
	s.endClaim(id, value)
	s.claim(id, value)
	told.want(t, "Created "+id, "Retrieved "+id)
}

func TestOfManyRacersOneIsTold(t *testing.T) {
	s, told := tellingSite(t)
	id := s.create(storetest.Bytes(1000))
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			if i%2 == 0 {
				s.get(id)
			} else {
				s.claim(id, newValue())
			}
		})
	}
	all.Wait()
	told.want(t, "Created "+id, "Retrieved "+id)
}

func TestAClaimThatIsUndoneIsNotTold(t *testing.T) {
	var holding atomic.Pointer[chan struct{}]
	s, told := tellingSite(t, func(s *Server) { s.store = slowClaims{s.store, &holding} })
	id := s.create(storetest.Bytes(1000))
	hold := make(chan struct{})
	holding.Store(&hold)
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET "+api.SecretPath+"/"+id+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-hold // the claim is made
	holding.Store(nil)
	conn.Close()
	hold <- struct{}{}
	told.want(t, "Created "+id)
	storetest.Eventually(t, "the secret is back", func() bool {
		status, _ := s.get(id)
		return status == http.StatusOK
	})
	told.want(t, "Created "+id, "Retrieved "+id)
}

// A caller who takes their time does not put off what is told of them.
func TestALargeSecretIsToldOfWhenItBeginsToLeave(t *testing.T) {
	s, told := tellingSite(t, func(s *Server) { s.uploadSizeLimit = 32 << 20 })
	id := s.create(storetest.Bytes(16 << 20)) // more than the connection holds
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET "+api.SecretPath+"/"+id+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	storetest.Eventually(t, "it is told", func() bool { return slices.Contains(told.have(), "Retrieved "+id) })
	conn.Close() // and it was never read
	told.want(t, "Created "+id, "Retrieved "+id)
}

func TestWhatComesToNothingIsNotTold(t *testing.T) {
	s, told := tellingSite(t)
	s.post(`{"data":"QUJD","expires_in":0}`)
	s.post(`{"data":"QUJD","expires_in":60,"restrictions":{"allowed_asns":[1]}}`)
	s.do(http.MethodPost, api.SecretPath, strings.NewReader(`{"data":"QUJD","expires_in":60}`))
	s.get("00000000-0000-4000-8000-000000000000")
	s.get("x")
	told.want(t)
	id := s.create([]byte("abc"))
	s.do(http.MethodGet, api.SecretPath+"/"+id, nil, "Range", "bytes=0-1")
	s.do(http.MethodGet, api.SecretPath+"/"+id, nil, "Sec-Fetch-Site", "cross-site")
	s.do(http.MethodHead, api.SecretPath+"/"+id, nil)
	s.do(http.MethodGet, api.LinkPath+"/"+id, nil, "Accept", "text/html")
	s.endClaim(id, newValue())
	told.want(t, "Created "+id)
	if status, body, _ := s.do(http.MethodGet, api.LinkPath+"/"+strings.ToUpper(id), nil, "User-Agent", "hakanai-x"); status != http.StatusOK ||
		body != base64.StdEncoding.EncodeToString([]byte("abc")) {
		t.Errorf("in the end it gives %d", status)
	}
	told.want(t, "Created "+id, "Retrieved "+id)
}

func TestWhatIsToldHasNoPassphrase(t *testing.T) {
	var got []api.Event
	s := newSite(t, func(s *Server) { s.notify = func(e api.Event) { got = append(got, e) } })
	hash := strings.Repeat("ab", 32)
	s.post(`{"data":"QUJD","expires_in":60,"restrictions":{"allowed_ips":["127.0.0.1"],"passphrase_hash":"` + hash + `"}}`)
	if len(got) != 1 || got[0].Restrictions.PassphraseHash != nil || got[0].UserType != api.Authenticated ||
		!slices.Equal(got[0].Restrictions.AllowedIPs, []string{"127.0.0.1"}) {
		t.Errorf("it tells %+v", got)
	}
}
