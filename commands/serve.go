package commands

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"hakanai/httpapi"
)

func (p *program) serveCommand() *cli.Command {
	limit, maxTTL := size(httpapi.DefaultUploadSizeLimit), duration(httpapi.DefaultMaxTTL)
	access := newAccessFlags()
	return &cli.Command{
		Name:      "serve",
		Usage:     "run the server",
		UsageText: "hakanai serve [--data-dir DIR | --redis-dsn DSN] [--listen ADDRESS] [--port PORT]",
		Flags: slices.Concat([]cli.Flag{
			&cli.IntFlag{
				Name: "port", EnvVars: []string{"HAKANAI_PORT"}, Value: 8080, Usage: "the `PORT` to listen on",
			},
			&cli.StringFlag{
				Name: "listen", EnvVars: []string{"HAKANAI_LISTEN_ADDRESS"}, Value: "127.0.0.1",
				Usage: "the `ADDRESS` to listen on",
			},
			&cli.GenericFlag{
				Name: "upload-size-limit", EnvVars: []string{"HAKANAI_UPLOAD_SIZE_LIMIT"}, Value: &limit,
				Usage: "the `SIZE` a secret may have, before encryption and encoding",
			},
			&cli.GenericFlag{
				Name: "max-ttl", EnvVars: []string{"HAKANAI_MAX_TTL"}, Value: &maxTTL,
				Usage: "the longest `TIME` a secret may wait",
			},
		}, placeFlags(), access.flags(), legalFlags()),
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
			options := serveOptions{
				address: net.JoinHostPort(c.String("listen"), strconv.Itoa(port)),
				store:   place,
				server:  httpapi.Options{UploadSizeLimit: int64(limit), MaxTTL: time.Duration(maxTTL)},
			}
			if err := access.read(c, &options.server); err != nil {
				return err
			}
			if err := readLegal(c, &options.server); err != nil {
				return err
			}
			return p.serve(c.Context, options)
		},
	}
}

// serveOptions are the settings of serve, checked.
type serveOptions struct {
	address string
	store   storePlace
	server  httpapi.Options // without Store and Log
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
	introduced, err := p.introduce(ctx, log, secrets, address, options.server.AdminTokens)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer introduced()
	if options.store.dsn == nil {
		control, err := startControl(options.store.dataDir, secrets)
		if err != nil {
			log.Warn().Err(err).Msg("hakanai admin cannot reach this server while it runs")
		} else {
			defer control.close()
		}
	}
	options.server.Store, options.server.Log = secrets, log
	server := httpapi.New(options.server)
	log.Info().Str("address", address).Str("store", secrets.String()).Str("version", release()).Msg("listening")
	if err := server.Serve(ctx, listener); err != nil {
		return err
	}
	if err := context.Cause(ctx); errors.Is(err, errUnsafeStore) {
		return withUnsafeHint(err)
	}
	log.Info().Msg("stopped")
	return nil
}

// logger writes for people on a terminal, and JSON elsewhere.
func (p *program) logger() zerolog.Logger {
	out := p.err
	if file, ok := out.(*os.File); ok && isTerminal(file) {
		out = zerolog.ConsoleWriter{Out: file, TimeFormat: time.TimeOnly}
	}
	return zerolog.New(out).Level(zerolog.InfoLevel).With().Timestamp().Logger()
}
