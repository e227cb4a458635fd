package commands

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"hakanai/crypto"
)

func (p *program) getCommand() *cli.Command {
	return &cli.Command{
		Name:  "get",
		Usage: "retrieve a secret by its link, once",
		UsageText: `hakanai get 'https://example.com/s/ID#KEY:HASH'
hakanai get 'https://example.com/s/ID' --key 'KEY:HASH' --output-dir ~/Downloads
hakanai get --extract <link.txt
hakanai get - --exec -- psql --file - <link.txt
hakanai get "$LINK" --exec-env PGPASSWORD -- psql`,
		ArgsUsage: "[LINK | -] [-- COMMAND...]",
		Description: "Without a link, or for -, the link is read from standard input, or asked for on the terminal.\n" +
			"A text goes to standard output, a file to the current directory, under its own name.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "key", Aliases: []string{"k"}, Usage: "the `KEY:HASH` of a link that has none; on a terminal it is asked for"},
			&cli.BoolFlag{Name: "to-stdout", EnvVars: []string{"HAKANAI_TO_STDOUT"}, Usage: "print a file too, instead of saving it"},
			&cli.StringFlag{Name: "filename", Aliases: []string{"f"}, Usage: "save to `FILE`, a text too"},
			&cli.BoolFlag{Name: "extract", Aliases: []string{"e"}, Usage: "unpack a ZIP archive instead of saving it"},
			&cli.StringFlag{
				Name: "output-dir", Aliases: []string{"o"}, EnvVars: []string{"HAKANAI_OUTPUT_DIR"},
				Usage: "save files in `DIR`, which must exist",
			},
			&cli.BoolFlag{Name: "exec", Usage: "run the command after --, with the secret in its standard input"},
			&cli.StringFlag{
				Name: "exec-env", Usage: "run the command after --, with the secret in the environment variable `NAME`, without a last line end",
			},
			&cli.StringFlag{
				Name: "passphrase", Aliases: []string{"p"}, EnvVars: []string{passphraseVariable},
				Usage: "the `PASSPHRASE` that the secret needs; on a terminal it is asked for",
			},
			&cli.StringFlag{
				Name: "passphrase-file", Usage: "read the passphrase from `FILE`; - asks for it on the terminal, or reads standard input",
			},
			p.jsonFlag(), p.quietFlag(),
		},
		Before: p.refuseEmpty,
		Action: func(c *cli.Context) error {
			o, err := p.readGetOptions(c)
			if err != nil {
				return err
			}
			if o.link, err = p.readLink(o.word, c.String("key")); err != nil {
				return err
			}
			if o.passphrase, err = p.readPassphrase(c, "passphrase", passphraseVariable); err != nil {
				return err
			}
			return p.get(c.Context, o)
		},
	}
}

// getOptions are the settings of get, checked.
type getOptions struct {
	word       string      // what stands for the link
	link       crypto.Link // with its fragment
	passphrase string

	toStdout bool
	json     bool
	extract  bool
	dir      string // where files are saved
	filename string // the user's choice; "" for the sender's

	exec     bool
	command  []string
	variable string // where the command finds the secret; "" for its standard input
}

// readGetOptions reads what says what becomes of the secret, and finds what does not go together. Where the environment
// says one thing and the command line another, the command line is right.
func (p *program) readGetOptions(c *cli.Context) (o getOptions, err error) {
	o = getOptions{
		word: "-", extract: c.Bool("extract"), json: c.Bool("json"),
		exec: c.Bool("exec") || p.line.typed["exec-env"], variable: c.String("exec-env"),
	}
	saving := ""
	for _, flag := range []string{"filename", "extract", "output-dir"} {
		if p.line.typed[flag] {
			saving = flag
		}
	}
	toStdout := p.line.typed["to-stdout"] && c.Bool("to-stdout")
	o.toStdout = toStdout || c.Bool("to-stdout") && saving == "" && !o.exec && !o.json
	switch {
	case o.extract && p.line.typed["filename"]:
		return o, usageError("--extract takes the names that are in the archive, and --filename gives another")
	case toStdout && saving != "":
		return o, usageError("--to-stdout prints the secret, and --%s saves it", saving)
	case toStdout && o.json:
		return o, usageError("--to-stdout and --json both want standard output")
	case o.exec && saving != "":
		return o, usageError("--exec hands the secret to a command, and --%s saves it", saving)
	case o.exec && (toStdout || o.json):
		return o, usageError("--exec leaves standard output to the command: it goes with neither --to-stdout nor --json")
	case c.Bool("exec") && o.variable != "":
		return o, usageError("--exec and --exec-env are two places for the secret")
	}
	if err := o.readWords(c.Args().Slice(), p.line.after); err != nil {
		return o, err
	}
	if o.word == "-" && c.String("passphrase-file") == "-" && !isTerminal(p.in) {
		return o, usageError("standard input is one thing only: the link, or the passphrase")
	}
	o.dir = "."
	if o.exec || o.toStdout {
		return o, nil
	}
	return o, o.readTarget(c.String("output-dir"), c.String("filename"))
}

// readWords reads what is no flag: the link, and a command. Of the words, so many came after --.
func (o *getOptions) readWords(words []string, after int) error {
	if o.exec {
		words, o.command = words[:len(words)-after], words[len(words)-after:]
	}
	if len(words) > 1 {
		hint := "put the link in single quotes: the shell may take a part of it for itself"
		if o.exec {
			hint = "the command comes after --"
		}
		return withHint(usageError("get takes one link, and there are %d arguments", len(words)), hint)
	}
	if len(words) == 1 {
		o.word = words[0]
	}
	if o.exec {
		return o.checkCommand()
	}
	return nil
}

// checkCommand finds what would keep the command from running.
func (o *getOptions) checkCommand() error {
	if len(o.command) == 0 {
		return withHint(usageError("--exec needs a command after --"), "such as: hakanai get LINK --exec -- wc -c")
	}
	if _, err := exec.LookPath(o.command[0]); err != nil {
		return usageError("the command cannot be run: %w", err)
	}
	if o.variable != "" && !isVariable(o.variable) {
		return usageError("--exec-env must be the name of a variable, and is %q", o.variable)
	}
	return nil
}

// isVariable tells whether a text can name a variable (POSIX, section 8.1), in the characters that shells use.
func isVariable(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
	return name != "" && strings.Trim(name, letters+"0123456789") == "" && strings.Contains(letters, name[:1])
}

// readTarget finds out where a file would be saved.
func (o *getOptions) readTarget(dir, filename string) error {
	if filename != "" {
		parent, base := filepath.Split(filename)
		if base == "" || base == "." || base == ".." {
			return usageError("--filename must end with the name of a file")
		}
		if parent != "" && dir != "" {
			return usageError("--filename names a directory, and so does --output-dir")
		}
		filename = base
		if parent != "" {
			dir = parent
		}
	}
	if dir != "" {
		o.dir = dir
	}
	if info, err := os.Stat(o.dir); err != nil || !info.IsDir() {
		return usageError("%s is not a directory that exists", o.dir)
	}
	if _, err := os.Lstat(filepath.Join(o.dir, filename)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return usageError("--filename: %w", err)
	}
	o.filename = filename
	return nil
}
