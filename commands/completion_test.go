package commands

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"hakanai/store/storetest"
)

// shell is an interactive shell at a terminal. The hakanai that it finds does nothing but write down its arguments.
type shell struct {
	*person
	ran string // file
}

const prompt = "READY>"

// startShell starts a shell in a directory with some files, and lets it read the completions.
func startShell(t *testing.T, name string, setup string, command ...string) *shell {
	t.Helper()
	dir := t.TempDir()
	for _, file := range []string{"photo.jpg", "photos/x", "other"} {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bin := t.TempDir()
	s := &shell{ran: filepath.Join(bin, "ran")}
	fake := "#!/bin/sh\necho \"$*\" >>" + s.ran + "\n"
	if err := os.WriteFile(filepath.Join(bin, "hakanai"), []byte(fake), 0o700); err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	if err := writeCompletion(&script, name, (&program{}).app()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "script"), []byte(script.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+bin, "ZDOTDIR="+bin, "TERM=vt100", "SCRIPT="+filepath.Join(bin, "script"))
	s.person = sitDown(t, cmd)
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	s.enter(setup)
	return s
}

// prompts counts how often the shell has been ready.
func (s *shell) prompts() int { return strings.Count(s.seen(), prompt) }

// enter types a line and waits until the shell is ready for the next.
func (s *shell) enter(line string) {
	s.t.Helper()
	before := s.prompts()
	s.press(line + "\r")
	storetest.Eventually(s.t, "the shell is ready again", func() bool { return s.prompts() > before })
}

// calls are the command lines that hakanai was run with.
func (s *shell) calls() []string {
	s.t.Helper()
	text, err := os.ReadFile(s.ran)
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// check types lines with tabs in them, and compares what comes of them.
func (s *shell) check(lines map[string]string) {
	s.t.Helper()
	for line, want := range lines {
		s.enter(line)
		calls := s.calls()
		if got := calls[len(calls)-1]; got != want {
			seen := s.seen()
			s.t.Errorf("%q becomes %q, want %q; the terminal has shown %q", line, got, want, seen[max(0, len(seen)-500):])
		}
	}
	before := len(s.calls())
	// Ctrl-U takes the line away, a second tab shows all that there is.
	s.press("hakanai get LINK \t\t\x15hakanai get LINK --exec -- \t\t\x15hakanai get https://x\t\t\x15hakanai \t\t\x15")
	s.enter("true")
	if calls := s.calls(); len(calls) != before {
		s.t.Errorf("pressing tab has run hakanai: %q", calls[before:])
	}
}

// completed is what all shells make of a line.
func completed() map[string]string {
	return map[string]string{
		"hakanai sen\t":                   "send",
		"hakanai comp\tfi\t":              "completion fish",
		"hakanai admin res\t--admin-t\t":  "admin reset --admin-token",
		"hakanai send --separ\t":          "send --separate-key",
		"hakanai send --file pho\t.\t":    "send --file photo.jpg",
		"hakanai send -f oth\t":           "send -f other",
		"hakanai send --token-file oth\t": "send --token-file other",
		"hakanai get LINK -o photo\t":     "get LINK -o photos/",
		"hakanai get --extr\tLINK":        "get --extract LINK",
		"hakanai token --limi\t1k":        "token --limit 1k",
		"hakanai serve --allow-an\t":      "serve --allow-anonymous",
	}
}

func TestBashCompletesCommandsFlagsAndFiles(t *testing.T) {
	s := startShell(t, "bash", `PS1='READY''> '; source "$SCRIPT"`, "bash", "--norc", "--noprofile", "-i")
	lines := completed()
	lines["hakanai send --file=oth\t"] = "send --file=other"
	lines["hakanai get LINK --exec -- mktem\t"] = "get LINK --exec -- mktemp"
	s.check(lines)
}

func TestZshCompletesCommandsFlagsAndFiles(t *testing.T) {
	s := startShell(t, "zsh", `PROMPT='READY''> '; autoload -U compinit; compinit -u -D; source "$SCRIPT"`, "zsh", "-f", "-i")
	lines := completed()
	lines["hakanai token --limi\t1k"] = "token --limit=1k" // as zsh likes it
	lines["hakanai get LINK -o photo\t"] = "get LINK -o photos"
	lines["hakanai get LINK --exec -- mktem\t"] = "get LINK --exec -- mktemp"
	lines["hakanai send --file=oth\t"] = "send --file=other"
	s.check(lines)
}

func TestZshFindsTheCompletionInItsPath(t *testing.T) {
	s := startShell(t, "zsh", `PROMPT='READY''> '; mkdir fpath; cp "$SCRIPT" fpath/_hakanai; fpath=($PWD/fpath $fpath); autoload -U compinit; compinit -u -D`, "zsh", "-f", "-i")
	s.check(map[string]string{"hakanai sen\t": "send", "hakanai send --separ\t": "send --separate-key"})
}

func TestFishCompletesCommandsFlagsAndFiles(t *testing.T) {
	s := startShell(t, "fish", `function fish_prompt; echo -n READY'> '; end; source $SCRIPT`, "fish", "--no-config", "-i")
	lines := completed()
	lines["hakanai send --file=oth\t"] = "send --file=other"
	s.check(lines)
}

func TestCompletionsKnowEveryCommandAndFlag(t *testing.T) {
	app := (&program{}).app()
	for name, spelling := range map[string]struct{ command, flag string }{
		"bash": {"'%s/%s')", "--%s"}, "zsh": {"'%[2]s:", "--%s"}, "fish": {"-a %[2]s ", "-l %s "},
	} {
		var script strings.Builder
		if err := writeCompletion(&script, name, app); err != nil {
			t.Fatal(err)
		}
		for _, page := range pages(app.Name, app.Commands) {
			at := strings.LastIndex(page.name, " ")
			words := []string{fmt.Sprintf(spelling.command, page.name[:at], page.name[at+1:])}
			for _, o := range page.flags {
				words = append(words, fmt.Sprintf(spelling.flag, strings.TrimLeft(o.Names[0], "-")))
			}
			for _, word := range words {
				if !strings.Contains(script.String(), word) {
					t.Errorf("%s does not know %s of %s", name, word, page.name)
				}
			}
		}
	}
}
