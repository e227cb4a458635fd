package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

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
			p.jsonFlag(), p.quietFlag(),
		},
		Before: p.refuseEmpty,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return withHint(usageError("token takes no arguments, and there is one"),
					"a token on the command line would stay in the shell's history: it is asked for, or read from standard input")
			}
			p.warnUnencrypted(c.String("server"))
			admin, err := p.ask("admin token")
			if err != nil {
				return err
			}
			admin = strings.TrimSpace(admin)
			server, err := client.New(client.Options{Server: c.String("server"), Version: release(), Token: admin})
			if err != nil {
				return usageError("--server: %w", err)
			}
			made := tokenResult{ExpiresAt: time.Now().Add(time.Duration(ttl)).UTC().Truncate(time.Second), UploadSizeLimit: int64(limit)}
			if made.Token, err = makeToken(c.Context, server, time.Duration(ttl), int64(limit)); err != nil {
				return err
			}
			return p.showToken(made, ttl, c.Bool("json"))
		},
	}
}

func makeToken(ctx context.Context, server *client.Client, ttl time.Duration, limit int64) (string, error) {
	token, err := server.MakeToken(ctx, ttl, limit)
	if err == nil {
		return token, nil
	}
	err = fmt.Errorf("making a token: %w", err)
	switch {
	case errors.Is(err, client.ErrUnauthorized):
		return "", withHint(err, "hakanai admin reset --admin-token on the server makes a new admin token")
	case errors.Is(err, client.ErrForbidden):
		return "", withHint(err, "the server's --trusted-ip-ranges say from where tokens may be made")
	case errors.Is(err, client.ErrNotFound):
		return "", withHint(err, "the server was started without --enable-admin-token")
	}
	return "", err
}

func (p *program) showToken(made tokenResult, ttl duration, asJSON bool) error {
	if asJSON {
		return p.printJSON(made)
	}
	if _, err := io.WriteString(p.out, made.Token+"\n"); err != nil {
		return fmt.Errorf("printing the token: %w", err)
	}
	p.say("the token is good for %s", &ttl)
	return nil
}
