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

	"github.com/urfave/cli/v2"
)

// Exit statuses.
const (
	statusOK     = 0
	statusFailed = 1
	statusUsage  = 2 // the command line or a setting is wrong; nothing was done
	statusGone   = 3 // the secret is gone, has expired, or never was

	statusInterrupted = 130 // by a signal, as shells say it of ctrl-c
)

// program is what every subcommand has at hand.
type program struct {
	in  *os.File
	out io.Writer
	err io.Writer

	outTerminal, errTerminal bool // out and err are terminals
	quiet                    bool // nothing is said but errors

	line commandLine
}

// Main runs the program with the given arguments, of which the first is its name, and returns its exit status.
func Main(args []string, in, out, err *os.File) int {
	harden()
	p := &program{in: in, out: out, err: err, outTerminal: isTerminal(out), errTerminal: isTerminal(err)}
	app := p.app()
	p.line = readCommandLine(app, args)
	return p.report(app.Run(p.line.words))
}

// report tells what went wrong, and returns the exit status.
func (p *program) report(err error) int {
	var status exitStatus
	switch {
	case err == nil:
		return statusOK
	case errors.As(err, &status):
		return int(status)
	}
	failure := asFailure(err)
	p.tell(p.paint(red, "error: "), failure.err.Error())
	if failure.hint != "" {
		p.tell(p.paint(yellow, "hint: "), failure.hint)
	}
	return failure.status
}

func (p *program) app() *cli.App {
	app := &cli.App{
		Name:            "hakanai",
		Usage:           "share a secret once",
		Version:         version(),
		Writer:          p.out,
		ErrWriter:       p.err,
		ExitErrHandler:  func(*cli.Context, error) {}, // Main reports
		HideHelpCommand: true,

		DisableSliceFlagSeparator: true, // a file may have a comma in its name
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return noCommand(c.App.Commands, c.Args().First())
			}
			return cli.ShowAppHelp(c)
		},
	}
	app.Commands = []*cli.Command{
		p.serveCommand(), p.sendCommand(), p.getCommand(), p.tokenCommand(), p.adminCommand(),
		p.healthcheckCommand(), p.completionCommand(), p.manCommand(),
	}
	app.OnUsageError = wrongFlag(app.Flags)
	app.CustomAppHelpTemplate = groupHelp(app.Name, app.Usage, app.Commands, option{Names: []string{"--version", "-v"}, Usage: "print the version"})
	for _, command := range app.Commands {
		complete(app.Name, command)
	}
	return app
}

// complete gives a command what all of them have.
func complete(parent string, command *cli.Command) {
	command.OnUsageError = wrongFlag(command.Flags)
	command.HideHelpCommand = true
	page := newPage(parent, command)
	if command.CustomHelpTemplate = page.help(); len(command.Subcommands) == 0 {
		return
	}
	command.CustomHelpTemplate = groupHelp(page.name, page.usage, command.Subcommands)
	for _, sub := range command.Subcommands {
		complete(page.name, sub)
	}
}

// errInterrupted says that the person has ended the program.
var errInterrupted = &failure{err: errors.New("interrupted"), status: statusInterrupted}

// exitStatus is an error that has been told already.
type exitStatus int

func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

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
