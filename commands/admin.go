package commands

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"hakanai/httpapi"
	"hakanai/store"
)

func (p *program) adminCommand() *cli.Command {
	return &cli.Command{
		Name:            "admin",
		Usage:           "what the server's operator does on the server itself",
		HideHelpCommand: true,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				given := c.Args().First()
				return suggest(usageError("there is no command admin %q", given), nearest(given, []string{"reset"}))
			}
			return cli.ShowSubcommandHelp(c)
		},
		Subcommands: []*cli.Command{{
			Name:  "reset",
			Usage: "replace the admin token, or all user tokens by a new one, and print it",
			UsageText: `hakanai admin reset --admin-token
hakanai admin reset --user-tokens --redis-dsn redis://localhost:6379`,
			Description: "The server may go on running. The new token alone goes to standard output.",
			Flags: append([]cli.Flag{
				&cli.BoolFlag{Name: "admin-token", Usage: "replace the admin token"},
				&cli.BoolFlag{Name: "user-tokens", Usage: "remove all user tokens, and make a new one, good for 30 days"},
			}, placeFlags()...),
			Action: func(c *cli.Context) error {
				if c.Args().Present() {
					return usageError("admin reset takes no arguments, and there is %q", c.Args().First())
				}
				var kinds []store.TokenKind
				if c.Bool("admin-token") {
					kinds = append(kinds, store.AdminToken)
				}
				if c.Bool("user-tokens") {
					kinds = append(kinds, store.UserToken)
				}
				if len(kinds) == 0 {
					return usageError("admin reset needs --admin-token, --user-tokens, or both")
				}
				place, err := readPlace(c)
				if err != nil {
					return err
				}
				return p.reset(c.Context, place, kinds)
			},
		}},
	}
}

// reset replaces the tokens of some kinds, in the store itself or, when a server has it open, through that.
func (p *program) reset(ctx context.Context, place storePlace, kinds []store.TokenKind) (err error) {
	replace, done, err := place.tokens(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	for _, kind := range kinds {
		token, hash, err := httpapi.NewToken(rand.Reader)
		if err != nil {
			return err
		}
		if err := replace(ctx, hash, httpapi.DefaultToken(kind)); err != nil {
			return fmt.Errorf("replacing tokens: %w", err)
		}
		if _, err := io.WriteString(p.out, token+"\n"); err != nil {
			return fmt.Errorf("printing the token: %w", err)
		}
		if kind == store.AdminToken {
			p.say("this is the new admin token; the old one is void")
		} else {
			p.say("this is the only user token now, good for 30 days; all others are void")
		}
	}
	return nil
}

// tokens finds the way to replace tokens.
func (place storePlace) tokens(ctx context.Context) (
	replace func(context.Context, store.TokenHash, store.Token) error, done func() error, err error,
) {
	if place.dsn == nil {
		if control, err := dialControl(ctx, place.dataDir); err == nil {
			return control.replaceTokens, control.close, nil
		}
	}
	opened := make(chan error, 1)
	secrets, err := place.open(zerolog.Nop(), func(err error) { opened <- err })
	if errors.Is(err, store.ErrInUse) {
		return nil, nil, withHint(err, "a server is running on this directory, and does not answer there: "+
			"stop it, run this again, and start it again")
	}
	if err != nil {
		return nil, nil, err
	}
	if err := waitUntilUp(ctx, secrets); err != nil {
		return nil, nil, errors.Join(err, secrets.Close())
	}
	return secrets.ReplaceTokens, secrets.Close, nil
}
