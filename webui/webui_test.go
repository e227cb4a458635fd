package webui_test

import (
	"crypto/rand"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"hakanai/crypto"
	"hakanai/httpapi/api"
)

// The pages repeat in TypeScript what is decided in Go. These tests, and those beside the TypeScript, read the same
// tables, so that the two agree.

func readJSON(t *testing.T, name string, value any) {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, value); err != nil {
		t.Fatal(err)
	}
}

func TestCiphertextsAreAsLongAsInTheTable(t *testing.T) {
	var lengths []struct {
		Bytes      int
		Filename   string
		Ciphertext int
	}
	readJSON(t, "testdata/lengths.json", &lengths)
	for i := range lengths {
		row := &lengths[i]
		ciphertext, _, err := crypto.Seal(rand.Reader, crypto.Content{Data: make([]byte, row.Bytes), Filename: row.Filename})
		if err != nil {
			t.Fatal(err)
		}
		if len(ciphertext) != row.Ciphertext {
			t.Errorf("%d bytes with name %q become %d, want %d", row.Bytes, row.Filename, len(ciphertext), row.Ciphertext)
		}
	}
}

func TestNetworksAreReadAsInTheTable(t *testing.T) {
	var networks struct{ Accepted, Refused []string }
	readJSON(t, "testdata/networks.json", &networks)
	for _, text := range networks.Accepted {
		if _, err := api.ParseNetwork(text); err != nil {
			t.Errorf("%q is refused", text)
		}
	}
	for _, text := range networks.Refused {
		if _, err := api.ParseNetwork(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestCountriesAreThoseOfTheServer(t *testing.T) {
	source, err := os.ReadFile("src/countries.ts")
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool)
	for _, line := range regexp.MustCompile(`"([A-Z ]+)"`).FindAllStringSubmatch(string(source), -1) {
		for _, code := range strings.Fields(line[1]) {
			known[code] = true
		}
	}
	for a := 'A'; a <= 'Z'; a++ {
		for b := 'A'; b <= 'Z'; b++ {
			if code := string([]rune{a, b}); api.IsCountry(code) != known[code] {
				t.Errorf("%s: the server says %v, the page %v", code, api.IsCountry(code), known[code])
			}
		}
	}
}
