package commands

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"
)

// The library takes a command's help for a template. It is whole before: there is nothing in it to be filled in.

// help is a command's: its examples before its flags.
func (p page) help() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\nUSAGE:\n   %s\n\nEXAMPLES:\n", p.name, p.usage, strings.TrimSpace(p.name+" "+p.synopsis))
	for _, example := range p.examples {
		b.WriteString("   " + example + "\n")
	}
	if p.description != "" {
		b.WriteString("\n")
		for line := range strings.SplitSeq(p.description, "\n") {
			b.WriteString(strings.Join(wrap(line, helpWidth), "\n") + "\n")
		}
	}
	b.WriteString("\nOPTIONS:\n")
	for _, o := range append(p.flags, helpOption()) {
		o.help(&b)
	}
	return b.String()
}

const (
	helpWidth  = 80
	helpIndent = 30 // of what a flag does
)

func (o option) help(b *strings.Builder) {
	title := strings.TrimSpace(strings.Join(o.Names, ", ") + " " + o.Value)
	text := o.Usage
	if o.Default != "" {
		text += " (default: " + o.Default + ")"
	}
	for _, variable := range o.Variables {
		text += " [$" + variable + "]"
	}
	for i, line := range wrap(text, helpWidth-helpIndent) {
		if i == 0 && len(title) > helpIndent-4 {
			b.WriteString("   " + title + "\n")
			title = ""
		}
		fmt.Fprintf(b, "   %-*s%s\n", helpIndent-3, title, line)
		title = ""
	}
}

// groupHelp is the help of what has commands below it.
func groupHelp(name, usage string, commands []*cli.Command, options ...option) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n\nUSAGE:\n   %s COMMAND [OPTION...]\n\nCOMMANDS:\n", name, usage, name)
	for _, command := range commands {
		fmt.Fprintf(&b, "   %-12s%s\n", command.Name, command.Usage)
	}
	b.WriteString("\nOPTIONS:\n")
	for _, o := range append(options, helpOption()) {
		o.help(&b)
	}
	fmt.Fprintf(&b, "\n%s COMMAND --help shows examples and all options of a command; hakanai man, everything.\n", name)
	return b.String()
}

func helpOption() option { return option{Names: []string{"--help", "-h"}, Usage: "show help"} }

// wrap breaks a text into lines of a width, between words.
func wrap(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// wrongFlag returns what is said of a flag that is not there, or has a wrong value.
func wrongFlag(flags []cli.Flag) cli.OnUsageErrorFunc {
	return func(_ *cli.Context, err error, _ bool) error {
		if name, found := strings.CutPrefix(err.Error(), "flag needs an argument: -"); found {
			return usageError("%s needs a value", dashed(strings.TrimLeft(name, "-")))
		}
		var value, name string
		if _, scanErr := fmt.Sscanf(err.Error(), "invalid value %q for flag -%s", &value, &name); scanErr == nil {
			_, reason, _ := strings.Cut(err.Error(), name+" ")
			return usageError("%s cannot be %q: %s", dashed(strings.TrimSuffix(name, ":")), value, reason)
		}
		given, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
		if !unknown {
			return usageError("%w", err)
		}
		given = strings.TrimLeft(given, "-")
		names := []string{"help"}
		for _, flag := range flags {
			names = append(names, flag.Names()[0])
		}
		return suggest(usageError("there is no flag %s", dashed(given)), dashed(nearest(given, names)))
	}
}

// noCommand is the error of a command that is not there.
func noCommand(commands []*cli.Command, given string) error {
	names := []string{"--help", "--version"}
	for _, command := range commands {
		names = append(names, command.Name)
	}
	return suggest(usageError("there is no command %q", given), nearest(given, names))
}

// suggest adds to an error what was probably meant, if anything comes near it.
func suggest(err error, name string) error {
	if name == "" {
		return err
	}
	return withHint(err, "did you mean "+name+"?")
}

// nearest returns the name that is most like what was given, or "" when none is.
func nearest(given string, names []string) (name string) {
	const boostFrom, prefix, alike = 0.7, 4, 0.8
	best := alike
	for _, candidate := range names {
		if likeness := smetrics.JaroWinkler(strings.ToLower(given), candidate, boostFrom, prefix); likeness > best {
			name, best = candidate, likeness
		}
	}
	return name
}

// dashed is a flag as it is typed.
func dashed(name string) string {
	switch len(name) {
	case 0:
		return ""
	case 1:
		return "-" + name
	}
	return "--" + name
}
