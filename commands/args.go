package commands

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// flagsFirst moves a subcommand's flags before its other arguments. People write `hakanai get LINK -o dir`, and the
// library would take everything after the link for an argument, without a word. What follows -- stays as it is.
func flagsFirst(app *cli.App, args []string) []string {
	if len(args) < 2 {
		return args
	}
	command := app.Command(args[1])
	if command == nil {
		return args
	}
	words := args[:2] // the program, and the command
	if len(args) > 2 && len(command.Subcommands) > 0 {
		for _, sub := range command.Subcommands {
			if sub.HasName(args[2]) {
				command, words = sub, args[:3]
			}
		}
	}
	var flags, others []string
	rest := args[len(words):]
	for len(rest) > 0 {
		arg := rest[0]
		rest = rest[1:]
		if arg == "--" {
			others = append(append(others, arg), rest...)
			break
		}
		if arg == "-" || !strings.HasPrefix(arg, "-") {
			others = append(others, arg)
			continue
		}
		flags = append(flags, arg)
		if takesNext(command, arg) && len(rest) > 0 {
			flags = append(flags, rest[0])
			rest = rest[1:]
		}
	}
	if len(others) > 0 && others[0] != "--" {
		flags = append(flags, "--")
		if i := slices.Index(others, "--"); i >= 0 {
			others = slices.Delete(others, i, i+1)
		}
	}
	return slices.Concat(words, flags, others)
}

// takesNext tells whether a flag's value is the next argument.
func takesNext(command *cli.Command, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	if strings.Contains(name, "=") {
		return false
	}
	for _, flag := range command.Flags {
		if slices.Contains(flag.Names(), name) {
			documented, ok := flag.(cli.DocGenerationFlag)
			return ok && documented.TakesValue()
		}
	}
	return false
}
