package httpapi

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"hakanai/httpapi/api"
	"hakanai/store"
	"hakanai/store/storetest"
)

func newValue() string { return base64.RawURLEncoding.EncodeToString(storetest.Bytes(32)) }

func (s *site) claim(id, value string, header ...string) (int, string, http.Header) {
	return s.do(http.MethodGet, api.SecretPath+"/"+id, nil, append([]string{api.ClaimHeader, value}, header...)...)
}

func (s *site) endClaim(id, value string) int {
	status, _, _ := s.do(http.MethodDelete, api.SecretPath+"/"+id, nil, api.ClaimHeader, value)
	return status
}

func TestAClaimantMayRepeatTheRequestAndNobodyElse(t *testing.T) {
	s := newSite(t)
	want := storetest.Bytes(200_000)
	text := base64.StdEncoding.EncodeToString(want)
	id, value := s.create(want), newValue()
	for range 3 {
		status, body, h := s.claim(id, value)
		if status != 200 || body != text {
			t.Fatalf("the claimant gets %d and %d bytes", status, len(body))
		}
		if lease, err := strconv.Atoi(h.Get(api.LeaseHeader)); err != nil || lease < 50 || lease > 60 {
			t.Errorf("the lease is %q", h.Get(api.LeaseHeader))
		}
		if h.Get("Accept-Ranges") != "bytes" {
			t.Errorf("Accept-Ranges is %q", h.Get("Accept-Ranges"))
		}
		for _, other := range []string{"", newValue()} {
			header := []string{}
			if other != "" {
				header = []string{api.ClaimHeader, other}
			}
			if status, _, _ := s.do(http.MethodGet, api.SecretPath+"/"+id, nil, header...); status != 410 {
				t.Errorf("somebody else gets %d", status)
			}
			if status, _, _ := s.do(http.MethodDelete, api.SecretPath+"/"+id, nil, header...); status != 410 && status != 400 {
				t.Errorf("somebody else ends it: %d", status)
			}
		}
	}
	if status := s.endClaim(id, value); status != 204 {
		t.Errorf("ending it gives %d", status)
	}
	if status, _, _ := s.claim(id, value); status != 410 {
		t.Errorf("after the end it gives %d", status)
	}
	if status := s.endClaim(id, value); status != 410 {
		t.Errorf("ending it again gives %d", status)
	}
	s.wantNothing()
}

func TestAClaimantMayAskForTheRest(t *testing.T) {
	s := newSite(t)
	want := storetest.Bytes(100_001)
	text := base64.StdEncoding.EncodeToString(want)
	n := len(text)
	id, value := s.create(want), newValue()
	for _, c := range []struct {
		asked       string
		first, last int // the last one too
	}{
		{"bytes=0-", 0, n - 1}, {"bytes=1-", 1, n - 1}, {"bytes=3-5", 3, 5}, {"bytes=65535-65540", 65535, 65540}, {"bytes=98304-", 98304, n - 1},
		{fmt.Sprintf("bytes=%d-", n-1), n - 1, n - 1}, {"bytes=-7", n - 7, n - 1}, {"bytes=7-99999999999999999999", 7, n - 1},
		{"bytes=-999999999", 0, n - 1},
	} {
		status, body, h := s.claim(id, value, "Range", c.asked)
		if status != 206 || body != text[c.first:c.last+1] {
			t.Errorf("%s gives %d and %d bytes", c.asked, status, len(body))
		}
		if want := fmt.Sprintf("bytes %d-%d/%d", c.first, c.last, n); h.Get("Content-Range") != want {
			t.Errorf("%s gives Content-Range %q, want %q", c.asked, h.Get("Content-Range"), want)
		}
	}
	for _, bad := range []string{fmt.Sprintf("bytes=%d-", n), "bytes=5-3", "bytes=-0", "bytes=-", "bytes=a-", "bytes=0-1,3-4", "lines=0-", "0-", "bytes=-1-2", ""} {
		if status, _, _ := s.claim(id, value, "Range", bad); status != 416 {
			t.Errorf("%q gives %d", bad, status)
		}
	}
	if status, body, _ := s.claim(id, value); status != 200 || body != text {
		t.Errorf("in the end it gives %d", status)
	}
}

