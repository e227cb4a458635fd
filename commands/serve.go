package commands

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"hakanai/httpapi"
	"hakanai/store"
)

func (p *program) serveCommand() *cli.Command {
	limit, maxTTL := size(httpapi.DefaultUploadSizeLimit), duration(httpapi.DefaultMaxTTL)
	return &cli.Command{
		Name:      "serve",
		Usage:     "run the server",
		UsageText: "hakanai serve [--data-dir DIR | --redis-dsn DSN] [--listen ADDRESS] [--port PORT]",
		Flags: []cli.Flag{
			&cli.IntFlag{
				Name: "port", EnvVars: []string{"HAKANAI_PORT"}, Value: 8080, Usage: "the `PORT` to listen on",
			},
			&cli.StringFlag{
				Name: "listen", EnvVars: []string{"HAKANAI_LISTEN_ADDRESS"}, Value: "127.0.0.1",
				Usage: "the `ADDRESS` to listen on",
			},
			&cli.StringFlag{
				Name: "data-dir", EnvVars: []string{"HAKANAI_DATA_DIR"}, Value: defaultDataDir(),
				DefaultText: "$STATE_DIRECTORY, else $XDG_STATE_HOME/hakanai",
				Usage:       "the `DIR` of the embedded store",
			},
			&cli.StringFlag{
				Name: "redis-dsn", EnvVars: []string{"HAKANAI_REDIS_DSN"}, DefaultText: "none: the embedded store",
				Usage: "keep secrets in the Valkey or Redis at `DSN`, such as redis://localhost:6379",
			},
			&cli.StringFlag{
				Name: "redis-wait-replicas", EnvVars: []string{"HAKANAI_REDIS_WAIT_REPLICAS"}, Value: "auto",
				Usage: "the `NUMBER` of replicas that must have a secret, and its retrieval, before they are answered; " +
					"auto is all that may be promoted",
			},
			&cli.BoolFlag{
				Name: "strict-store-check", EnvVars: []string{"HAKANAI_STRICT_STORE_CHECK"},
				Usage: "refuse to run on a Valkey whose settings can lose secrets or bring them back",
			},
			&cli.GenericFlag{
				Name: "upload-size-limit", EnvVars: []string{"HAKANAI_UPLOAD_SIZE_LIMIT"}, Value: &limit,
				Usage: "the `SIZE` a secret may have, before encryption and encoding",
			},
			&cli.GenericFlag{
				Name: "max-ttl", EnvVars: []string{"HAKANAI_MAX_TTL"}, Value: &maxTTL,
				Usage: "the longest `TIME` a secret may wait",
			},
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError("serve takes no arguments, and there is %q", c.Args().First())
			}
			port := c.Int("port")
			if port < 0 || port > 65535 {
				return usageError("--port must be from 0 to 65535, and is %d", port)
			}
			place, err := readPlace(c)
			if err != nil {
				return err
			}
			return p.serve(c.Context, serveOptions{
				address:         net.JoinHostPort(c.String("listen"), strconv.Itoa(port)),
				store:           place,
				uploadSizeLimit: int64(limit),
				maxTTL:          time.Duration(maxTTL),
			})
		},
	}
}

// serveOptions are the settings of serve, checked.
type serveOptions struct {
	address         string
	store           storePlace
	uploadSizeLimit int64
	maxTTL          time.Duration
}

// serve runs the server until it is told to stop. The first signal stops it gently, a second one at once.
func (p *program) serve(ctx context.Context, options serveOptions) (err error) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // what comes after the first has its usual effect

	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)

	log := p.logger()
	secrets, err := options.store.open(log, refuse)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, secrets.Close()) }()

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", options.address)
	if err != nil {
		return withHint(fmt.Errorf("listening: %w", err), "choose another address with --listen and --port")
	}
	address := "http://" + listener.Addr().String()
	if err := p.introduce(ctx, secrets, address); err != nil {
		return errors.Join(err, listener.Close())
	}
	server := httpapi.New(httpapi.Options{
		Store: secrets, Log: log, UploadSizeLimit: options.uploadSizeLimit, MaxTTL: options.maxTTL,
	})
	log.Info().Str("address", address).Str("store", secrets.String()).Str("version", version()).Msg("listening")
	if err := server.Serve(ctx, listener); err != nil {
		return err
	}
	if err := context.Cause(ctx); errors.Is(err, errUnsafeStore) {
		return withHint(err, "change the settings of Valkey, or run without --strict-store-check")
	}
	log.Info().Msg("stopped")
	return nil
}

// introduce makes the first token of a new store, and shows it: on standard error, and never in the log, since logs
// are kept and passed on. While the store is not there yet, this waits for it in the background.
func (p *program) introduce(ctx context.Context, secrets store.Store, address string) error {
	token, err := httpapi.MakeFirstToken(ctx, secrets, rand.Reader)
	if errors.Is(err, store.ErrDown) {
		time.AfterFunc(introduceAgain, func() {
			if ctx.Err() == nil {
				_ = p.introduce(ctx, secrets, address) // what goes wrong with a store that is up, the next request shows
			}
		})
		return nil
	}
	if err != nil || token == "" {
		return err
	}
	_, _ = fmt.Fprintf(p.err, `
Here is a token that may create secrets, good for 30 days. It is shown this once:

    %s

To try it:

    echo "the wifi password" | HAKANAI_TOKEN=%s hakanai send --server %s

`, token, token, address)
	return nil
}

// introduceAgain is how often a store that is down is asked for its first token.
const introduceAgain = 500 * time.Millisecond

// logger writes for people on a terminal, and JSON elsewhere.
func (p *program) logger() zerolog.Logger {
	out := p.err
	if file, ok := out.(*os.File); ok && isTerminal(file) {
		out = zerolog.ConsoleWriter{Out: file, TimeFormat: time.TimeOnly}
	}
	return zerolog.New(out).Level(zerolog.InfoLevel).With().Timestamp().Logger()
}
