package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"

	"github.com/urfave/cli/v2"

	"hakanai/crypto"
	"hakanai/files"
	"hakanai/httpapi/client"
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
		Action: func(c *cli.Context) error {
			o := getOptions{
				toStdout: c.Bool("to-stdout"), extract: c.Bool("extract"), json: c.Bool("json"),
				exec: c.Bool("exec") || c.IsSet("exec-env"), variable: c.String("exec-env"),
			}
			if err := o.readWords(c); err != nil {
				return err
			}
			if err := o.readTarget(c.String("output-dir"), c.String("filename")); err != nil {
				return err
			}
			var err error
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

// readWords reads what is no flag: the link, and a command. It finds which flags do not go together.
func (o *getOptions) readWords(c *cli.Context) error {
	words := c.Args().Slice()
	if len(words) == 0 {
		words = []string{"-"}
	}
	o.word, o.command = words[0], words[1:]
	if len(o.command) > 0 && !o.exec {
		return withHint(usageError("get takes one link, and there are %d arguments", len(words)),
			"put the link in single quotes: the shell may take a part of it for itself")
	}
	if o.word == "-" && c.String("passphrase-file") == "-" {
		return usageError("standard input is one thing only: the link, or the passphrase")
	}
	if o.exec && c.Bool("exec") && o.variable != "" {
		return usageError("--exec and --exec-env are two places for the secret")
	}
	saving := c.String("filename") != "" || c.String("output-dir") != "" && os.Getenv("HAKANAI_OUTPUT_DIR") == "" || o.extract
	switch {
	case o.extract && c.String("filename") != "":
		return usageError("--extract takes the names that are in the archive, and --filename gives another")
	case o.toStdout && saving:
		return usageError("--to-stdout goes with neither --filename nor --extract nor --output-dir")
	case o.toStdout && o.json:
		return usageError("--to-stdout and --json both want standard output")
	case o.exec && (saving || c.IsSet("to-stdout") && o.toStdout || o.json):
		return usageError("--exec goes with none of --filename, --extract, --output-dir, --to-stdout and --json")
	}
	if o.exec {
		return o.checkCommand()
	}
	return nil
}

// checkCommand finds what would keep the command from running.
func (o *getOptions) checkCommand() error {
	if len(o.command) == 0 {
		return usageError("--exec needs a command after --, as in: hakanai get LINK --exec -- wc -c")
	}
	if _, err := exec.LookPath(o.command[0]); err != nil {
		return usageError("the command cannot be run: %w", err)
	}
	if o.variable != "" && !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(o.variable) {
		return usageError("--exec-env must be the name of a variable, and is %q", o.variable)
	}
	return nil
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
	if dir == "" {
		dir = "."
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return usageError("%s is not a directory that exists", dir)
	}
	o.dir, o.filename = dir, filename
	return nil
}

// readLink reads the link, and the key if it comes apart from it.
func (p *program) readLink(text, key string) (link crypto.Link, err error) {
	if text == "-" {
		if text, err = p.ask("link"); err != nil {
			return link, err
		}
	}
	if link, err = crypto.ParseLink(text); err != nil {
		return link, usageError("%w", err)
	}
	if link.Fragment != nil && key != "" {
		return link, usageError("the link has a key already, and --key gives another")
	}
	if link.Fragment == nil && key == "" && isTerminal(p.in) {
		if key, err = p.ask("key of the link"); err != nil {
			return link, err
		}
	}
	if link.Fragment == nil && key == "" {
		return link, withHint(usageError("the link has no key"),
			"quote the whole link, from https to the end; or, if the key came another way, give it with --key")
	}
	if key != "" {
		fragment, err := crypto.ParseFragment(key)
		if err != nil {
			return link, usageError("--key: %w", err)
		}
		link.Fragment = &fragment
	}
	return link, nil
}

// get retrieves the secret. All that can be wrong without it has been looked at, since it can be had only once.
func (p *program) get(ctx context.Context, o getOptions) error {
	defer o.link.Fragment.Clear()
	bar := p.newBar("retrieving")
	server, err := client.New(client.Options{Server: o.link.Server, Version: release(), Progress: bar.show})
	if err != nil {
		return usageError("%w", err)
	}
	p.warnUnencrypted(o.link.Server)
	if !o.toStdout && !o.exec {
		if err := files.Probe(o.dir); err != nil {
			return withHint(&failure{err: fmt.Errorf("a file could not be saved: %w", err), status: statusFailed},
				"the secret has not been retrieved; choose a place with --output-dir, or use --to-stdout")
		}
	}
	// An interrupt ends the retrieval. Once the secret is here, it does not end what must be done with it.
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	ciphertext, err := p.retrieve(ctx, server, o)
	bar.end()
	if err != nil {
		return explainGet(err)
	}
	content, err := crypto.Open(ciphertext, *o.link.Fragment)
	if err != nil {
		return withHint(fmt.Errorf("opening the secret: %w", err),
			"the server has given it away and has it no more: ask the sender to send it again")
	}
	defer content.Clear()
	return p.hand(content, o)
}

// maxAsked is how often a passphrase is asked for.
const maxAsked = 3

// retrieve asks the server for the ciphertext, and the person for the passphrase if it needs one.
func (p *program) retrieve(ctx context.Context, server *client.Client, o getOptions) ([]byte, error) {
	hash := ""
	if o.passphrase != "" {
		hash = crypto.HashPassphrase([]byte(o.passphrase))
	}
	for asked := 0; ; asked++ {
		ciphertext, err := server.Get(ctx, o.link.ID, hash)
		if !errors.Is(err, client.ErrUnauthorized) || !isTerminal(p.in) || asked == maxAsked {
			return ciphertext, err
		}
		if hash != "" {
			p.tell("that is not the passphrase")
		}
		passphrase, err := p.ask("passphrase of the secret")
		if err != nil {
			return nil, err
		}
		hash = crypto.HashPassphrase([]byte(passphrase))
	}
}

// explainGet adds to a client's error what it means for the secret.
func explainGet(err error) error {
	var status *client.StatusError
	switch {
	case errors.Is(err, client.ErrGone):
		return &failure{err: err, status: statusGone, hint: "if it was not you, tell the sender: somebody else may have read it"}
	case errors.Is(err, client.ErrNotFound):
		return &failure{err: err, status: statusGone, hint: "ask the sender to send it again"}
	case errors.Is(err, client.ErrUnauthorized):
		return withHint(err, "the secret is still there: give its passphrase with --passphrase or in HAKANAI_PASSPHRASE")
	case errors.Is(err, client.ErrForbidden):
		return withHint(err, "the secret is still there: its sender has said from where it can be retrieved")
	case errors.Is(err, client.ErrTooManyRequests) && errors.As(err, &status) && status.RetryAfter > 0:
		wait := duration(status.RetryAfter)
		return withHint(err, fmt.Sprintf("the secret is still there: try again in %s", &wait))
	case errors.Is(err, client.ErrUnavailable), errors.Is(err, client.ErrTooManyRequests):
		return withHint(err, "the secret is still there: try again later")
	case errors.Is(err, client.ErrInterrupted), errors.Is(err, client.ErrMalformed), errors.Is(err, client.ErrTooLong):
		return withHint(err, "ask the sender to send it again")
	case errors.Is(err, client.ErrSilence), errors.Is(err, context.Canceled):
		return withHint(err, "the secret may or may not be there still: try again, and ask the sender if it is gone")
	case errors.As(err, &status):
		return err
	}
	return withHint(err, "check the connection, and that the link is whole")
}
