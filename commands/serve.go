package commands

import (
	"context"
	"errors"
	"net"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/urfave/cli/v2"

	"hakanai/httpapi"
	"hakanai/webhook"
)

func (p *program) serveCommand() *cli.Command {
	limit, maxTTL := size(httpapi.DefaultUploadSizeLimit), duration(httpapi.DefaultMaxTTL)
	access, hooks, observing, origins := newAccessFlags(), newWebhookFlags(), newTelemetryFlags(), originList(nil)
	flags := inCategories(
		category{"Server", serverFlags()},
		category{"Store", placeFlags()},
		category{"Access", access.flags()},
		category{"Limits", append(limitFlags(&limit, &maxTTL), access.limitFlags()...)},
		category{"Proxies", access.proxyFlags()},
		category{"Web pages", append(pageFlags(), originsFlag(&origins))},
		category{"Webhooks", hooks.flags()},
		category{"Logs and metrics", observing.flags()},
	)
	defaults := defaultSettings(flags)
	return &cli.Command{
		Name:      "serve",
		Usage:     "run the server",
		UsageText: "hakanai serve --data-dir /var/lib/hakanai --allow-anonymous\nhakanai serve --redis-dsn redis://localhost:6379 --listen 0.0.0.0",
		Flags:     flags,
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError("serve takes no arguments, and there is %q", c.Args().First())
			}
			address, err := readAddress(c)
			if err != nil {
				return err
			}
			place, err := readPlace(c)
			if err != nil {
				return err
			}
			options := serveOptions{
				address: address,
				store:   place,
				server:  httpapi.Options{UploadSizeLimit: int64(limit), MaxTTL: time.Duration(maxTTL), Origins: origins},
			}
			if err := access.read(c, &options.server); err != nil {
				return err
			}
			if err := readLegal(c, &options.server); err != nil {
				return err
			}
			if options.telemetry, err = observing.read(c, options.address); err != nil {
				return err
			}
			if options.webhook, err = hooks.read(c); err != nil {
				return err
			}
			options.changed, options.stray = defaults.changed(c), strayVariables(c, os.Environ())
			return p.serve(c.Context, options)
		},
	}
}

// serverFlags say where the server listens.
func serverFlags() []cli.Flag {
	return []cli.Flag{
		&cli.IntFlag{
			Name: "port", EnvVars: []string{"HAKANAI_PORT"}, Value: 8080, Usage: "the `PORT` to listen on",
		},
		&cli.StringFlag{
			Name: "listen", EnvVars: []string{"HAKANAI_LISTEN_ADDRESS"}, Value: "127.0.0.1",
			Usage: "the `ADDRESS` to listen on",
		},
	}
}

// readAddress reads where a server listens.
func readAddress(c *cli.Context) (string, error) {
	port := c.Int("port")
	if port < 0 || port > 65535 {
		return "", usageError("--port must be from 0 to 65535, and is %d", port)
	}
	return net.JoinHostPort(c.String("listen"), strconv.Itoa(port)), nil
}

// limitFlags say how large a secret may be, and how long it may wait.
func limitFlags(limit *size, maxTTL *duration) []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "upload-size-limit", EnvVars: []string{"HAKANAI_UPLOAD_SIZE_LIMIT"}, Value: limit,
			Usage: "the `SIZE` a secret may have, before encryption and encoding",
		},
		&cli.GenericFlag{
			Name: "max-ttl", EnvVars: []string{"HAKANAI_MAX_TTL"}, Value: maxTTL,
			Usage: "the longest `TIME` a secret may wait",
		},
	}
}

// serveOptions are the settings of serve, checked.
type serveOptions struct {
	address   string
	store     storePlace
	telemetry telemetryOptions
	server    httpapi.Options // without Store, Notify and what observes
	webhook   webhook.Options // without URL: none
	changed   settings        // what is not a default, to be shown
	stray     []string        // variables of the environment that are no settings
}

// serve runs the server until it is told to stop. The first signal stops it gently, a second one at once.
func (p *program) serve(ctx context.Context, options serveOptions) (err error) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // what comes after the first has its usual effect

	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)

	observers, err := p.observe(ctx, options.telemetry)
	if err != nil {
		return err
	}
	defer observers.exporter.Close()
	log := observers.log
	defer collectRarely()()
	log.Info().Str("version", release()).Any("settings", options.changed).Msg("starting")
	if len(options.stray) > 0 {
		log.Warn().Strs("variables", options.stray).Msg("the environment has variables that look like settings and are none")
	}
	secrets, err := options.store.openObserved(observers, refuse)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, secrets.Close()) }()
	metrics, stopMetrics, err := observers.serveMetrics(ctx, options.telemetry.metrics)
	if err != nil {
		return err
	}
	defer stopMetrics()

	listener, err := listen(ctx, options.address)
	if err != nil {
		return err
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
	options.server.Metrics, options.server.Tracer = observers.metrics, observers.exporter.Tracer()
	options.server.LogSecretIDs = options.telemetry.secretIDs
	options.webhook.Result = observers.metrics.WebhookDelivery
	notify, drain := startWebhooks(ctx, options.webhook, log)
	options.server.Notify = notify
	server := httpapi.New(options.server)
	started := log.Info().Str("address", address).Str("store", secrets.String()).Str("version", release())
	if metrics != "" {
		started = started.Str("metrics", metrics)
	}
	started.Msg("listening")
	stopping := tellSystemd(ctx, log)
	err = server.Serve(ctx, listener)
	refuse(nil) // stopping, whatever the reason
	stopping()
	drain()
	if err != nil {
		return err
	}
	if err := context.Cause(ctx); errors.Is(err, errUnsafeStore) {
		return withUnsafeHint(err)
	}
	log.Info().Msg("stopped")
	return nil
}
