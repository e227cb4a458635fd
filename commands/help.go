package commands

import (
	"strings"

	"github.com/urfave/cli/v2"
	"github.com/xrash/smetrics"
)

// helpTemplate is the help of a command: its examples before its options.
const helpTemplate = `{{.HelpName}}: {{.Usage}}

USAGE:
   {{.HelpName}}{{if .VisibleFlags}} [OPTION...]{{end}}{{if .ArgsUsage}} {{.ArgsUsage}}{{end}}

EXAMPLES:
   {{wrap .UsageText 3}}{{if .Description}}

{{.Description}}{{end}}{{if .VisibleFlagCategories}}

OPTIONS:{{template "visibleFlagCategoryTemplate" .}}{{end}}
`

// wrongFlag returns what is said of a flag that is not there, or has a wrong value.
func wrongFlag(flags []cli.Flag) cli.OnUsageErrorFunc {
	return func(_ *cli.Context, err error, _ bool) error {
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
