// Package commands is Hakanai's command line: one file a subcommand, with its flags, their validation, and the wiring
// of the packages that do the work.
//
// Its manners are those of age: what was asked for goes to standard output, everything else to standard error, with the
// program's name before it, in lower case, without a full stop; and an error that has a way out is followed by a hint
// that says what to do.
package commands

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"github.com/urfave/cli/v2"
)

// Exit statuses.
const (
	statusOK     = 0
	statusFailed = 1
	statusUsage  = 2 // the command line or a setting is wrong; nothing was done
	statusGone   = 3 // the secret is gone, has expired, or never was
)

// program is what every subcommand has at hand.
type program struct {
	in  *os.File
	out io.Writer
	err io.Writer

	outTerminal bool // out is a terminal
}

// Main runs the program with the given arguments, of which the first is its name, and returns its exit status.
func Main(args []string, in, out, err *os.File) int {
	harden()
	p := &program{in: in, out: out, err: err, outTerminal: isTerminal(out)}
	app := p.app()
	runErr := app.Run(flagsFirst(app, args))
	if runErr == nil {
		return statusOK
	}
	failure := asFailure(runErr)
	p.say("error: %s", failure.err)
	if failure.hint != "" {
		p.say("hint: %s", failure.hint)
	}
	return failure.status
}

func (p *program) app() *cli.App {
	usageError := func(_ *cli.Context, err error, _ bool) error { return usageError("%w", err) }
	app := &cli.App{
		Name:            "hakanai",
		Usage:           "share a secret once",
		Version:         version(),
		Writer:          p.out,
		ErrWriter:       p.err,
		Commands:        []*cli.Command{p.serveCommand(), p.sendCommand(), p.getCommand(), p.tokenCommand(), p.adminCommand()},
		OnUsageError:    usageError,
		ExitErrHandler:  func(*cli.Context, error) {}, // Main reports
		HideHelpCommand: true,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError(c, fmt.Errorf("there is no command %q", c.Args().First()), false)
			}
			return cli.ShowAppHelp(c)
		},
	}
	for _, command := range app.Commands {
		command.OnUsageError = usageError
		command.HideHelpCommand = true
	}
	return app
}

// say prints a line for the person at the terminal.
func (p *program) say(format string, args ...any) {
	_, _ = fmt.Fprintf(p.err, "hakanai: "+format+"\n", args...) // there is nobody else to tell
}

// failure is an error with the exit status it leads to, and a hint on the way out.
type failure struct {
	err    error
	status int
	hint   string
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// usageError makes an error of wrong usage.
func usageError(format string, args ...any) error {
	return &failure{err: fmt.Errorf(format, args...), status: statusUsage, hint: "hakanai COMMAND --help shows how it is used"}
}

// withHint adds a hint to an error.
func withHint(err error, hint string) error {
	f := asFailure(err)
	return &failure{err: err, status: f.status, hint: hint}
}

func asFailure(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	return &failure{err: err, status: statusFailed}
}

// version is the main module's, which Go takes from git.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}
