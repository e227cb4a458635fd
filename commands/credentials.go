package commands

import (
	"net/netip"
	"net/url"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"hakanai/crypto"
)

// What is secret besides the secret: each can come from a prompt, a file, standard input or the environment, where
// neither a shell's history nor a process list shows it.

const (
	requirePassphraseVariable = "HAKANAI_REQUIRE_PASSPHRASE"
	passphraseVariable        = "HAKANAI_PASSPHRASE" //nolint:gosec // the name of a variable
	tokenVariable             = "HAKANAI_TOKEN"      //nolint:gosec // likewise

	// minPassphrase is the fewest characters that send lets a passphrase have.
	minPassphrase = 8
)

// refuseEmpty refuses a flag that was typed with an empty value, such as "$UNSET" in a script: what it should have said,
// for example that a passphrase is needed, must not be left out without a word. A variable that is empty is not set.
func (p *program) refuseEmpty(*cli.Context) error {
	if p.line.empty != "" {
		return withHint(usageError("--%s is empty", p.line.empty), "nothing was done; leave the flag out if nothing is meant")
	}
	return nil
}

// readToken takes the token from the environment, else from a file. There is no flag for it.
func (p *program) readToken(file string) (string, error) {
	if token := strings.TrimSpace(os.Getenv(tokenVariable)); token != "" || file == "" {
		return token, nil
	}
	token, err := p.askFile(file, "token")
	return strings.TrimSpace(token), err
}

// readPassphrase takes a passphrase from a flag, its variable, or a file; "" when there is none.
func (p *program) readPassphrase(c *cli.Context, flag, variable string) (string, error) {
	passphrase, file := c.String(flag), c.String("passphrase-file")
	typed := p.line.typed[flag]
	switch {
	case typed && file != "":
		return "", usageError("--%s and --passphrase-file are two passphrases", flag)
	case file != "":
		return p.askFile(file, "passphrase of the secret")
	case typed:
		p.warn("a passphrase on the command line is seen by others on this machine, and stays in the shell's history: "+
			"use --passphrase-file or %s", variable)
	}
	return passphrase, nil
}

// requiredPassphrase reads the passphrase that a secret is to need, and returns its hash; nil when it needs none.
func (p *program) requiredPassphrase(c *cli.Context) (hash *string, err error) {
	passphrase, err := p.readPassphrase(c, "require-passphrase", requirePassphraseVariable)
	if err != nil || passphrase == "" {
		return nil, err
	}
	if utf8.RuneCountInString(passphrase) < minPassphrase {
		return nil, usageError("the passphrase must have %d characters at least", minPassphrase)
	}
	if c.String("passphrase-file") == "-" && isTerminal(p.in) { // nobody has seen what they typed
		again, err := p.ask("the same again")
		if err != nil {
			return nil, err
		}
		if again != passphrase {
			return nil, usageError("that is another passphrase: nothing was sent")
		}
	}
	text := crypto.HashPassphrase([]byte(passphrase))
	return &text, nil
}

// warnUnencrypted says so when a server on another machine is spoken to in the clear.
func (p *program) warnUnencrypted(server string) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "http" || isLoopback(u.Hostname()) {
		return
	}
	p.warn("%s is spoken to without TLS: whoever is on the way can read the token and take the secret; use https", u.Hostname())
}

func isLoopback(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && address.IsLoopback()
}
