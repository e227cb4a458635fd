package commands

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"hakanai/httpapi"
	"hakanai/httpapi/api"
	"hakanai/webhook"
)

// webhookFlags are the settings of serve that say who is told of what becomes of secrets.
type webhookFlags struct {
	url               hookURL
	token, signingKey masked
	headers           headerNames
}

// leastSigningKey is how many characters a key must have that cannot be guessed from a signature.
const leastSigningKey = 16

func newWebhookFlags() *webhookFlags { return &webhookFlags{headers: webhook.DefaultHeaders()} }

func (w *webhookFlags) flags() []cli.Flag {
	return []cli.Flag{
		&cli.GenericFlag{
			Name: "webhook-url", EnvVars: []string{"HAKANAI_WEBHOOK_URL"}, Value: &w.url, DefaultText: "none",
			Usage: "tell `URL` of each secret that is created or retrieved; whoever knows of one can use it up",
		},
		&cli.GenericFlag{
			Name: "webhook-token", EnvVars: []string{"HAKANAI_WEBHOOK_TOKEN"}, Value: &w.token, DefaultText: "none",
			Usage: "the `TOKEN` that is sent with webhooks, as Authorization: Bearer; better in the variable, which others cannot see",
		},
		&cli.GenericFlag{
			Name: "webhook-headers", EnvVars: []string{"HAKANAI_WEBHOOK_HEADERS"}, Value: &w.headers,
			Usage: "the `HEADERS` of requests (comma-separated) that webhooks tell of; none for none",
		},
		&cli.GenericFlag{
			Name: "webhook-signing-key", EnvVars: []string{"HAKANAI_WEBHOOK_SIGNING_KEY"}, Value: &w.signingKey, DefaultText: "none",
			Usage: "sign webhooks with `KEY`, of 16 characters at least; better in the variable, which others cannot see",
		},
		&cli.BoolFlag{
			Name: "webhook-allow-private", EnvVars: []string{"HAKANAI_WEBHOOK_ALLOW_PRIVATE"},
			Usage: "let the webhook's URL be on this machine or in its network",
		},
	}
}

// read checks the settings. There is no webhook if the options have no URL.
func (w *webhookFlags) read(c *cli.Context) (options webhook.Options, err error) {
	if w.url == "" {
		return options, nil
	}
	options = webhook.Options{
		URL: string(w.url), Token: string(w.token), SigningKey: []byte(w.signingKey), Headers: w.headers,
		AllowPrivate: c.Bool("webhook-allow-private"),
	}
	if _, err := webhook.ParseURL(options.URL, options.AllowPrivate); errors.Is(err, webhook.ErrInside) {
		return options, withHint(usageError("--webhook-url: %w", err), "if that is meant, add --webhook-allow-private")
	} else if err != nil {
		return options, usageError("--webhook-url %w", err)
	}
	if strings.ContainsFunc(options.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return options, usageError("--webhook-token has a character that no token has")
	}
	if n := len(options.SigningKey); n > 0 && n < leastSigningKey {
		return options, withHint(usageError("--webhook-signing-key must have %d characters at least", leastSigningKey),
			"openssl rand -hex 32 makes one")
	}
	return options, nil
}

// startWebhooks starts to deliver what notify is told, and says when that changes from well to ill and back. Once ctx is
// done, drain waits for what is left, within the time that a stop may take. Without a URL, notify is nil.
func startWebhooks(ctx context.Context, options webhook.Options, log zerolog.Logger) (notify func(api.Event), drain func()) {
	if options.URL == "" {
		return nil, func() {}
	}
	options.Changed = func(err error) {
		if err != nil {
			log.Warn().Err(err).Msg("webhooks fail")
			return
		}
		log.Info().Msg("webhooks are delivered again")
	}
	sender := webhook.New(options)
	grace, end := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() { time.AfterFunc(httpapi.DrainTime, end) })
	return sender.Send, func() {
		defer end()
		if err := sender.Close(grace); err != nil {
			log.Warn().Err(err).Msg("webhooks are dropped")
		}
	}
}

// masked is a flag's text that nobody is shown. What is wrong with it is found later: an error of Set would quote it.
type masked string

// Set implements flag.Value.
func (m *masked) Set(text string) error {
	*m = masked(text)
	return nil
}

// String implements flag.Value.
func (m *masked) String() string {
	if *m == "" {
		return ""
	}
	return "set"
}

// hookURL is a flag's URL whose path and query may hold a secret.
type hookURL string

// Set implements flag.Value.
func (h *hookURL) Set(text string) error {
	*h = hookURL(text)
	return nil
}

// String implements flag.Value.
func (h *hookURL) String() string {
	if *h == "" {
		return ""
	}
	u, err := url.Parse(string(*h))
	if err != nil {
		return "set"
	}
	return u.Scheme + "://" + u.Host + "/..."
}

// headerNames is a flag's list of headers.
type headerNames []string

var errHeaderNames = errors.New("headers look like user-agent,x-request-id")

// Set implements flag.Value. Each call replaces the list.
func (h *headerNames) Set(text string) error {
	*h = nil
	if text == "" || text == "none" {
		return nil
	}
	for _, name := range strings.Split(text, ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name == "" || !isHeaderName(name) {
			return errHeaderNames
		}
		*h = append(*h, name)
	}
	return nil
}

// String implements flag.Value.
func (h *headerNames) String() string {
	if len(*h) == 0 {
		return "none"
	}
	return strings.Join(*h, ",")
}
