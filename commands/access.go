package commands

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/urfave/cli/v2"

	"hakanai/httpapi"
	"hakanai/httpapi/api"
)

// accessFlags are the settings of serve that say who may do what.
type accessFlags struct {
	anonymousLimit                size
	anonymousQuota, tokenQuota    quota
	trustedRanges, trustedProxies networks
}

// Quotas of servers whose operator has set none; more where a secret of the largest size would not fit.
const (
	defaultAnonymousQuota = 256 << 20
	defaultTokenQuota     = 2 << 30
)

func newAccessFlags() *accessFlags {
	return &accessFlags{
		anonymousLimit: httpapi.DefaultAnonymousSizeLimit, anonymousQuota: defaultAnonymousQuota, tokenQuota: defaultTokenQuota,
		trustedProxies: httpapi.DefaultTrustedProxies(),
	}
}

func (a *accessFlags) flags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{
			Name: "allow-anonymous", EnvVars: []string{"HAKANAI_ALLOW_ANONYMOUS"}, Usage: "let callers without a token create secrets",
		},
		&cli.GenericFlag{
			Name: "anonymous-size-limit", EnvVars: []string{"HAKANAI_ANONYMOUS_UPLOAD_SIZE_LIMIT"}, Value: &a.anonymousLimit,
			Usage: "the `SIZE` a secret of a caller without a token may have",
		},
		&cli.GenericFlag{
			Name: "anonymous-quota", EnvVars: []string{"HAKANAI_ANONYMOUS_QUOTA"}, Value: &a.anonymousQuota,
			DefaultText: "256m, or as much as the largest secret needs",
			Usage:       "the `SIZE` of all secrets together that callers without a token may have stored; none for any",
		},
		&cli.GenericFlag{
			Name: "token-quota", EnvVars: []string{"HAKANAI_TOKEN_QUOTA"}, Value: &a.tokenQuota,
			DefaultText: "2g, or as much as the largest secret needs",
			Usage:       "the `SIZE` of all secrets together that may be stored with one token; none for any",
		},
		&cli.BoolFlag{
			Name: "enable-admin-token", EnvVars: []string{"HAKANAI_ENABLE_ADMIN_TOKEN"},
			Usage: "let who has the admin token make user tokens, from --trusted-ip-ranges",
		},
		&cli.GenericFlag{
			Name: "trusted-ip-ranges", EnvVars: []string{"HAKANAI_TRUSTED_IP_RANGES"}, Value: &a.trustedRanges, DefaultText: "none",
			Usage: "`RANGES` (CIDR, comma-separated) whose callers have no size limit and no quota, and alone may use the admin token",
		},
		&cli.GenericFlag{
			Name: "trusted-proxies", EnvVars: []string{"HAKANAI_TRUSTED_PROXIES"}, Value: &a.trustedProxies,
			DefaultText: "loopback and private ranges",
			Usage:       "`RANGES` of the proxies whose headers are believed; none for no proxy",
		},
		&cli.StringFlag{
			Name: "trusted-ip-header", EnvVars: []string{"HAKANAI_TRUSTED_IP_HEADER"}, Value: strings.ToLower(httpapi.DefaultAddressHeader),
			Usage: "the `HEADER` in which proxies tell the caller's address",
		},
		&cli.StringFlag{
			Name: "country-header", EnvVars: []string{"HAKANAI_COUNTRY_HEADER"}, DefaultText: "none",
			Usage: "the `HEADER` in which proxies tell the caller's country, such as cf-ipcountry",
		},
		&cli.StringFlag{
			Name: "asn-header", EnvVars: []string{"HAKANAI_ASN_HEADER"}, DefaultText: "none",
			Usage: "the `HEADER` in which proxies tell the number of the caller's autonomous system",
		},
		&cli.BoolFlag{
			Name: "show-token-input", EnvVars: []string{"HAKANAI_SHOW_TOKEN_INPUT"},
			Usage: "let the web page ask for a token even where none is needed",
		},
	}
}

