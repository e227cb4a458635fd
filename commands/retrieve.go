package commands

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"hakanai/crypto"
	"hakanai/files"
	"hakanai/httpapi/client"
)

// readLink reads the link, and the key if it comes apart from it.
func (p *program) readLink(text, key string) (link crypto.Link, err error) {
	if text == "-" {
		if text, err = p.ask("link"); err != nil {
			return link, err
		}
	}
	if link, err = crypto.ParseLink(text); err != nil {
		return link, usageError("%w", err)
	}
	if link.Fragment != nil && key != "" {
		return link, usageError("the link has a key already, and --key gives another")
	}
	if link.Fragment == nil && key == "" && isTerminal(p.in) {
		if key, err = p.ask("key of the link"); err != nil {
			return link, err
		}
	}
	if link.Fragment == nil && key == "" {
		return link, withHint(usageError("the link has no key"),
			"quote the whole link, from https to the end; or, if the key came another way, give it with --key")
	}
	if key != "" {
		fragment, err := crypto.ParseFragment(key)
		if err != nil {
			return link, usageError("--key: %w", err)
		}
		link.Fragment = &fragment
	}
	return link, nil
}

// get retrieves the secret. All that can be wrong without it has been looked at, since it can be had only once.
func (p *program) get(ctx context.Context, o getOptions) error {
	defer o.link.Fragment.Clear()
	spareCollections()
	bar := p.newBar("retrieving")
	server, err := client.New(client.Options{
		Server: o.link.Server, Version: release(), Progress: bar.move, Memory: largeMemory,
		Resuming: func(done, total int64, _ error) {
			bar.wipe()
			p.say("%s", continuing(done, total))
		},
	})
	if err != nil {
		return usageError("%w", err)
	}
	p.warnUnencrypted(o.link.Server)
	// What would end the program ends the retrieval. Once the secret is here, it does not end what must be done with it.
	ctx, stop := signal.NotifyContext(ctx, endings()...)
	defer stop()
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // a reader that is gone is an error to be dealt with
	if !o.toStdout && !o.exec {
		if err := files.Probe(o.dir); err != nil {
			return withHint(&failure{err: fmt.Errorf("a file could not be saved: %w", err), status: statusFailed},
				"the secret has not been retrieved; choose a place with --output-dir, or use --to-stdout")
		}
	}
	if ctx.Err() != nil {
		return explainGet(ctx, errInterrupted)
	}
	retrieved, err := p.retrieve(ctx, server, o)
	bar.end()
	if err != nil {
		return explainGet(ctx, err)
	}
	content, err := crypto.Open(retrieved.Ciphertext, *o.link.Fragment)
	if err != nil {
		return withHint(fmt.Errorf("opening the secret: %w", err),
			"the server has given it away and has it no more: ask the sender to send it again")
	}
	defer content.Clear()
	err = p.hand(content, o)
	_ = retrieved.Done(context.WithoutCancel(ctx)) // if it is not told, the server finds out when its lease ends
	return err
}

// endings are the signals by which a person, a terminal that closes or a service manager ends the program. What nohup has
// it ignore stays ignored.
func endings() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGQUIT} {
		if !signal.Ignored(s) {
			signals = append(signals, s)
		}
	}
	return signals
}

// continuing says that a connection broke, and that it is not over.
func continuing(done, total int64) string {
	if done == 0 || total < 0 {
		return "the connection broke: trying again"
	}
	return fmt.Sprintf("the connection broke: continuing after %d of %d bytes", done, total)
}

// maxAsked is how often a passphrase is asked for.
const maxAsked = 3

// retrieve asks the server for the ciphertext, and the person for the passphrase if it needs one.
func (p *program) retrieve(ctx context.Context, server *client.Client, o getOptions) (*client.Retrieved, error) {
	hash := ""
	if o.passphrase != "" {
		hash = crypto.HashPassphrase([]byte(o.passphrase))
	}
	for asked := 0; ; asked++ {
		retrieved, err := server.Get(ctx, o.link.ID, hash)
		if !errors.Is(err, client.ErrUnauthorized) || !isTerminal(p.in) || asked == maxAsked {
			return retrieved, err
		}
		if hash != "" {
			p.tell("", "that is not the passphrase")
		}
		passphrase, err := p.ask("passphrase of the secret")
		if err != nil {
			return nil, err
		}
		hash = crypto.HashPassphrase([]byte(passphrase))
	}
}

// explainGet adds to a client's error what it means for the secret.
func explainGet(ctx context.Context, err error) error {
	const unknown = "the secret may or may not be there still: try again, and ask the sender if it is gone"
	var status *client.StatusError
	switch {
	case errors.Is(err, errInterrupted):
		return withHint(err, "the secret is still there")
	case ctx.Err() != nil && errors.Is(err, client.ErrInterrupted):
		return &failure{err: err, status: statusInterrupted, hint: "ask the sender to send it again"}
	case ctx.Err() != nil:
		return withHint(errInterrupted, unknown)
	case errors.Is(err, client.ErrGone):
		return &failure{err: err, status: statusGone, hint: "if it was not you, tell the sender: somebody else has read it"}
	case errors.Is(err, client.ErrNotFound):
		return &failure{err: err, status: statusGone, hint: "ask the sender to send it again"}
	case errors.Is(err, client.ErrUnauthorized):
		return withHint(err, "the secret is still there: give its passphrase with --passphrase-file or in HAKANAI_PASSPHRASE")
	case errors.Is(err, client.ErrForbidden):
		return withHint(err, "the secret is still there: its sender has said from where it can be retrieved")
	case errors.Is(err, client.ErrTooManyRequests) && errors.As(err, &status) && status.RetryAfter > 0:
		wait := duration(status.RetryAfter)
		return withHint(err, fmt.Sprintf("the secret is still there: try again in %s", &wait))
	case errors.Is(err, client.ErrUnavailable), errors.Is(err, client.ErrTooManyRequests):
		return withHint(err, "the secret is still there: try again later")
	case errors.Is(err, client.ErrInterrupted), errors.Is(err, client.ErrMalformed), errors.Is(err, client.ErrTooLong):
		return withHint(err, "ask the sender to send it again")
	case errors.Is(err, client.ErrUnreachable):
		return withHint(err, "check the connection, and that the link is whole")
	case errors.As(err, &status) && !errors.Is(err, client.ErrGateway):
		return err
	}
	return withHint(err, unknown)
}
