package commands

import (
	"strings"
	"testing"
)

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
		"hakanai get LINK -o":                       "hakanai get -o",
		"hakanai get LINK -o -- x":                  "hakanai get -o",
		"hakanai get LINK --exec -- wc -c":          "hakanai get --exec -- LINK wc -c",
		"hakanai admin reset x --data-dir y":        "hakanai admin reset --data-dir y -- x",
		"hakanai get LINK -":                        "hakanai get -- LINK -",
		"hakanai send -a -f x":                      "hakanai send -a -f x",
		"hakanai get LINK --help":                   "hakanai get --help -- LINK",
	} {
		if got := strings.Join(readCommandLine(app, strings.Fields(line)).words, " "); got != want {
			t.Errorf("%q becomes %q, want %q", line, got, want)
		}
	}
}

func TestWhatWasTypedIsToldFromWhatTheEnvironmentSays(t *testing.T) {
	app := (&program{}).app()
	for text, want := range map[string]commandLine{
		"get LINK":                  {},
		"get -o x LINK":             {typed: map[string]bool{"output-dir": true}},
		"get -p= LINK -e":           {typed: map[string]bool{"passphrase": true, "extract": true}, empty: "passphrase"},
		"get --exec-env -p -- x y":  {typed: map[string]bool{"exec-env": true}, after: 2},
		"get --exec LINK -- -o x y": {typed: map[string]bool{"exec": true}, after: 3},
		"admin reset --data-dir=":   {typed: map[string]bool{"data-dir": true}, empty: "data-dir"},
		"get --nonsense= LINK":      {},
	} {
		got := readCommandLine(app, append([]string{"hakanai"}, strings.Fields(text)...))
		if len(got.typed) != len(want.typed) || got.empty != want.empty || got.after != want.after {
			t.Errorf("%q is %+v, want %+v", text, got, want)
		}
		for name := range want.typed {
			if !got.typed[name] {
				t.Errorf("%q: %s was typed", text, name)
			}
		}
	}
	if line := readCommandLine(app, []string{"hakanai", "send", "--allow-ip", ""}); line.empty != "allow-ip" {
		t.Errorf("an empty value is %+v", line)
	}
}

func FuzzFlagsFirst(f *testing.F) {
	for _, line := range []string{"get LINK -o dir", "send -f a -f b -- c", "get -k", "serve --port=1 x - y", "-- get", "get -o -- x"} {
		f.Add(line)
	}
	app := (&program{}).app()
	f.Fuzz(func(t *testing.T, text string) {
		args := append([]string{"hakanai"}, strings.Fields(text)...)
		line := readCommandLine(app, args)
		count := func(words []string) map[string]int {
			counts := make(map[string]int)
			for _, word := range words {
				counts[word]++
			}
			return counts
		}
		before, after := count(args), count(line.words)
		last := line.words[len(line.words)-1]
		command, _ := findCommand(app, args)
		missing := command != nil && takesValue(findFlag(command, last)) // a value, and then the rest is not looked at
		for word := range before {
			if word != "--" && before[word] != after[word] && !missing {
				t.Errorf("%q becomes %q", args, line.words)
			}
		}
		if line.after > len(line.words)-1 {
			t.Errorf("of %q %d come after --", line.words, line.after)
		}
	})
}
