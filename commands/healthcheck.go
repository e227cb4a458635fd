package commands

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

const (
	// healthcheckTime is above the time that a server gives its store to answer.
	healthcheckTime = 4 * time.Second
	maxHealthAnswer = 200
)

func (p *program) healthcheckCommand() *cli.Command {
	return &cli.Command{
		Name:  "healthcheck",
		Usage: "ask the server on this machine whether it and its store are well",
		UsageText: `hakanai healthcheck
hakanai healthcheck --port 9000`,
		Description: "The server is looked for where hakanai serve would listen, by the same flags and variables; one on a " +
			"socket of systemd needs those that lead to it. Nothing is printed when it is well. Containers, which have neither a shell " +
			"nor curl, check their health with it.",
		Flags: serverFlags(),
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return usageError("healthcheck takes no arguments, and there is %q", c.Args().First())
			}
			address, err := readAddress(c)
			if err != nil {
				return err
			}
			if c.Int("port") == 0 {
				return usageError("--port must be the server's own, and not 0")
			}
			return checkHealth(c.Context, address)
		},
	}
}

// checkHealth asks a server at the address that it listens on. One that means all addresses of a machine, such as
// 0.0.0.0, is loopback to who connects to it (package net says so). Redirects are not followed, and no proxy is asked:
// it is this machine's server or nobody.
func checkHealth(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, healthcheckTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/healthy", nil)
	if err != nil {
		return usageError("--listen: %w", err)
	}
	response, err := new(http.Transport).RoundTrip(request)
	if err != nil {
		return fmt.Errorf("no server answers: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // nothing is left to be lost
	if response.StatusCode == http.StatusOK {
		return nil
	}
	said, err := io.ReadAll(io.LimitReader(response.Body, maxHealthAnswer))
	if err != nil {
		return fmt.Errorf("reading the answer of %s: %w", address, err)
	}
	reason, _, _ := strings.Cut(string(said), "\n")
	return fmt.Errorf("the server at %s is not well: %s: %s", address, response.Status, reason)
}
