package commands

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"hakanai/httpapi/api"
	"hakanai/httpapi/client"
)

const (
	allowIPVariable      = "HAKANAI_ALLOWED_IPS"
	allowCountryVariable = "HAKANAI_ALLOWED_COUNTRIES"
	allowASNVariable     = "HAKANAI_ALLOWED_ASNS"
)

// readRestrictions reads the flags of send that say who may retrieve the secret.
func (p *program) readRestrictions(c *cli.Context) (r api.Restrictions, err error) {
	for flag, variable := range map[string]string{
		"allow-ip": allowIPVariable, "allow-country": allowCountryVariable, "allow-asn": allowASNVariable,
	} {
		if len(entries(c, flag)) == 0 && (p.line.typed[flag] || os.Getenv(variable) != "") {
			return r, withHint(usageError("--%s, or its variable, names nobody", flag), "nothing was sent; leave it out to let everybody in")
		}
	}
	for _, text := range entries(c, "allow-ip") {
		network, err := api.ParseNetwork(text)
		if err != nil {
			return r, usageError("--allow-ip takes addresses and ranges such as 192.0.2.0/24, and %q is neither", text)
		}
		if network.IsSingleIP() {
			r.AllowedIPs = append(r.AllowedIPs, network.Addr().String())
		} else {
			r.AllowedIPs = append(r.AllowedIPs, network.String())
		}
	}
	for _, text := range entries(c, "allow-country") {
		code := strings.ToUpper(text)
		if !api.IsCountry(code) {
			return r, usageError("--allow-country takes codes of ISO 3166-1 such as DE, and %q is none", text)
		}
		r.AllowedCountries = append(r.AllowedCountries, code)
	}
	for _, text := range entries(c, "allow-asn") {
		number := text
		if len(text) > 2 && strings.EqualFold(text[:2], "AS") {
			number = text[2:]
		}
		asn, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return r, usageError("--allow-asn takes numbers from 0 to 4294967295, and %q is none", text)
		}
		r.AllowedASNs = append(r.AllowedASNs, uint32(asn))
	}
	return r, nil
}

// entries are those of a list flag, without white space and empty ones: a variable may be set to nothing.
func entries(c *cli.Context, flag string) (entries []string) {
	for _, text := range c.StringSlice(flag) {
		if text = strings.TrimSpace(text); text != "" {
			entries = append(entries, text)
		}
	}
	return entries
}

// describe says in words who may retrieve a secret.
func describe(r api.Restrictions) (lines []string) {
	if len(r.AllowedIPs) > 0 {
		lines = append(lines, "it can be retrieved only from "+strings.Join(r.AllowedIPs, ", "))
	}
	if len(r.AllowedCountries) > 0 {
		lines = append(lines, "it can be retrieved only from these countries: "+strings.Join(r.AllowedCountries, ", "))
	}
	if len(r.AllowedASNs) > 0 {
		texts := make([]string, 0, len(r.AllowedASNs))
		for _, asn := range r.AllowedASNs {
			texts = append(texts, "AS"+strconv.FormatUint(uint64(asn), 10))
		}
		lines = append(lines, "it can be retrieved only from these autonomous systems: "+strings.Join(texts, ", "))
	}
	if r.PassphraseHash != nil {
		lines = append(lines, "it can be retrieved only with the passphrase: tell it another way than the link")
	}
	return lines
}

// maxSecret bounds what is sent to a server that tells no limit, in bytes: what get would still take.
const maxSecret = 512 << 20

// askLimit asks the server, before anything is read or sealed, how many bytes a secret may have, and whether it knows the
// restrictions. A server that does not tell finds out itself.
func askLimit(ctx context.Context, server *client.Client, o sendOptions) (limit int64, err error) {
	config, err := server.Config(ctx)
	if errors.Is(err, client.ErrUnreachable) || errors.Is(err, client.ErrNoAnswer) || errors.Is(err, client.ErrSilence) {
		return 0, explainSend(ctx, err)
	}
	if err != nil {
		return maxSecret, nil
	}
	features := config.Features.Restrictions
	if len(o.restrictions.AllowedCountries) > 0 && !features.Country || len(o.restrictions.AllowedASNs) > 0 && !features.ASN {
		return 0, withHint(errors.New("the server cannot tell callers' countries or autonomous systems"),
			"nothing was sent: leave --allow-country and --allow-asn out, or use another server")
	}
	limit = config.Limits.Upload
	switch {
	case config.Limits.Caller != nil:
		limit = *config.Limits.Caller
	case o.token == "" && config.Limits.Anonymous != nil:
		limit = *config.Limits.Anonymous
	}
	if limit <= 0 || limit > maxSecret {
		return maxSecret, nil
	}
	return limit, nil
}
