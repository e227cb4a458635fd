package commands

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"
)

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"1": 1, "1024": 1024, "1k": 1024, "10m": 10 << 20, "10M": 10 << 20, "1.5m": 3 << 19, "0.5k": 512, "2g": 2 << 30, "8388607g": 8388607 << 30,
	} {
		var s size
		if err := s.Set(text); err != nil || int64(s) != want {
			t.Errorf("%q is %d (%v)", text, s, err)
		}
	}
	for _, text := range []string{
		"", "k", "0", "0k", "-1", "-1k", "+1", "1kb", "1 k", "1e3", "0x10", "1_000", ".", "1.2.3", "inf", "NaN", "9223372036854775808",
		"99999999999g", "0.1", "1t", "١", "9.9e99",
	} {
		var s size
		if err := s.Set(text); err == nil {
			t.Errorf("%q is %d", text, s)
		}
	}
}

func TestDurations(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1": time.Second, "604800": 7 * 24 * time.Hour, "30m": 30 * time.Minute, "1h": time.Hour, "1h30m": 90 * time.Minute,
		"7d": 7 * 24 * time.Hour, "2w": 14 * 24 * time.Hour, "1d12h": 36 * time.Hour,
	} {
		var d duration
		if err := d.Set(text); err != nil || time.Duration(d) != want {
			t.Errorf("%q is %s (%v)", text, time.Duration(d), err)
		}
	}
	for _, text := range []string{"", "0", "0s", "-1", "-1h", "1.5h", "h", "1x", "30m1h", "500ms", "99999999999", "400y", "1 h", "never"} {
		var d duration
		if err := d.Set(text); err == nil {
			t.Errorf("%q is %s", text, time.Duration(d))
		}
	}
}

func FuzzSize(f *testing.F) {
	for _, text := range []string{"1", "1.5m", "8388607g", "0.1k", "1e3"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s, again size
		if err := s.Set(text); err != nil {
			return
		}
		if err := again.Set(s.String()); s < 1 || err != nil || again != s {
			t.Errorf("%q is %d, and that %d (%v)", text, s, again, err)
		}
	})
}

func FuzzDuration(f *testing.F) {
	for _, text := range []string{"1", "1h30m", "7d", "2w", "0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var d, again duration
		if err := d.Set(text); err != nil {
			return
		}
		if err := again.Set(d.String()); time.Duration(d) < time.Second || err != nil || again != d {
			t.Errorf("%q is %s, and that %s (%v)", text, time.Duration(d), time.Duration(again), err)
		}
	})
}

func TestFlagsMayFollowArguments(t *testing.T) {
	app := (&program{}).app()
	for line, want := range map[string]string{
		"hakanai":                                   "hakanai",
		"hakanai --version":                         "hakanai --version",
		"hakanai nonsense x -o y":                   "hakanai nonsense x -o y",
		"hakanai get LINK":                          "hakanai get -- LINK",
		"hakanai get LINK -o dir":                   "hakanai get -o dir -- LINK",
		"hakanai get LINK --output-dir=dir --key K": "hakanai get --output-dir=dir --key K -- LINK",
		"hakanai get --to-stdout LINK -f -dash":     "hakanai get --to-stdout -f -dash -- LINK",
		"hakanai get -o dir -- LINK -k":             "hakanai get -o dir -- LINK -k",
		"hakanai get LINK -- -k":                    "hakanai get -- LINK -k",
		"hakanai get LINK -o":                       "hakanai get -o -- LINK",
		"hakanai get LINK -":                        "hakanai get -- LINK -",
		"hakanai send -a -f x":                      "hakanai send -a -f x",
		"hakanai get LINK --help":                   "hakanai get --help -- LINK",
	} {
		if got := strings.Join(readCommandLine(app, strings.Fields(line)).words, " "); got != want {
			t.Errorf("%q becomes %q, want %q", line, got, want)
		}
	}
}

func FuzzFlagsFirst(f *testing.F) {
	for _, line := range []string{"get LINK -o dir", "send -f a -f b -- c", "get -k", "serve --port=1 x - y", "-- get"} {
		f.Add(line)
	}
	app := &cli.App{Commands: (&program{}).app().Commands}
	f.Fuzz(func(t *testing.T, line string) {
		args := append([]string{"hakanai"}, strings.Fields(line)...)
		got := readCommandLine(app, args).words
		without := func(args []string) []string {
			kept := slices.DeleteFunc(slices.Clone(args), func(arg string) bool { return arg == "--" })
			slices.Sort(kept)
			return kept
		}
		if !slices.Equal(without(got), without(args)) {
			t.Errorf("%q becomes %q", args, got)
		}
	})
}
