package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"hakanai/crypto"
	"hakanai/httpapi/client"
)

func (p *program) getCommand() *cli.Command {
	return &cli.Command{
		Name:  "get",
		Usage: "retrieve a secret by its link, once",
		UsageText: `hakanai get 'https://example.com/s/ID#KEY:HASH'
hakanai get 'https://example.com/s/ID' --key 'KEY:HASH' --output-dir ~/Downloads`,
		ArgsUsage: "LINK",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "key", Aliases: []string{"k"}, Usage: "the `KEY:HASH` of a link that has none"},
			&cli.BoolFlag{Name: "to-stdout", EnvVars: []string{"HAKANAI_TO_STDOUT"}, Usage: "print a file too, instead of saving it"},
			&cli.StringFlag{Name: "filename", Aliases: []string{"f"}, Usage: "save to `FILE`, a text too"},
			&cli.StringFlag{
				Name: "output-dir", Aliases: []string{"o"}, EnvVars: []string{"HAKANAI_OUTPUT_DIR"},
				Usage: "save files in `DIR`, which must exist",
			},
			&cli.StringFlag{
				Name: "passphrase", Aliases: []string{"p"}, EnvVars: []string{"HAKANAI_PASSPHRASE"},
				Usage: "the `PASSPHRASE` that the secret needs; on a terminal it is asked for",
			},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return withHint(usageError("get takes one link, and there are %d arguments", c.NArg()),
					"put the link in single quotes: the shell may take a part of it for itself")
			}
			o := getOptions{toStdout: c.Bool("to-stdout"), passphrase: c.String("passphrase")}
			var err error
			if o.link, err = completeLink(c.Args().First(), c.String("key")); err != nil {
				return err
			}
			if o.toStdout && (c.String("filename") != "" || c.String("output-dir") != "") {
				return usageError("--to-stdout goes with neither --filename nor --output-dir")
			}
			if o.saver, err = newSaver(c.String("output-dir"), c.String("filename")); err != nil {
				return err
			}
			return p.get(c.Context, o)
		},
	}
}

// getOptions are the settings of get, checked.
type getOptions struct {
	link       crypto.Link // with its fragment
	passphrase string
	toStdout   bool
	saver      saver
}

// completeLink reads the link, and the key if it comes apart from it.
func completeLink(text, key string) (crypto.Link, error) {
	link, err := crypto.ParseLink(text)
	if err != nil {
		return crypto.Link{}, usageError("%w", err)
	}
	switch {
	case link.Fragment != nil && key != "":
		return crypto.Link{}, usageError("the link has a key already, and --key gives another")
	case link.Fragment == nil && key == "":
		return crypto.Link{}, withHint(usageError("the link has no key"),
			"quote the whole link, from https to the end; or, if the key came another way, give it with --key")
	case key != "":
		fragment, err := crypto.ParseFragment(key)
		if err != nil {
			return crypto.Link{}, usageError("--key: %w", err)
		}
		link.Fragment = &fragment
	}
	return link, nil
}

// get retrieves the secret. All that can be wrong without it has been looked at, since it can be had only once.
func (p *program) get(ctx context.Context, o getOptions) error {
	defer o.link.Fragment.Clear()
	server, err := client.New(client.Options{Server: o.link.Server, Version: version()})
	if err != nil {
		return usageError("%w", err)
	}
	if !o.toStdout {
		if err := o.saver.probe(); err != nil {
			return withHint(&failure{err: fmt.Errorf("a file could not be saved: %w", err), status: statusFailed},
				"the secret has not been retrieved; choose a place with --output-dir, or use --to-stdout")
		}
	}
	ciphertext, err := p.retrieve(ctx, server, o)
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
			p.say("that is not the passphrase")
		}
		passphrase, err := p.ask("passphrase of the secret")
		if err != nil {
			return nil, err
		}
		hash = crypto.HashPassphrase([]byte(passphrase))
	}
}

// hand gives the content to the person: on standard output, or as a file.
func (p *program) hand(content crypto.Content, o getOptions) error {
	if o.toStdout || !content.IsFile() && o.saver.filename == "" {
		return p.print(content.Data)
	}
	name := o.saver.filename
	if name == "" {
		name = safeName(content.Filename)
	}
	path, err := o.saver.save(name, content.Data)
	if err == nil {
		p.say("saved %s (%d bytes)", printablePath(path), len(content.Data))
		return nil
	}
	return p.rescue(content, name, err)
}

// rescue saves somewhere else what could not be saved where it should be: the server has it no more.
func (p *program) rescue(content crypto.Content, name string, cause error) error {
	elsewhere := saver{dir: os.TempDir()}
	if path, err := elsewhere.save(filepath.Base(name), content.Data); err == nil {
		return withHint(fmt.Errorf("saving the file: %w", cause), "the secret is not lost: it is in "+printablePath(path))
	}
	if _, err := p.out.Write(content.Data); err != nil {
		return fmt.Errorf("saving the file: %w; printing it instead: %w", cause, err)
	}
	return withHint(fmt.Errorf("saving the file: %w", cause), "the secret is not lost: it went to standard output")
}

// print writes a text to standard output: byte for byte, but for a terminal without what would steer it.
func (p *program) print(data []byte) error {
	if p.outTerminal {
		text := visible(data)
		defer clear(text)
		data = text
	}
	if _, err := p.out.Write(data); err != nil {
		return fmt.Errorf("printing the secret: %w", err)
	}
	if p.outTerminal && data[len(data)-1] != '\n' {
		_, _ = io.WriteString(p.out, "\n")
	}
	return nil
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
	case errors.Is(err, client.ErrSilence):
		return withHint(err, "the secret may or may not be there still: try again, and ask the sender if it is gone")
	case errors.As(err, &status):
		return err
	}
	return withHint(err, "check the connection, and that the link is whole")
}
