package commands

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

func isTerminal(file *os.File) bool { return term.IsTerminal(int(file.Fd())) }

// Colours of the words that begin a line (ECMA-48, section 8.3.117).
const (
	red    = "\x1b[1;31m"
	yellow = "\x1b[1;33m"
	plain  = "\x1b[0m"
)

// paint colours a word where colours are wanted: on a terminal, unless NO_COLOR (no-color.org) is set.
func (p *program) paint(colour, word string) string {
	if !p.errTerminal || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return word
	}
	return colour + word + plain
}

// say prints a line for the person at the terminal, unless they want none.
func (p *program) say(format string, args ...any) {
	if !p.quiet {
		p.tell("", fmt.Sprintf(format, args...))
	}
}

// warn is say for what they should change.
func (p *program) warn(format string, args ...any) {
	if !p.quiet {
		p.tell(p.paint(yellow, "warning: "), fmt.Sprintf(format, args...))
	}
}

// tell prints a message, with what kind of message it is before it. Whatever got into it, the names of files or the words
// of a server, does not steer a terminal.
func (p *program) tell(kind, message string) {
	for line := range strings.Lines(message) {
		_, _ = fmt.Fprintf(p.err, "hakanai: %s%s\n", kind, visible([]byte(strings.TrimSuffix(line, "\n")))) // there is nobody else to tell
	}
}

// maxLine bounds what is read as an answer, in bytes.
const maxLine = 4 << 10

// ask reads one line: from the terminal without showing it, else from standard input.
func (p *program) ask(what string) (string, error) {
	if !isTerminal(p.in) {
		return readLine(p.in, what)
	}
	_, _ = fmt.Fprintf(p.err, "%s: ", what)
	raw, err := readHidden(p.in)
	defer clear(raw)
	_, _ = fmt.Fprintln(p.err)
	if err != nil {
		return "", fmt.Errorf("reading the %s: %w", what, err)
	}
	return readLine(bytes.NewReader(raw), what)
}

// readHidden reads a line from a terminal that does not show it. Whatever ends the reading, the terminal shows again what
// is typed.
func readHidden(terminal *os.File) ([]byte, error) {
	state, err := term.GetState(int(terminal.Fd()))
	if err != nil {
		return nil, err
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupted)
	type answer struct {
		line []byte
		err  error
	}
	read := make(chan answer, 1)
	go func() {
		line, err := term.ReadPassword(int(terminal.Fd()))
		read <- answer{line, err}
	}()
	select {
	case a := <-read:
		return a.line, a.err
	case <-interrupted:
		return nil, errors.Join(errInterrupted, term.Restore(int(terminal.Fd()), state))
	}
}

// askFile reads one line of a file, or what - stands for: standard input, or the person at the terminal.
func (p *program) askFile(name, what string) (string, error) {
	if name == "-" {
		return p.ask(what)
	}
	file, err := os.Open(name) //nolint:gosec // the user's own choice
	if err != nil {
		return "", &failure{err: fmt.Errorf("reading the %s: %w", what, err), status: statusUsage}
	}
	defer file.Close() //nolint:errcheck // only read
	return readLine(file, what+" in "+name)
}

// readLine reads a line, and no byte after it matters.
func readLine(r io.Reader, what string) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the %s: %w", what, err)
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", &failure{err: fmt.Errorf("the %s is empty", what), status: statusUsage}
	}
	return line, nil
}

// visible makes control and format characters visible, and bytes that are not UTF-8. Line ends and tabs stay.
func visible(text []byte) []byte {
	b := make([]byte, 0, len(text)+len(text)/8)
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && n == 1:
			b = append(b, `\x`...)
			b = append(b, "0123456789abcdef"[text[0]>>4], "0123456789abcdef"[text[0]&15])
		case r == '\n', r == '\t', unicode.IsPrint(r), unicode.Is(unicode.Zs, r):
			b = append(b, text[:n]...)
		case r == '\r' && len(text) > 1 && text[1] == '\n': // a line end of Windows
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			b = append(b, quoted[1:len(quoted)-1]...)
		}
		text = text[n:]
	}
	return b
}
