package commands

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"hakanai/httpapi"
	"hakanai/httpapi/client"
)

func (p *program) tokenCommand() *cli.Command {
	ttl, limit := duration(httpapi.DefaultTokenTTL), size(0)
	return &cli.Command{
		Name:  "token",
		Usage: "make a user token, with the admin token",
		UsageText: `hakanai token --server https://example.com --ttl 90d
HAKANAI_TOKEN=$(hakanai token <admin-token.txt)`,
		Description: "The admin token is asked for on the terminal, or read from standard input when that is not one.\n" +
			"The new token alone goes to standard output.",
		Flags: []cli.Flag{
			serverFlag(),
			&cli.GenericFlag{
				Name: "ttl", EnvVars: []string{"HAKANAI_TOKEN_TTL"}, Value: &ttl, Usage: "the `TIME` that the token is good for",
			},
			&cli.GenericFlag{
				Name: "limit", Aliases: []string{"l"}, Value: &limit, DefaultText: "the server's",
				Usage: "the `SIZE` that a secret created with the token may have",
			},
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return withHint(usageError("token takes no arguments, and there is one"),
					"a token on the command line would stay in the shell's history: it is asked for, or read from standard input")
			}
			admin, err := p.ask("admin token")
			if err != nil {
				return err
			}
			admin = strings.TrimSpace(admin)
			return p.makeToken(c.Context, client.Options{Server: c.String("server"), Version: version(), Token: admin},
				time.Duration(ttl), int64(limit))
		},
	}
}

func (p *program) makeToken(ctx context.Context, options client.Options, ttl time.Duration, limit int64) error {
	server, err := client.New(options)
	if err != nil {
		return usageError("--server: %w", err)
	}
	token, err := server.MakeToken(ctx, ttl, limit)
	if err != nil {
		err = fmt.Errorf("making a token: %w", err)
		switch {
		case errors.Is(err, client.ErrUnauthorized):
			return withHint(err, "hakanai admin reset --admin-token on the server makes a new admin token")
		case errors.Is(err, client.ErrForbidden):
			return withHint(err, "the server's --trusted-ip-ranges say from where tokens may be made")
		case errors.Is(err, client.ErrNotFound):
			return withHint(err, "the server was started without --enable-admin-token")
		}
		return err
	}
	if _, err := io.WriteString(p.out, token+"\n"); err != nil {
		return fmt.Errorf("printing the token: %w", err)
	}
	p.say("the token is good for %s", (*duration)(&ttl))
	return nil
}

// maxLine bounds what is read as an answer, in bytes.
const maxLine = 4 << 10

// ask reads one line: from the terminal without showing it, else from standard input.
func (p *program) ask(what string) (string, error) {
	var line string
	if isTerminal(p.in) {
		_, _ = fmt.Fprintf(p.err, "%s: ", what)
		raw, err := term.ReadPassword(int(p.in.Fd()))
		_, _ = fmt.Fprintln(p.err)
		if err != nil {
			return "", fmt.Errorf("reading the %s: %w", what, err)
		}
		line = string(raw)
	} else {
		var err error
		line, err = bufio.NewReader(io.LimitReader(p.in, maxLine)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("reading the %s: %w", what, err)
		}
	}
	if line = strings.TrimRight(line, "\r\n"); line == "" {
		return "", &failure{err: fmt.Errorf("the %s is empty", what), status: statusUsage}
	}
	return line, nil
}
