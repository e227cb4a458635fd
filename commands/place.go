package commands

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"hakanai/store"
	"hakanai/store/embedded"
	"hakanai/store/valkey"
)

// storePlace says which store is used, and where it is.
type storePlace struct {
	dsn      *valkey.DSN // nil: the embedded store
	replicas int
	strict   bool
	dataDir  string
}

// placeFlags say where secrets are kept.
func placeFlags() []cli.Flag {
	return []cli.Flag{
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
	}
}

// readPlace reads the flags that say where secrets are kept.
func readPlace(c *cli.Context) (place storePlace, err error) {
	place = storePlace{dataDir: c.String("data-dir"), strict: c.Bool("strict-store-check")}
	if text := c.String("redis-wait-replicas"); text != "auto" {
		n, err := strconv.ParseUint(text, 10, 8)
		if err != nil {
			return place, usageError("--redis-wait-replicas must be auto or a number from 0 to 255, and is %q", text)
		}
		if place.replicas = int(n); n == 0 {
			place.replicas = valkey.None
		}
	}
	if text := c.String("redis-dsn"); text != "" {
		if place.dsn, err = valkey.ParseDSN(text); err != nil {
			return place, usageError("--redis-dsn: %s", err) // never the DSN itself: it may hold a password
		}
		return place, nil
	}
	if place.dataDir == "" {
		return place, usageError("there is no place for data: set --data-dir or --redis-dsn")
	}
	return place, nil
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

var errUnsafeStore = errors.New("the settings of Valkey can lose secrets or bring them back")

func withUnsafeHint(err error) error {
	return withHint(err, "change the settings of Valkey, or run without --strict-store-check")
}

// open opens the store. A Valkey need not be there yet. With strict checking, refuse is called if it must not be used.
func (place storePlace) open(log zerolog.Logger, refuse func(error)) (store.Store, error) {
	if place.dsn != nil {
		return valkey.Open(place.valkeyOptions(log, refuse)), nil
	}
	secrets, err := embedded.Open(embedded.Options{
		Dir:    place.dataDir,
		Report: func(err error) { log.Error().Err(err).Msg("the embedded store has met a problem") },
	})
	if errors.Is(err, store.ErrInUse) {
		return nil, withHint(err, "another hakanai serve is running on this directory: stop it, or choose another --data-dir")
	}
	if err != nil {
		return nil, err
	}
	return secrets, nil
}

func (place storePlace) valkeyOptions(log zerolog.Logger, refuse func(error)) valkey.Options {
	return valkey.Options{
		DSN: place.dsn, Replicas: place.replicas, Strict: place.strict,
		Changed: func(err error) {
			if err != nil {
				log.Error().Err(err).Msg("waiting for Valkey: requests are refused until it is back")
				return
			}
			log.Info().Msg("Valkey is there: requests are served")
		},
		Unsafe: func(finding string) {
			log.Warn().Str("finding", finding).Msg("the settings of Valkey are unsafe")
			if place.strict {
				refuse(errUnsafeStore)
			}
		},
		Report: func(err error) { log.Error().Err(err).Msg("the Valkey store has met a problem") },
	}
}

// storeWait is how long a command that needs the store at once waits for it.
const storeWait = 5 * time.Second

// untilUp tries something until the store is not down, for as long as a command waits.
func untilUp(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, storeWait)
	defer cancel()
	for {
		err := try(ctx)
		if !errors.Is(err, store.ErrDown) {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
