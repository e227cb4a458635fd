package commands

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"hakanai/telemetry"
)

// telemetryFlags are the settings of serve that say what operators learn, and where.
type telemetryFlags struct {
	level   choice
	format  choice
	metrics listenAddress
}

// Formats of the log.
const (
	formatAuto = "auto"
	formatJSON = "json"
	formatText = "text"
)

func newTelemetryFlags() *telemetryFlags {
	return &telemetryFlags{
		level:  choice{value: "info", of: []string{"debug", "info", "warn", "error"}},
		format: choice{value: formatAuto, of: []string{formatAuto, formatJSON, formatText}},
	}
}

func (t *telemetryFlags) flags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "log-level", EnvVars: []string{"HAKANAI_LOG_LEVEL"}, Value: &t.level,
			Usage: "log what is of `LEVEL` or worse: debug, info, warn, error; a request is info",
		},
		&cli.GenericFlag{
			Name: "log-format", EnvVars: []string{"HAKANAI_LOG_FORMAT"}, Value: &t.format,
			Usage: "log as `FORMAT`: json, text, or auto, which is text on a terminal and json elsewhere",
		},
		&cli.BoolFlag{
			Name: "log-secret-ids", EnvVars: []string{"HAKANAI_LOG_SECRET_IDS"},
			Usage: "log the ids of secrets, which open those without a passphrase, instead of names for this run alone",
		},
		&cli.GenericFlag{
			Name: "metrics-listen", EnvVars: []string{"HAKANAI_METRICS_LISTEN"}, Value: &t.metrics,
			DefaultText: "none", Usage: "answer Prometheus at `ADDRESS`, such as 127.0.0.1:9090, under /metrics",
		},
	}
}

// telemetryOptions are the settings, checked.
type telemetryOptions struct {
	level     zerolog.Level
	format    string
	secretIDs bool
	metrics   string // HOST:PORT, or "" for none
}

// read checks the settings. public is where the server itself listens.
func (t *telemetryFlags) read(c *cli.Context, public string) (options telemetryOptions, err error) {
	if options.level, err = zerolog.ParseLevel(t.level.value); err != nil {
		return options, usageError("--log-level: %w", err)
	}
	options.format = t.format.value
	options.secretIDs = c.Bool("log-secret-ids")
	options.metrics = string(t.metrics)
	if options.metrics != "" && overlap(options.metrics, public) {
		return options, withHint(usageError("--metrics-listen must not be where the server itself listens"),
			"choose another port: whoever reaches the metrics may read them")
	}
	return options, nil
}

// overlap tells whether two addresses share a port of a host.
func overlap(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	return hostA == hostB || isEverywhere(hostA) || isEverywhere(hostB)
}

func isEverywhere(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "" || err == nil && address.IsUnspecified()
}

// choice is a flag's word, of a few.
type choice struct {
	value string
	of    []string
}

// Set implements flag.Value.
func (c *choice) Set(text string) error {
	if !slices.Contains(c.of, text) {
		return fmt.Errorf("it is one of %s", strings.Join(c.of, ", "))
	}
	c.value = text
	return nil
}

// String implements flag.Value.
func (c *choice) String() string { return c.value }

// listenAddress is a flag's HOST:PORT to listen on.
type listenAddress string

var errListenAddress = errors.New("an address looks like 127.0.0.1:9090 or [::1]:9090")

// Set implements flag.Value.
func (l *listenAddress) Set(text string) error {
	if text == "" || text == "none" {
		*l = ""
		return nil
	}
	_, port, err := net.SplitHostPort(text)
	if err != nil {
		return errListenAddress
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errListenAddress
	}
	*l = listenAddress(text)
	return nil
}

// String implements flag.Value.
func (l *listenAddress) String() string { return string(*l) }

// observers are what a running server is observed with.
type observers struct {
	log      zerolog.Logger
	metrics  *telemetry.Metrics
	exporter *telemetry.Exporter
}

// observe sets them up. Closing them is the last thing that a server does.
func (p *program) observe(ctx context.Context, options telemetryOptions) (o observers, err error) {
	out := p.logWriter(options.format)
	local := newLogger(out, options.level)
	o.metrics = telemetry.NewMetrics(release())
	o.exporter, err = telemetry.Export(ctx, o.metrics, release(), func(err error) {
		local.Warn().Err(err).Msg("the collector has not taken everything")
	})
	if err != nil {
		return o, usageError("%w", err)
	}
	o.log = newLogger(o.exporter.Log(out), options.level)
	return o, nil
}

func newLogger(out io.Writer, level zerolog.Level) zerolog.Logger {
	return zerolog.New(out).Level(level).With().Timestamp().Logger()
}

// logTime is how lines of the log tell the time.
const logTime = "2006-01-02T15:04:05.000Z07:00"

// logWriter writes for people on a terminal, and JSON elsewhere, unless told otherwise.
func (p *program) logWriter(format string) zerolog.LevelWriter {
	zerolog.TimeFieldFormat = logTime // the library has one for the whole program
	file, ok := p.err.(*os.File)
	terminal := ok && isTerminal(file)
	if format == formatJSON || format == formatAuto && !terminal {
		return zerolog.LevelWriterAdapter{Writer: p.err}
	}
	return zerolog.LevelWriterAdapter{Writer: zerolog.ConsoleWriter{
		Out: p.err, TimeFormat: time.TimeOnly, NoColor: !terminal || os.Getenv("NO_COLOR") != "",
	}}
}

// serveMetrics answers Prometheus, if it was asked for, until the function it returns is called.
func (o observers) serveMetrics(ctx context.Context, address string) (where string, stop func(), err error) {
	if address == "" {
		return "", func() {}, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return "", nil, withHint(fmt.Errorf("listening for Prometheus: %w", err), "choose another address with --metrics-listen")
	}
	return "http://" + listener.Addr().String() + telemetry.MetricsPath, o.metrics.Serve(listener), nil
}
