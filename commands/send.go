package commands

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"hakanai/crypto"
	"hakanai/httpapi/api"
	"hakanai/httpapi/client"
)

func (p *program) sendCommand() *cli.Command {
	ttl := duration(24 * time.Hour)
	return &cli.Command{
		Name:  "send",
		Usage: "encrypt a secret, leave it with a server, and print the link to it",
		UsageText: `echo "the wifi password" | hakanai send
hakanai send --file contract.pdf --ttl 7d`,
		Flags: []cli.Flag{
			serverFlag(),
			&cli.GenericFlag{
				Name: "ttl", EnvVars: []string{"HAKANAI_TTL"}, Value: &ttl, Usage: "the `TIME` that the secret waits at most",
			},
			&cli.StringFlag{Name: "token-file", Usage: "read the token from `FILE`; $HAKANAI_TOKEN comes before it"},
			&cli.StringSliceFlag{Name: "file", Aliases: []string{"f"}, Usage: "send `FILE` instead of standard input"},
			&cli.BoolFlag{Name: "as-file", Aliases: []string{"a"}, Usage: "send a text as a file, to be saved under its name"},
			&cli.StringFlag{Name: "filename", Usage: "the `NAME` that the recipient sees; makes standard input a file"},
			&cli.BoolFlag{Name: "separate-key", Usage: "print the key apart from the link, to go another way"},
			&cli.StringSliceFlag{
				Name: "allow-ip", EnvVars: []string{"HAKANAI_ALLOWED_IPS"}, Usage: "let only `ADDRESS`, or a range of them, retrieve it",
			},
			&cli.StringSliceFlag{
				Name: "allow-country", EnvVars: []string{"HAKANAI_ALLOWED_COUNTRIES"}, Usage: "let only callers from `COUNTRY`, such as DE, retrieve it",
			},
			&cli.StringSliceFlag{
				Name: "allow-asn", EnvVars: []string{"HAKANAI_ALLOWED_ASNS"}, Usage: "let only callers from the autonomous system `NUMBER` retrieve it",
			},
			&cli.StringFlag{
				Name: "require-passphrase", Aliases: []string{"p"}, EnvVars: []string{"HAKANAI_REQUIRE_PASSPHRASE"},
				Usage: "let only who knows `PASSPHRASE` retrieve it; tell it another way than the link",
			},
		},
		Action: func(c *cli.Context) error {
			o := sendOptions{
				server:      c.String("server"),
				ttl:         time.Duration(ttl),
				asFile:      c.Bool("as-file"),
				filename:    c.String("filename"),
				separateKey: c.Bool("separate-key"),
			}
			if c.Args().Present() {
				return withHint(usageError("send takes no arguments, and there is one"),
					"a secret on the command line would stay in the shell's history: use --file or standard input")
			}
			files := c.StringSlice("file")
			switch {
			case len(files) > 1:
				return usageError("--file can be given once")
			case len(files) == 1:
				o.file = files[0]
			case o.asFile && o.filename == "":
				return usageError("--as-file needs --filename for standard input")
			}
			var err error
			if o.restrictions, err = readRestrictions(c); err != nil {
				return err
			}
			if o.token, err = readToken(c.String("token-file")); err != nil {
				return err
			}
			return p.send(c.Context, o)
		},
	}
}

// serverFlag is the same for every client.
func serverFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "server", Aliases: []string{"s"}, EnvVars: []string{"HAKANAI_SERVER"}, Value: "http://localhost:8080",
		Usage: "the server's `URL`",
	}
}

// sendOptions are the settings of send, checked.
type sendOptions struct {
	server      string
	token       string
	ttl         time.Duration
	file        string // "": standard input
	asFile      bool
	filename    string
	separateKey bool

	restrictions api.Restrictions
}

// readToken takes the token from the environment, else from a file. There is no flag for it: a process list shows flags.
func readToken(file string) (string, error) {
	if token := strings.TrimSpace(os.Getenv("HAKANAI_TOKEN")); token != "" || file == "" {
		return token, nil
	}
	raw, err := os.ReadFile(file) //nolint:gosec // the user's own choice
	if err != nil {
		return "", &failure{err: fmt.Errorf("reading the token: %w", err), status: statusUsage}
	}
	token := strings.TrimSpace(string(raw))
	if token == "" {
		return "", &failure{err: fmt.Errorf("reading the token: %s is empty", file), status: statusUsage}
	}
	return token, nil
}

