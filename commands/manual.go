package commands

import (
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
)

// manual is the reference of the command line. It is made from the definitions that the program itself runs by; the man
// page, docs/cli.md and the completions of shells are made from it.
type manual struct {
	commands []page
	sections []section
}

// page is a command's.
type page struct {
	name        string // such as hakanai admin reset
	usage       string
	synopsis    string // what follows the name
	examples    []string
	description string
	flags       []option
}

// option is a flag of a command.
type option struct {
	Names     []string // as they are typed, the long one first
	Value     string   // what it takes, such as FILE; "" for a switch
	Usage     string
	Variables []string
	Default   string // "" where there is none
	Repeated  bool
}

// section is what is to be said of all commands.
type section struct {
	title      string
	paragraphs []string // `code` is marked so
	items      []item
}

type item struct{ name, text string }

// newManual makes the manual of a program.
func newManual(app *cli.App) manual {
	m := manual{commands: pages(app.Name, app.Commands)}
	m.sections = []section{
		exitSection(), m.environmentSection(), jsonSection("send", sentResult{}), jsonSection("get", receivedResult{}),
		jsonSection("token", tokenResult{}), secretsSection(), archivesSection(),
	}
	return m
}

// pages are those of the commands that do something.
func pages(parent string, commands []*cli.Command) (all []page) {
	for _, command := range commands {
		p := newPage(parent, command)
		if len(command.Subcommands) > 0 {
			all = append(all, pages(p.name, command.Subcommands)...)
		} else {
			all = append(all, p)
		}
	}
	return all
}

func newPage(parent string, command *cli.Command) page {
	p := page{
		name: parent + " " + command.Name, usage: command.Usage, synopsis: command.ArgsUsage, description: command.Description,
		examples: strings.Split(command.UsageText, "\n"), flags: options(command.Flags),
	}
	if len(p.flags) > 0 {
		p.synopsis = strings.TrimSpace("[OPTION...] " + p.synopsis)
	}
	return p
}

// options are those of flags. That there is help, everybody knows.
func options(flags []cli.Flag) (all []option) {
	for _, flag := range flags {
		if documented, ok := flag.(cli.DocGenerationFlag); ok && !slices.Contains(flag.Names(), "help") {
			all = append(all, newOption(documented))
		}
	}
	return all
}

func newOption(flag cli.DocGenerationFlag) option {
	o := option{Usage: flag.GetUsage(), Variables: flag.GetEnvVars()}
	for _, name := range flag.Names() {
		o.Names = append(o.Names, dashed(name))
	}
	if !flag.TakesValue() {
		return o
	}
	o.Value = "VALUE"
	before, rest, _ := strings.Cut(o.Usage, "`")
	if value, after, found := strings.Cut(rest, "`"); found {
		o.Value, o.Usage = value, before+value+after
	}
	o.Default = flag.GetDefaultText()
	if text, err := strconv.Unquote(o.Default); err == nil {
		o.Default = text
	}
	if slice, ok := flag.(cli.DocGenerationSliceFlag); ok {
		o.Repeated = slice.IsSliceFlag()
	}
	return o
}

func exitSection() section {
	return section{
		title: "Exit status",
		items: []item{
			{strconv.Itoa(statusOK), "What was asked for is done."},
			{strconv.Itoa(statusFailed), "It failed. What is said tells what has become of the secret."},
			{strconv.Itoa(statusUsage), "The command line or a setting is wrong. Nothing was done: a secret that was to be retrieved is still there."},
			{strconv.Itoa(statusGone), "The secret is gone, has expired, or never was."},
			{strconv.Itoa(statusInterrupted), "It was interrupted."},
		},
		paragraphs: []string{
			"With `--exec` and `--exec-env` the exit status is the command's; 128 and the signal's number where one has ended it.",
		},
	}
}

