package commands

import (
	"testing"
	"unicode"
)

func FuzzVisible(f *testing.F) {
	for _, text := range []string{"plain\n\ttext\r\n", "\x1b]52;c;eA==\x07", "\u202e", "\xff\xc3", "\u0085\u2028"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got := string(visible(text))
		for _, r := range got {
			if r != '\n' && r != '\t' && !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r) {
				t.Errorf("%q is shown with %q", text, r)
			}
		}
		if again := string(visible([]byte(got))); again != got {
			t.Errorf("%q is shown as %q, and that as %q", text, got, again)
		}
	})
}