// read checks the settings, and puts them into the server's options. The options' UploadSizeLimit is set already.
func (a *accessFlags) read(c *cli.Context, options *httpapi.Options) error {
	options.AllowAnonymous = c.Bool("allow-anonymous")
	options.AnonymousSizeLimit = int64(a.anonymousLimit)
	options.AdminTokens = c.Bool("enable-admin-token")
	options.TrustedRanges, options.TrustedProxies = a.trustedRanges, a.trustedProxies
	options.ShowTokenInput = c.Bool("show-token-input")
	if options.AnonymousSizeLimit > options.UploadSizeLimit {
		if c.IsSet("anonymous-size-limit") {
			return usageError("--anonymous-size-limit must not be above --upload-size-limit")
		}
		options.AnonymousSizeLimit = options.UploadSizeLimit
	}
	if err := a.readQuotas(c, options); err != nil {
		return err
	}
	if options.AdminTokens && len(options.TrustedRanges) == 0 {
		return withHint(usageError("--enable-admin-token needs --trusted-ip-ranges"),
			"an admin token is good only from a trusted range, such as --trusted-ip-ranges 127.0.0.0/8")
	}
	for _, header := range []struct {
		name  string
		value *string
	}{
		{"trusted-ip-header", &options.AddressHeader}, {"country-header", &options.CountryHeader}, {"asn-header", &options.ASNHeader},
	} {
		text := c.String(header.name)
		if !isHeaderName(text) {
			return usageError("--%s must be the name of a header, and is %q", header.name, text)
		}
		*header.value = http.CanonicalHeaderKey(text)
	}
	return nil
}

// readQuotas sees to it that one secret of the largest size fits: it raises a quota that is not set, and refuses one
// that is.
func (a *accessFlags) readQuotas(c *cli.Context, options *httpapi.Options) error {
	for _, quota := range []struct {
		name      string
		set       quota
		sizeLimit int64
		needed    bool
		value     *int64
	}{
		{"anonymous-quota", a.anonymousQuota, options.AnonymousSizeLimit, options.AllowAnonymous, &options.AnonymousQuota},
		{"token-quota", a.tokenQuota, options.UploadSizeLimit, true, &options.TokenQuota},
	} {
		least := httpapi.QuotaFor(quota.sizeLimit)
		*quota.value = int64(quota.set)
		switch fits := quota.set == 0 || int64(quota.set) >= least; {
		case fits || !quota.needed:
		case c.IsSet(quota.name):
			return withHint(usageError("--%s must be %d bytes at least, so that one secret of the largest size fits", quota.name, least),
				"a secret takes up to 1.5 times its size; --"+quota.name+" none sets no bound")
		default:
			*quota.value = least
		}
	}
	return nil
}

// isHeaderName tells whether a text can name a header (RFC 9110, section 5.1), in the characters that are used.
func isHeaderName(text string) bool {
	return strings.Trim(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// quota is a flag's size that may be none, or 0: any.
type quota size

var errQuota = fmt.Errorf("%w; none or 0 sets no bound", errSize)

// Set implements flag.Value.
func (q *quota) Set(text string) error {
	if text == "none" || text == "0" {
		*q = 0
		return nil
	}
	if (*size)(q).Set(text) != nil {
		return errQuota
	}
	return nil
}

// String implements flag.Value.
func (q *quota) String() string {
	if *q == 0 {
		return "none"
	}
	return (*size)(q).String()
}

// networks is a flag's list of address ranges.
type networks []netip.Prefix

var errNetworks = errors.New("ranges look like 192.0.2.0/24,2001:db8::/32; a single address is one too")

// Set implements flag.Value. Each call replaces the list.
func (n *networks) Set(text string) error {
	*n = nil
	if text == "" || text == "none" {
		return nil
	}
	for _, entry := range strings.Split(text, ",") {
		network, err := api.ParseNetwork(strings.TrimSpace(entry))
		if err != nil {
			return errNetworks
		}
		*n = append(*n, network)
	}
	return nil
}

// String implements flag.Value.
func (n *networks) String() string {
	texts := make([]string, 0, len(*n))
	for _, network := range *n {
		texts = append(texts, network.String())
	}
	return strings.Join(texts, ",")
}