func (m manual) environmentSection() section {
	s := section{
		title: "Environment",
		paragraphs: []string{
			"A flag wins over its variable, which wins over the default. A variable that is set to nothing counts as not set.",
		},
	}
	var items []item
	for _, p := range m.commands {
		for _, o := range p.flags {
			for _, variable := range o.Variables {
				text := "`" + o.Names[0] + "` of `" + p.name + "`"
				if i := slices.IndexFunc(items, func(t item) bool { return t.name == variable }); i >= 0 {
					items[i].text += ", " + text
				} else {
					items = append(items, item{variable, text})
				}
			}
		}
	}
	s.items = append(items,
		item{"HAKANAI_TOKEN", "the token of `hakanai send`; it comes before `--token-file`, and there is no flag for it"},
		item{"NO_COLOR", "set to anything: no colours (they are used on terminals only)"},
		item{"TMPDIR", "where a secret goes that cannot be saved where it should be"},
		item{"HTTPS_PROXY", "the proxy to go through, as also `HTTP_PROXY` and `NO_PROXY`"},
	)
	return s
}

// jsonSection describes what a command prints with --json, by the tags of its result.
func jsonSection(command string, result any) section {
	s := section{
		title: "JSON of hakanai " + command,
		paragraphs: []string{
			"With `--json` one object goes to standard output, on one line. Fields that have nothing to say are left out. " +
				"Others may be added; these stay.",
		},
	}
	shape := reflect.TypeOf(result)
	for i := range shape.NumField() {
		name, _, _ := strings.Cut(shape.Field(i).Tag.Get("json"), ",")
		s.items = append(s.items, item{name, shape.Field(i).Tag.Get("doc")})
	}
	return s
}

func secretsSection() section {
	return section{
		title: "Keeping secrets off the command line",
		paragraphs: []string{
			"What is on a command line can be read by others on the machine while the program runs, and stays in the shell's " +
				"history. So there is another way for everything that is secret:",
		},
		items: []item{
			{"the secret", "standard input, or `--file`. There is no argument for it."},
			{"the link", "`hakanai get` without a link reads it from standard input, or asks for it on a terminal. " +
				"A link on the command line opens nothing any more once it has been used."},
			{"the key of a link", "asked for on a terminal; or put after the link with a `#` between, on standard input."},
			{"a passphrase", "`--passphrase-file` with a file, or `-` for standard input or a question; or its variable. " +
				"`--passphrase` and `--require-passphrase` give a warning. `hakanai get` asks by itself on a terminal."},
			{"a token", "`HAKANAI_TOKEN`, or `--token-file` with a file, or `-` for standard input or a question."},
			{"the admin token", "standard input, or a question."},
			{"what a program is to have", "`--exec` gives it the secret in its standard input, `--exec-env` in a variable: no file is made."},
		},
	}
}

func archivesSection() section {
	return section{
		title: "Files and archives",
		paragraphs: []string{
			"Several files go as one ZIP archive. Files of one name are kept apart by a number. Only regular files go, with their " +
				"times; symbolic links inside a directory are left out, and counted.",
			"A file is saved for its owner alone, whole or not at all, and never over another: where its name is taken, the time is " +
				"added. A sender's name is made harmless first: its last part counts, and what could steer a terminal, hide a file or mean a " +
				"device becomes `_`.",
			"`--extract` unpacks all of an archive or nothing. An archive is refused, and saved as it is, if something in it is " +
				"encrypted, is a link or a device, or leads out of the directory; if it has over 10,000 entries, unpacks to over 1 GiB, or to " +
				"over 100 times its own size (of which 1 MiB is free). An archive inside an archive stays one.",
			"What cannot be saved, on a full disk for example, is not lost: it goes to the directory for temporary files, else to " +
				"standard output, and the error says where.",
		},
	}
}

func (p *program) manCommand() *cli.Command {
	return &cli.Command{
		Name:  "man",
		Usage: "print the man page",
		UsageText: `hakanai man >/usr/local/share/man/man1/hakanai.1
hakanai man | man -l -`,
		Description: "The page is made from the definitions of this very program.",
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError("man takes no arguments, and there is %q", c.Args().First())
			}
			_, err := io.WriteString(p.out, newManual(c.App).roff(released()))
			return err
		},
	}
}
