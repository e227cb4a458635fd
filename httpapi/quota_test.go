package httpapi

import (
	"crypto/rand"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"hakanai/httpapi/api"
	"hakanai/store"
)

func TestAQuotaFitsTheLargestSecretWithTheLongestRestrictions(t *testing.T) {
	s := New(Options{Store: nobody{}, CountryHeader: "A", ASNHeader: "B"})
	hash := strings.Repeat("a", 64)
	asked := api.Restrictions{PassphraseHash: &hash}
	for i := range maxEntries {
		asked.AllowedIPs = append(asked.AllowedIPs, fmt.Sprintf("2001:db8:ffff:ffff:ffff:ffff:ffff:%x/128", 0xf000+i))
		asked.AllowedCountries = append(asked.AllowedCountries, "DE")
		asked.AllowedASNs = append(asked.AllowedASNs, math.MaxUint32)
	}
	stored, err := s.restrictions(uuid.New(), asked)
	if err != nil {
		t.Fatal(err)
	}
	charge, err := store.Charge(0, stored)
	if err != nil || charge > besideCiphertext {
		t.Errorf("besides its ciphertext a secret is charged %d, and room is left for %d (%v)", charge, besideCiphertext, err)
	}
}

func TestTheLimitWithinAQuotaIsTheLargest(t *testing.T) {
	for _, quota := range []int64{QuotaFor(1), QuotaFor(1) + 1, 100_000, 1 << 20, 2 << 30, 1<<40 + 12345, math.MaxInt64} {
		limit := limitWithin(quota)
		if QuotaFor(limit) > quota || limit < math.MaxInt64 && QuotaFor(limit+1) <= quota && quota < math.MaxInt64 {
			t.Errorf("within a quota of %d the limit is %d", quota, limit)
		}
	}
	if limit := limitWithin(10); limit != 1 { // 0 would be none
		t.Errorf("within a quota that fits nothing the limit is %d", limit)
	}
}

func TestWhatNoQuotaWillEverFitIsTooLarge(t *testing.T) {
	quota := QuotaFor(10_000)
	s := newSite(t, func(s *Server) {
		s.tokenQuota = quota
		s.trustedRanges = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
		s.trustedProxies = DefaultTrustedProxies()
	})
	token, hash, err := NewToken(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.store.PutToken(t.Context(), hash, store.Token{Kind: store.UserToken, TTL: time.Hour, UploadSizeLimit: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	post := func(size int64, from string) (int, string) {
		body := io.MultiReader(strings.NewReader(`{"data":"`),
			io.LimitReader(endless{}, (size+2)/3*4), strings.NewReader(`","expires_in":60}`))
		status, text, _ := s.do(http.MethodPost, api.SecretPath, body, "Authorization", "Bearer "+token, "X-Forwarded-For", from)
		return status, text
	}
	const stranger, trusted = "192.0.2.1", "198.51.100.1"
	limit := limitWithin(quota) // a little more, since sizes are rounded up
	bound := api.CiphertextBound(limit) / 3 * 3
	if status, text := post(bound+3, stranger); status != 413 || !strings.Contains(text, fmt.Sprintf("%d bytes", limit)) {
		t.Errorf("over what the quota fits: %d %s", status, text)
	}
	_, text, _ := s.do(http.MethodGet, api.ConfigPath, nil, "Authorization", "Bearer "+token, "X-Forwarded-For", stranger)
	if !strings.Contains(text, fmt.Sprintf(`"caller":%d`, limit)) {
		t.Errorf("clients are told %s", text)
	}
	for range 3 { // more than the quota, and none of it counts
		if status, text := post(bound+3, trusted); status != 200 {
			t.Errorf("from a trusted range: %d %s", status, text)
		}
	}
	for range 2 { // there is room for longer restrictions too, and it is not used
		if status, text := post(bound, stranger); status != 200 {
			t.Errorf("what the quota fits: %d %s", status, text)
		}
	}
	if status, text := post(bound, stranger); status != 429 || !strings.Contains(text, "your token") {
		t.Errorf("and once more: %d %s", status, text)
	}
}

// endless reads as base64.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'A'
	}
	return len(p), nil
}
