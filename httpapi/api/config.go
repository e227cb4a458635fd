package api

// Paths of what else clients ask a server.
const (
	ConfigPath      = "/config.json"
	AdminTokensPath = "/api/v1/admin/tokens" //nolint:gosec // a path
)

// Config answers GET /config.json.
type Config struct {
	ShowTokenInput bool     `json:"showTokenInput"`
	Features       Features `json:"features"`
	Limits         Limits   `json:"limits"`
	MaxTTL         int64    `json:"maxTTL"` // seconds
}

// Features tell what a server offers.
type Features struct {
	Impressum    bool `json:"impressum"`
	Privacy      bool `json:"privacy"`
	Restrictions struct {
		Country bool `json:"country"`
		ASN     bool `json:"asn"`
	} `json:"restrictions"`
}

// Limits are sizes of a secret in bytes, before encryption and encoding.
type Limits struct {
	Upload    int64  `json:"upload"`           // with a token
	Anonymous *int64 `json:"anonymous"`        // without one; null where a token is needed
	Caller    *int64 `json:"caller,omitempty"` // of whoever asks, 0 for any size; absent for who may not create
}

// TokenRequest is the body of POST /api/v1/admin/tokens.
type TokenRequest struct {
	UploadSizeLimit *int64 `json:"upload_size_limit,omitempty"` // bytes; the server's limit by default
	TTLSeconds      *int64 `json:"ttl_seconds,omitempty"`       // 30 days by default
}

// TokenResponse answers POST /api/v1/admin/tokens.
type TokenResponse struct {
	Token string `json:"token"` // 32 random bytes in base64url, 43 characters
}
