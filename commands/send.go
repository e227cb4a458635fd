package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

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
hakanai send --file contract.pdf --ttl 7d
hakanai send -f id_ed25519 -f id_ed25519.pub --separate-key
hakanai send --file . --recursive --qr-code
LINK=$(pg_dump app | hakanai send --filename app.sql --quiet)`,
		Description: "The link alone goes to standard output. Several files go as one ZIP archive.",
		Flags: []cli.Flag{
			serverFlag(),
			&cli.GenericFlag{
				Name: "ttl", EnvVars: []string{"HAKANAI_TTL"}, Value: &ttl, Usage: "the `TIME` that the secret waits at most",
			},
			&cli.StringFlag{
				Name: "token-file", Usage: "read the token from `FILE`, - for standard input; $HAKANAI_TOKEN comes before it",
			},
			&cli.StringSliceFlag{
				Name: "file", Aliases: []string{"f"}, Usage: "send `FILE` instead of standard input; repeat it for several",
			},
			&cli.BoolFlag{Name: "recursive", Aliases: []string{"r"}, Usage: "pack directories, with all that is in them"},
			&cli.BoolFlag{Name: "as-file", Aliases: []string{"a"}, Usage: "send a text as a file, to be saved under its name"},
			&cli.StringFlag{Name: "filename", Usage: "the `NAME` that the recipient sees; makes standard input a file"},
			&cli.BoolFlag{Name: "separate-key", Usage: "print the key apart from the link, to go another way"},
			&cli.StringSliceFlag{
				Name: "allow-ip", EnvVars: []string{allowIPVariable}, Usage: "let only `ADDRESS`, or a range of them, retrieve it",
			},
			&cli.StringSliceFlag{
				Name: "allow-country", EnvVars: []string{allowCountryVariable}, Usage: "let only callers from `COUNTRY`, such as DE, retrieve it",
			},
			&cli.StringSliceFlag{
				Name: "allow-asn", EnvVars: []string{allowASNVariable}, Usage: "let only callers from the autonomous system `NUMBER` retrieve it",
			},
			&cli.StringFlag{
				Name: "require-passphrase", Aliases: []string{"p"}, EnvVars: []string{requirePassphraseVariable},
				Usage: "let only who knows `PASSPHRASE` retrieve it; tell it another way than the link",
			},
			&cli.StringFlag{
				Name: "passphrase-file", Usage: "read the passphrase from `FILE`; - asks for it on the terminal, or reads standard input",
			},
			&cli.BoolFlag{
				Name: "qr-code", Aliases: []string{"q"}, EnvVars: []string{"HAKANAI_QR_CODE"}, Usage: "show the link as a QR code too",
			},
			p.jsonFlag(), p.quietFlag(),
		},
		Before: p.refuseEmpty,
		Action: func(c *cli.Context) error {
			o := sendOptions{
				server: c.String("server"),
				ttl:    time.Duration(ttl),
				content: contentOptions{
					files: c.StringSlice("file"), directories: c.Bool("recursive"), asFile: c.Bool("as-file"), filename: c.String("filename"),
				},
				separateKey: c.Bool("separate-key"),
				qrCode:      c.Bool("qr-code"),
				json:        c.Bool("json"),
			}
			if err := o.check(c, isTerminal(p.in)); err != nil {
				return err
			}
			var err error
			if o.restrictions, err = p.readRestrictions(c); err != nil {
				return err
			}
			if o.token, err = p.readToken(c.String("token-file")); err != nil {
				return err
			}
			hash, err := p.requiredPassphrase(c)
			if err != nil {
				return err
			}
			o.restrictions.PassphraseHash = hash
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
	content     contentOptions
	separateKey bool
	qrCode      bool
	json        bool

	restrictions api.Restrictions
}

// check finds what does not go together. A person at a terminal can be asked for more than one thing.
func (o sendOptions) check(c *cli.Context, terminal bool) error {
	if c.Args().Present() {
		return withHint(usageError("send takes no arguments, and there is one"),
			"a secret on the command line would stay in the shell's history: use --file or standard input")
	}
	if o.content.asFile && o.content.filename == "" && len(o.content.files) == 0 {
		return usageError("--as-file needs --filename for standard input")
	}
	wanted := 0 // by how many
	if len(o.content.files) == 0 {
		wanted++
	}
	for _, flag := range []string{"token-file", "passphrase-file"} {
		if c.String(flag) == "-" {
			wanted++
		}
	}
	if wanted > 1 && !terminal {
		return usageError("standard input is one thing only: the secret, the token, or the passphrase")
	}
	return nil
}

func (p *program) send(ctx context.Context, o sendOptions) error {
	spareCollections()
	bar := p.newBar("sending")
	server, err := client.New(client.Options{Server: o.server, Version: release(), Token: o.token, Progress: bar.move})
	if err != nil {
		return usageError("--server: %w", err)
	}
	p.warnUnencrypted(o.server)
	sources, err := p.findSources(o.content)
	if err != nil {
		return err
	}
	limit, err := askLimit(ctx, server, o)
	if err != nil {
		return err
	}
	secret, err := p.seal(o.content, sources, limit)
	if err != nil {
		return err
	}
	defer secret.fragment.Clear()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM) // until here it needs no word to end
	defer stop()
	id, err := server.Send(ctx, secret.ciphertext, o.ttl, o.restrictions)
	bar.end()
	if err != nil {
		return explainSend(ctx, err)
	}
	link := crypto.Link{Server: strings.TrimSuffix(o.server, "/"), ID: id, Fragment: &secret.fragment}
	sent := sentResult{
		ID: id.String(), Filename: secret.filename, Size: secret.size, ExpiresAt: time.Now().Add(o.ttl).UTC().Truncate(time.Second),
	}
	if o.separateKey {
		link.Fragment, sent.Key = nil, secret.fragment.Encode()
	}
	sent.Link = link.Encode()
	sent.restrict(o.restrictions)
	return p.showSent(sent, o)
}

// explainSend adds to a client's error what the person can do about it.
func explainSend(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return withHint(errInterrupted, "nothing was sent, or nobody has the link to it")
	}
	err = fmt.Errorf("sending the secret: %w", err)
	switch {
	case errors.Is(err, client.ErrUnauthorized):
		return withHint(err, "set HAKANAI_TOKEN, or name a file with --token-file; the server's operator gives tokens out")
	case errors.Is(err, client.ErrUnavailable), errors.Is(err, client.ErrStoreFull), errors.Is(err, client.ErrTooManyRequests):
		return withHint(err, "nothing was stored: try again later")
	case errors.Is(err, client.ErrSilence), errors.Is(err, client.ErrNoAnswer):
		return withHint(err, "check the connection, and try again")
	case errors.Is(err, client.ErrUnreachable):
		return withHint(err, "check that a server runs there, and --server")
	}
	return err
}
