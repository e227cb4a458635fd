package httpapi

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"hakanai/httpapi/api"
	"hakanai/store"
)

// nobody is a store that is never asked.
type nobody struct{ store.Store }

func asnText(asn uint32) string { return strconv.FormatUint(uint64(asn), 10) }

func TestNetworksAreReadInEveryForm(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1/32", "192.0.2.77/24": "192.0.2.0/24", "0.0.0.0/0": "0.0.0.0/0", "2001:db8::1": "2001:db8::1/128",
		"2001:DB8::/32": "2001:db8::/32", "::ffff:192.0.2.1": "192.0.2.1/32", "::ffff:192.0.2.0/120": "192.0.2.0/24", "::/0": "::/0",
	} {
		if got, err := api.ParseNetwork(text); err != nil || got.String() != want {
			t.Errorf("%s is read as %s, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "x", "192.0.2", "192.0.2.1/33", "192.0.2.1/-1", "192.0.2.1/024", "192.0.2.01", "fe80::1%eth0", "2001:db8::/129",
		"::ffff:0:0/95", "192.0.2.1,192.0.2.2", " 192.0.2.1", "192.0.2.1:80", "[::1]",
	} {
		if got, err := api.ParseNetwork(text); err == nil {
			t.Errorf("%q is read as %s", text, got)
		}
	}
}

func TestCountriesAreThoseOfISO3166(t *testing.T) {
	n := 0
	for a := byte('A'); a <= 'Z'; a++ {
		for b := byte('A'); b <= 'Z'; b++ {
			if api.IsCountry(string([]byte{a, b})) {
				n++
			}
		}
	}
	if n != 249 {
		t.Errorf("there are %d countries, and ISO 3166-1 has 249", n)
	}
	for _, code := range []string{"DE", "CH", "US", "ZW", "AD", "GB"} {
		if !api.IsCountry(code) {
			t.Errorf("%s is no country", code)
		}
	}
	for _, code := range []string{"", "D", "de", "EU", "UK", "XX", "ZZ", "XK", "T1", "DEU", " A", "W ", "  "} {
		if api.IsCountry(code) {
			t.Errorf("%q is a country", code)
		}
	}
}

func FuzzRestrictions(f *testing.F) {
	for _, text := range []string{
		`{}`, `null`, `{"allowed_ips":["192.0.2.1","2001:db8::/32"],"allowed_countries":["DE"],"allowed_asns":[64500]}`,
		`{"passphrase_hash":"` + strings.Repeat("0a", 32) + `"}`, `{"allowed_ips":[1]}`, `{"allowed":[]}`,
	} {
		f.Add(text)
	}
	s := New(Options{Store: nobody{}, CountryHeader: "A", ASNHeader: "B"})
	f.Fuzz(func(t *testing.T, text string) {
		asked, err := readRestrictions([]byte(text))
		if err != nil {
			return
		}
		stored, err := s.restrictions(uuid.UUID{1}, asked)
		if err != nil {
			return
		}
		if asked.None() != stored.None() || len(asked.AllowedIPs) != len(stored.Networks) ||
			(asked.PassphraseHash == nil) != (stored.Passphrase == nil) {
			t.Errorf("%s is stored as %+v", text, stored)
		}
		if !stored.None() && allowed(stored, caller{}) && stored.Passphrase == nil {
			t.Errorf("%s keeps nobody out", text)
		}
	})
}

func FuzzTokenRequest(f *testing.F) {
	for _, text := range []string{`{}`, `{"upload_size_limit":1048576,"ttl_seconds":86400}`, `{"ttl_seconds":1e3}`, `[]`, `{"upload_size_limit":-1}`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token, err := readTokenRequest(strings.NewReader(text))
		if err == nil && (token.Kind != store.UserToken || token.TTL < time.Second || token.TTL > maxTokenTTL || token.UploadSizeLimit < 0) {
			t.Errorf("%s asks for %+v", text, token)
		}
	})
}
