package commands

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"hakanai/httpapi"
	"hakanai/store"
	"hakanai/store/embedded"
)

func (p *program) serveCommand() *cli.Command {
	limit, maxTTL := size(httpapi.DefaultUploadSizeLimit), duration(httpapi.DefaultMaxTTL)
	return &cli.Command{
		Name:      "serve",
		Usage:     "run the server",
		UsageText: "hakanai serve [--data-dir DIR] [--listen ADDRESS] [--port PORT]",
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
			if c.String("data-dir") == "" {
				return usageError("there is no place for data: set --data-dir")
			}
			return p.serve(c.Context, serveOptions{
				address:         net.JoinHostPort(c.String("listen"), strconv.Itoa(port)),
				dataDir:         c.String("data-dir"),
				uploadSizeLimit: int64(limit),
				maxTTL:          time.Duration(maxTTL),
			})
		},
	}
}

// serveOptions are the settings of serve, checked.
type serveOptions struct {
	address         string
	dataDir         string
	uploadSizeLimit int64
	maxTTL          time.Duration
}

// defaultDataDir is where systemd or the desktop's conventions say that state belongs, or "" if nothing says so.
func defaultDataDir() string {
	if dirs := os.Getenv("STATE_DIRECTORY"); dirs != "" {
		first, _, _ := strings.Cut(dirs, ":")
		return first
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "hakanai")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "state", "hakanai")
	}
	return ""
}

// serve runs the server until it is told to stop. The first signal stops it gently, a second one at once.
func (p *program) serve(ctx context.Context, options serveOptions) (err error) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // what comes after the first has its usual effect

	log := p.logger()
	secrets, err := embedded.Open(embedded.Options{
		Dir:    options.dataDir,
		Report: func(err error) { log.Error().Err(err).Msg("the embedded store has met a problem") },
	})
	if errors.Is(err, store.ErrInUse) {
		return withHint(err, "another hakanai serve is running on this directory: stop it, or choose another --data-dir")
	}
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
	log.Info().Msg("stopped")
	return nil
}

// introduce makes the first token of a new store, and shows it: on standard error, and never in the log, since logs
// are kept and passed on.
func (p *program) introduce(ctx context.Context, secrets store.Store, address string) error {
	token, err := httpapi.MakeFirstToken(ctx, secrets, rand.Reader)
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

// logger writes for people on a terminal, and JSON elsewhere.
func (p *program) logger() zerolog.Logger {
	out := p.err
	if file, ok := out.(*os.File); ok && isTerminal(file) {
		out = zerolog.ConsoleWriter{Out: file, TimeFormat: time.TimeOnly}
	}
	return zerolog.New(out).Level(zerolog.InfoLevel).With().Timestamp().Logger()
}
