package commands

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// commandLine is what was typed, in an order that the library understands, and what the library does not tell of it.
type commandLine struct {
	words []string        // the program, the command, its flags, and then its other arguments
	typed map[string]bool // the flags among them, by their first names; what else is set, the environment has set
	empty string          // one of those flags that has an empty value; "" if none has
	after int             // how many of the words came after --
}

// readCommandLine moves a subcommand's flags before its other arguments. People write `hakanai get LINK -o dir`, and the
// library would take everything after the link for an argument, without a word. What follows -- stays as it is.
func readCommandLine(app *cli.App, args []string) commandLine {
	line := commandLine{words: args, typed: make(map[string]bool)}
	command, depth := findCommand(app, args)
	if command == nil {
		return line
	}
	var flags, others []string
	rest := args[depth:]
	for len(rest) > 0 && rest[0] != "--" {
		arg := rest[0]
		rest = rest[1:]
		if arg == "-" || !strings.HasPrefix(arg, "-") {
			others = append(others, arg)
			continue
		}
		flags = append(flags, arg)
		flag := findFlag(command, arg)
		_, value, attached := strings.Cut(arg, "=")
		if !attached && takesValue(flag) && len(rest) > 0 {
			value, attached = rest[0], true
			flags = append(flags, value)
			rest = rest[1:]
		}
		if flag == nil {
			continue
		}
		name := flag.Names()[0]
		line.typed[name] = true
		if attached && value == "" {
			line.empty = name
		}
	}
	if len(rest) > 0 {
		rest = rest[1:]
		line.after = len(rest)
	}
	if others = append(others, rest...); len(others) > 0 {
		flags = append(flags, "--")
	}
	line.words = slices.Concat(args[:depth], flags, others)
	return line
}

// findCommand returns the command that the arguments begin with, and how many of them that takes.
func findCommand(app *cli.App, args []string) (command *cli.Command, depth int) {
	commands := app.Commands
	for depth = 1; depth < len(args); depth++ {
		i := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.HasName(args[depth]) })
		if i < 0 {
			break
		}
		command, commands = commands[i], commands[i].Subcommands
	}
	return command, depth
}

// findFlag returns the flag of a command that an argument names, or nil.
func findFlag(command *cli.Command, arg string) cli.Flag {
	name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(arg, "-"), "-"), "=")
	for _, flag := range command.Flags {
		if slices.Contains(flag.Names(), name) {
			return flag
		}
	}
	return nil
}

func takesValue(flag cli.Flag) bool {
	documented, ok := flag.(cli.DocGenerationFlag)
	return ok && documented.TakesValue()
}