func TestABadClaimConsumesNothing(t *testing.T) {
	s := newSite(t)
	want := []byte("still here")
	id := s.create(want)
	for _, value := range []string{
		"", "x", strings.Repeat("A", 42), strings.Repeat("A", 44), strings.Repeat("A", 42) + "=", strings.Repeat("+", 43), strings.Repeat("A", 42) + "B",
		strings.Repeat("é", 43),
	} {
		if status, _, _ := s.claim(id, value); status != 400 {
			t.Errorf("%q gives %d", value, status)
		}
		if status := s.endClaim(id, value); status != 400 {
			t.Errorf("ending %q gives %d", value, status)
		}
	}
	two := fmt.Sprintf("GET %s/%s HTTP/1.1\r\nHost: x\r\n%[3]s: %s\r\n%[3]s: %s\r\n\r\n", api.SecretPath, id, api.ClaimHeader, newValue(), newValue())
	if answer := s.raw(two); !strings.HasPrefix(answer, "HTTP/1.1 400") {
		t.Errorf("two values give %.20q", answer)
	}
	for _, bad := range []string{"bytes=99999-", "bytes=2-1", "x"} {
		if status, _, _ := s.claim(id, newValue(), "Range", bad); status != 416 {
			t.Errorf("Range %q gives %d", bad, status)
		}
	}
	if status := s.endClaim(id, newValue()); status != 404 {
		t.Errorf("ending what nobody has claimed gives %d", status)
	}
	if status := s.endClaim(uuid.NewString(), newValue()); status != 404 {
		t.Errorf("ending nothing gives %d", status)
	}
	if status, _, _ := s.do(http.MethodHead, api.SecretPath+"/"+id, nil, api.ClaimHeader, newValue()); status != 405 {
		t.Errorf("HEAD gives %d", status)
	}
	s.wantThere(id, want)
}

func TestRestrictionsArePartOfTheFirstClaimAlone(t *testing.T) {
	s := newSite(t)
	hash := strings.Repeat("ab", 32)
	body := `{"data":"aGVyZQ==","expires_in":60,"restrictions":{"passphrase_hash":"` + hash + `"}}`
	status, text := s.post(body)
	if status != 200 {
		t.Fatal(status, text)
	}
	id, value := s.created(text), newValue()
	if status, _, _ := s.claim(id, value); status != 401 {
		t.Errorf("without the passphrase: %d", status)
	}
	if status, _, _ := s.claim(id, value, api.PassphraseHeader, hash); status != 200 {
		t.Errorf("with it: %d", status)
	}
	if status, _, _ := s.claim(id, value); status != 200 {
		t.Errorf("repeating needs more than the value: %d", status)
	}
}

func TestOfManyClaimantsWithValuesAndWithoutOneWins(t *testing.T) {
	s := newSite(t)
	for range 20 {
		id, winner := s.create([]byte("once")), newValue()
		var all sync.WaitGroup
		var first, others atomic.Int64
		for i := range 60 {
			all.Go(func() {
				var header []string
				switch i % 3 {
				case 0:
					header = []string{api.ClaimHeader, winner}
				case 1:
					header = []string{api.ClaimHeader, newValue()}
				}
				status, _, _ := s.do(http.MethodGet, api.SecretPath+"/"+id, nil, header...)
				switch {
				case status == 200 && i%3 == 0:
					first.Add(1)
				case status == 200:
					others.Add(1)
				case status != 410:
					t.Errorf("somebody gets %d", status)
				}
			})
		}
		all.Wait()
		switch won := [2]int64{first.Load(), others.Load()}; won {
		case [2]int64{20, 0}, [2]int64{0, 1}:
		default:
			t.Errorf("%d requests with one value won, and %d others", won[0], won[1])
		}
	}
}

func FuzzRange(f *testing.F) {
	for _, text := range []string{"bytes=0-", "bytes=5-9", "bytes=-3", "bytes=9-5", "x", "bytes=99999999999999999999-"} {
		f.Add(text, int64(100))
	}
	f.Fuzz(func(t *testing.T, text string, length int64) {
		if length < 1 {
			return
		}
		part, partial, err := readRange(http.Header{"Range": {text}}, length)
		if err == nil && (!partial || part.first < 0 || part.first >= part.last || part.last > length) {
			t.Errorf("%q of %d is %+v", text, length, part)
		}
	})
}

// undoneStore lets every claim be undone by its caller's leaving, as it seems to others: between a look and a claim.
type undoneStore struct {
	store.Store
	looked func()
}

func (s undoneStore) Look(ctx context.Context, id store.ID) (store.Secret, error) {
	secret, err := s.Store.Look(ctx, id)
	s.looked()
	return secret, err
}

func TestAClaimThatIsUndoneOpensNoWayPastThePassphrase(t *testing.T) {
	// The owner of the passphrase claims, and gives the claim back, just when somebody without it looks.
	var claim store.Claim
	var id uuid.UUID
	var secrets store.Store
	looks := 0
	s := newSite(t, func(server *Server) {
		secrets = server.store
		server.store = undoneStore{secrets, func() {
			if looks++; looks%2 == 1 && claim != nil { // it was seen as gone, and is back
				if err := claim.Undo(context.Background()); err != nil {
					t.Error(err)
				}
				claim = nil
			}
		}}
	})
	_, text := s.post(`{"data":"aGVyZQ==","expires_in":60,"restrictions":{"passphrase_hash":"` + strings.Repeat("ab", 32) + `"}}`)
	id = uuid.MustParse(s.created(text))
	for range 3 {
		var err error
		looks = 0
		if claim, err = secrets.Claim(t.Context(), id, storetest.NewClaimant(), time.Minute); err != nil {
			t.Fatal(err)
		}
		if status, _, _ := s.claim(id.String(), newValue()); status != 401 {
			t.Errorf("without the passphrase it gives %d", status)
		}
	}
}
