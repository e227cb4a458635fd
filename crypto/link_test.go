package crypto

import (
	"errors"
	"strings"
	"testing"
)

const (
	testID       = "0f8fad5b-d9cb-469f-a165-70867728950e"
	testFragment = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8:H8jFBYnyJZN53YlwlbkpUg"
)

func TestLinksThatAreUnderstood(t *testing.T) {
	for text, want := range map[string]string{
		"https://example.com/s/" + testID + "#" + testFragment:                   "https://example.com/s/" + testID + "#" + testFragment,
		"http://localhost:8080/secret/" + testID + "#" + testFragment:            "http://localhost:8080/s/" + testID + "#" + testFragment,
		"https://example.com/api/v1/secret/" + testID + "#" + testFragment:       "https://example.com/s/" + testID + "#" + testFragment,
		"https://example.com/s/" + strings.ToUpper(testID) + "#" + testFragment:  "https://example.com/s/" + testID + "#" + testFragment,
		"https://example.com/s/" + testID:                                        "https://example.com/s/" + testID,
		" \n\thttps://[2001:db8::1]:443/s/" + testID + "#" + testFragment + "\n": "https://[2001:db8::1]:443/s/" + testID + "#" + testFragment,
		"HTTPS://example.com/s/" + testID:                                        "https://example.com/s/" + testID,
	} {
		link, err := ParseLink(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := link.Encode(); got != want {
			t.Errorf("%s is read as %s", text, got)
		}
	}
}

func TestLinksThatAreRefused(t *testing.T) {
	base := "https://example.com/s/" + testID
	key, hash, _ := strings.Cut(testFragment, ":")
	for text, want := range map[string]error{
		"":                              ErrLink,
		"hello":                         ErrLink,
		testID:                          ErrLink,
		"example.com/s/" + testID:       ErrLink,
		"ftp://example.com/s/" + testID: ErrLink,
		"https:///s/" + testID:          ErrLink,
		"https:example.com/s/" + testID: ErrLink,
		"https://user:password@example.com/s/" + testID:                ErrLink,
		base + "?utm=1#" + testFragment:                                ErrLink,
		base + "?#" + testFragment:                                     ErrLink,
		base + "/#" + testFragment:                                     ErrLink,
		"https://example.com/#" + testFragment:                         ErrLink,
		"https://example.com/p/" + testID:                              ErrLink,
		"https://example.com/S/" + testID:                              ErrLink,
		"https://example.com/x/s/" + testID:                            ErrLink,
		"https://example.com/s/../s/" + testID:                         ErrLink,
		"https://example.com/s/{" + testID + "}":                       ErrLink,
		"https://example.com/s/urn:uuid:" + testID:                     ErrLink,
		"https://example.com/s/" + strings.ReplaceAll(testID, "-", ""): ErrLink,
		"https://example.com/s/" + testID[:35] + "g":                   ErrLink,
		"https://example.com/s/%30" + testID[1:]:                       ErrLink,
		"https://exa mple.com/s/" + testID:                             ErrLink,
		base + "#":                                                     ErrFragment,
		base + "#" + key:                                               ErrNoHash,
		base + "#" + key + ":":                                         ErrNoHash,
		base + "#:" + hash:                                             ErrFragment,
		base + "#" + key[1:] + ":" + hash:                              ErrFragment,
		base + "#A" + key + ":" + hash:                                 ErrFragment,
		base + "#" + key + ":" + hash + "A":                            ErrFragment,
		base + "#" + key + ":" + hash[1:]:                              ErrFragment,
		base + "#" + key + "=:" + hash:                                 ErrFragment,
		base + "#" + key[:42] + "+:" + hash:                            ErrFragment,
		base + "#" + key[:42] + "9:" + hash:                            ErrFragment, // bits that stand for nothing
		base + "#" + key + "%3A" + hash:                                ErrNoHash,
		base + "#" + key + ":" + hash + ":" + hash:                     ErrFragment,
		base + "#" + key[:20] + "\n" + key[21:] + ":" + hash:           ErrFragment,
	} {
		link, err := ParseLink(text)
		if !errors.Is(err, want) {
			t.Errorf("%q gives %v and %v, want %v", text, link, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), key[:8]) || strings.Contains(err.Error(), "password")) {
			t.Errorf("the error of %q gives it away: %v", text, err)
		}
	}
}

func FuzzParseLink(f *testing.F) {
	for _, text := range []string{
		"https://example.com/s/" + testID + "#" + testFragment, "http://localhost:8080/secret/" + testID,
		"https://example.com/s/" + testID + "#", "https://[::1]/api/v1/secret/" + testID + "#" + testFragment,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		link, err := ParseLink(text)
		if err != nil {
			return
		}
		again, err := ParseLink(link.Encode())
		if err != nil || again.Encode() != link.Encode() {
			t.Errorf("%q is read as %q, and that as %q (%v)", text, link.Encode(), again.Encode(), err)
		}
		if link.Fragment != nil && strings.Contains(link.String(), link.Fragment.Encode()) {
			t.Errorf("%q shows its fragment", link.String())
		}
	})
}
