package api

import "net/http"

// Headers of a webhook.
const (
	DeliveryHeader  = "X-Hakanai-Delivery"  // a UUID that stays the same when the delivery is tried again
	SignatureHeader = "X-Hakanai-Signature" // t=<unix seconds>,v1=<hex HMAC-SHA256 over "<t>.<body>">
)

// What can happen to a secret.
const (
	Created   = "Created"
	Retrieved = "Retrieved"
)

// Who can have created a secret.
const (
	Anonymous     = "anonymous"     // without a token
	Authenticated = "authenticated" // with one
	Whitelisted   = "whitelisted"   // from a trusted range
)

// Event is something that has happened to a secret, for those who are to be told.
type Event struct {
	Action   string
	SecretID string
	Header   http.Header // of the request that made it happen, which may hold secrets; not to be kept

	// Of what is created:
	UserType     string
	Restrictions Restrictions // without the passphrase
}

// Webhook is the body of a webhook.
type Webhook struct {
	SecretID string `json:"secret_id"`
	Action   string `json:"action"`
	// Details are headers of the request, by name in lower case. Those of what is created have user_type too, and
	// restrictions if there are any.
	Details map[string]string `json:"details"`
}