func (p *program) send(ctx context.Context, o sendOptions) error {
	server, err := client.New(client.Options{Server: o.server, Version: version(), Token: o.token})
	if err != nil {
		return usageError("--server: %w", err)
	}
	content, err := p.readContent(o)
	if err != nil {
		return err
	}
	if err := mayFit(ctx, server, o, len(content.Data)); err != nil {
		content.Clear()
		return err
	}
	ciphertext, fragment, err := crypto.Seal(rand.Reader, content)
	content.Clear()
	if err != nil {
		return fmt.Errorf("sealing the secret: %w", err)
	}
	defer fragment.Clear()
	id, err := server.Send(ctx, ciphertext, o.ttl, o.restrictions)
	if err != nil {
		return explainSend(err)
	}
	link := crypto.Link{Server: strings.TrimSuffix(o.server, "/"), ID: id, Fragment: &fragment}
	text := link.Encode() + "\n"
	if o.separateKey {
		link.Fragment = nil
		text = link.Encode() + "\n" + fragment.Encode() + "\n"
	}
	if _, err := io.WriteString(p.out, text); err != nil {
		return fmt.Errorf("printing the link: %w", err)
	}
	p.say("whoever opens the link first gets the secret; unopened, it is gone in %s", (*duration)(&o.ttl))
	for _, line := range describe(o.restrictions) {
		p.say("%s", line)
	}
	if o.separateKey {
		p.say("the second line is the key: send it another way than the link")
	}
	return nil
}

// readContent reads what is to be sent, and decides whether it goes as a file or as a text.
func (p *program) readContent(o sendOptions) (crypto.Content, error) {
	var content crypto.Content
	var err error
	if o.file != "" {
		content.Data, err = readFile(o.file)
	} else {
		if isTerminal(p.in) {
			p.say("type the secret, and end it with ctrl-d on a line of its own")
		}
		content.Data, err = readSecret(p.in)
	}
	if err != nil {
		return content, fmt.Errorf("reading the secret: %w", err)
	}
	if len(content.Data) == 0 {
		return content, errors.New("the secret is empty")
	}
	isText := utf8.Valid(content.Data) && bytes.IndexByte(content.Data, 0) < 0
	switch {
	case o.filename != "":
		content.Filename = o.filename
	case o.file != "" && (o.asFile || !isText):
		content.Filename = filepath.Base(o.file)
	}
	return content, nil
}

func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, withHint(fmt.Errorf("%s is a directory", name), "pack it first, for example with tar or zip")
	}
	return os.ReadFile(name) //nolint:gosec // the user's own choice
}

// readSecret is io.ReadAll, but clears what it outgrows.
func readSecret(r io.Reader) ([]byte, error) {
	secret := make([]byte, 0, 4<<10)
	for {
		n, err := r.Read(secret[len(secret):cap(secret)])
		secret = secret[:len(secret)+n]
		if errors.Is(err, io.EOF) {
			return secret, nil
		}
		if err != nil {
			clear(secret)
			return nil, err
		}
		if len(secret) == cap(secret) {
			larger := make([]byte, len(secret), 2*cap(secret))
			copy(larger, secret)
			clear(secret)
			secret = larger
		}
	}
}

// explainSend adds to a client's error what the person can do about it.
func explainSend(err error) error {
	err = fmt.Errorf("sending the secret: %w", err)
	switch {
	case errors.Is(err, client.ErrUnauthorized):
		return withHint(err, "set HAKANAI_TOKEN, or name a file with --token-file; the server's operator gives tokens out")
	case errors.Is(err, client.ErrUnavailable), errors.Is(err, client.ErrStoreFull), errors.Is(err, client.ErrTooManyRequests):
		return withHint(err, "nothing was stored: try again later")
	case errors.Is(err, client.ErrSilence):
		return withHint(err, "check the connection, and --server")
	}
	var status *client.StatusError
	if !errors.As(err, &status) {
		return withHint(err, "check that a server runs there, and --server")
	}
	return err
}
