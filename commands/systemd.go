package commands

import (
	"context"
	"fmt"
	"net"

	"github.com/coreos/go-systemd/v22/activation"
	sdnotify "github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
)

// listen opens the server's socket, or takes the one that systemd has opened for it.
func listen(ctx context.Context, address string) (net.Listener, error) {
	given, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("taking the socket of systemd: %w", err)
	}
	if len(given) == 0 {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			return nil, withHint(fmt.Errorf("listening: %w", err), "choose another address with --listen and --port")
		}
		return listener, nil
	}
	if _, isTCP := given[0].(*net.TCPListener); len(given) != 1 || !isTCP {
		return nil, usageError("systemd must give one socket, a TCP one: ListenStream=127.0.0.1:8080")
	}
	return given[0], nil
}

// tellSystemd says that the server is ready, and once ctx is done, that it stops; nothing where systemd did not start it.
// The function that it returns waits until that has been said.
func tellSystemd(ctx context.Context, log zerolog.Logger) (wait func()) {
	tell := func(state string) {
		if _, err := sdnotify.SdNotify(false, state); err != nil {
			log.Warn().Err(err).Msg("systemd is not told what this server does")
		}
	}
	tell(sdnotify.SdNotifyReady)
	told := make(chan struct{})
	context.AfterFunc(ctx, func() {
		tell(sdnotify.SdNotifyStopping)
		close(told)
	})
	return func() { <-told }
}
