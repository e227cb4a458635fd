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
	"hakanai/store/embedded"
)

func (p *program) adminCommand() *cli.Command {
	return &cli.Command{
		Name:            "admin",
		Usage:           "what the server's operator does on the server itself",
		HideHelpCommand: true,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError("there is no command admin %q", c.Args().First())
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
			OnUsageError: func(_ *cli.Context, err error, _ bool) error { return usageError("%w", err) },
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

// tokenStore is where tokens are replaced.
type tokenStore interface {
	ReplaceTokens(ctx context.Context, hash store.TokenHash, token store.Token) error
	String() string
	Close() error
}

// reset replaces the tokens of some kinds, in the store itself or, when a server has it open, through that.
func (p *program) reset(ctx context.Context, place storePlace, kinds []store.TokenKind) (err error) {
	tokens, err := place.tokens(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tokens.Close()) }()
	for _, kind := range kinds {
		token, hash, err := httpapi.NewToken(rand.Reader)
		if err != nil {
			return err
		}
		if err := replaceTokens(ctx, tokens, hash, kind); err != nil {
			return err
		}
		if _, err := io.WriteString(p.out, token+"\n"); err != nil {
			return fmt.Errorf("printing the token: %w", err)
		}
		if kind == store.AdminToken {
			p.say("this is the new admin token of the %s; the old one is void", tokens)
		} else {
			p.say("this is the only user token of the %s now, good for 30 days; all others are void", tokens)
		}
	}
	return nil
}

// replaceTokens tries until the store has answered: one that did not may have replaced the tokens all the same, and
// takes the same one again.
func replaceTokens(ctx context.Context, tokens tokenStore, hash store.TokenHash, kind store.TokenKind) error {
	err := untilUp(ctx, func(ctx context.Context) error { return tokens.ReplaceTokens(ctx, hash, httpapi.DefaultToken(kind)) })
	if errors.Is(err, store.ErrDown) {
		return withHint(fmt.Errorf("replacing tokens: %w", err), "the old ones may be void already: run this again when the store is well")
	}
	if err != nil {
		return fmt.Errorf("replacing tokens: %w", err)
	}
	return nil
}

// tokens finds the way to replace tokens.
func (place storePlace) tokens(ctx context.Context) (tokenStore, error) {
	if place.dsn == nil {
		if !embedded.Exists(place.dataDir) {
			return nil, withHint(fmt.Errorf("there is no store in %s", place.dataDir),
				"name the server's own place with --data-dir or --redis-dsn; a service of systemd has it in $STATE_DIRECTORY, "+
					"such as /var/lib/hakanai")
		}
		if control, err := dialControl(ctx, place.dataDir); err == nil {
			return control, nil
		}
	}
	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	secrets, err := place.open(zerolog.Nop(), refuse)
	if errors.Is(err, store.ErrInUse) {
		return nil, withHint(err, "a server is running on this directory, and does not answer there: "+
			"stop it, run this again, and start it again")
	}
	if err != nil {
		return nil, err
	}
	err = untilUp(ctx, secrets.Check)
	if unsafe := context.Cause(ctx); errors.Is(unsafe, errUnsafeStore) {
		err = withUnsafeHint(unsafe)
	}
	if err != nil {
		return nil, errors.Join(err, secrets.Close())
	}
	return secrets, nil
}
