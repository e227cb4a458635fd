package webhook

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"hakanai/httpapi/api"
)

// DefaultHeaders are the headers of requests that events tell of unless others are chosen.
func DefaultHeaders() []string {
	return []string{"user-agent", "x-forwarded-for", "x-forwarded-proto", "x-real-ip", "x-request-id"}
}

// deniedHeaders carry what opens something. They are never told of, whatever is chosen.
func deniedHeaders() []string {
	return []string{
		"authorization", "proxy-authorization", "cookie", "set-cookie", strings.ToLower(api.PassphraseHeader), strings.ToLower(api.ClaimHeader),
	}
}

// allowedHeaders are those of names that may be told of, in lower case.
func allowedHeaders(names []string) (allowed []string) {
	for _, name := range names {
		if name = strings.ToLower(name); !slices.Contains(deniedHeaders(), name) {
			allowed = append(allowed, name)
		}
	}
	return allowed
}

const (
	maxHeader       = 1 << 10 // bytes of a header that are told
	maxRestrictions = 4 << 10 // bytes of what is told of restrictions
)

// describe puts an event into the words of a webhook.
func (s *Sender) describe(event api.Event) api.Webhook {
	hook := api.Webhook{SecretID: event.SecretID, Action: event.Action, Details: make(map[string]string)}
	for _, name := range s.headers {
		if lines := event.Header.Values(name); len(lines) > 0 {
			hook.Details[name] = cut(strings.Join(lines, ", "), maxHeader)
		}
	}
	if event.UserType != "" {
		hook.Details["user_type"] = event.UserType
	}
	if summary := summarize(event.Restrictions); summary != "" {
		hook.Details["restrictions"] = cut(summary, maxRestrictions)
	}
	return hook
}

// summarize says in a line what restrictions there are, without the passphrase.
func summarize(r api.Restrictions) string {
	var asns, kinds []string
	for _, asn := range r.AllowedASNs {
		asns = append(asns, strconv.FormatUint(uint64(asn), 10))
	}
	for _, kind := range []struct {
		name    string
		entries []string
	}{{"allowed_ips", r.AllowedIPs}, {"allowed_countries", r.AllowedCountries}, {"allowed_asns", asns}} {
		if len(kind.entries) > 0 {
			kinds = append(kinds, kind.name+": "+strings.Join(kind.entries, ", "))
		}
	}
	return strings.Join(kinds, "; ")
}

// cut shortens a text to a number of bytes, without cutting a character in two.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
