package httpapi

import (
	"maps"
	"net/http"
	"strings"
)

// contentSecurityPolicy lets a page load scripts, styles and pictures from this server alone, run no script that is not a
// file, turn no text into markup, and be in no frame.
const contentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; font-src 'self'; " +
	"connect-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

// permissionsPolicy turns off whatever a page could ask a browser for, but for the clipboard. The system's share sheet is not
// named: browsers that have it allow it to a page of its own, and others complain of the name.
const permissionsPolicy = "accelerometer=(), autoplay=(), camera=(), clipboard-read=(self), clipboard-write=(self), " +
	"display-capture=(), encrypted-media=(), fullscreen=(), gamepad=(), geolocation=(), gyroscope=(), hid=(), " +
	"identity-credentials-get=(), idle-detection=(), local-fonts=(), magnetometer=(), microphone=(), midi=(), " +
	"otp-credentials=(), payment=(), picture-in-picture=(), publickey-credentials-create=(), publickey-credentials-get=(), " +
	"screen-wake-lock=(), serial=(), storage-access=(), sync-xhr=(), usb=(), window-management=(), " +
	"xr-spatial-tracking=()"

const (
	noStore    = "no-store, no-transform"
	noStoreAPI = "no-cache, no-store, must-revalidate, no-transform"
	immutable  = "public, max-age=31536000, immutable, no-transform"
)

// always is what every answer carries, whatever it is and however it ends.
var always = http.Header{ //nolint:gochecknoglobals // constant
	"Cache-Control":                {noStoreAPI},
	"Content-Security-Policy":      {contentSecurityPolicy},
	"Cross-Origin-Embedder-Policy": {"require-corp"},
	"Cross-Origin-Opener-Policy":   {"same-origin"},
	"Cross-Origin-Resource-Policy": {"same-origin"},
	"Permissions-Policy":           {permissionsPolicy},
	"Referrer-Policy":              {"no-referrer"},
	"X-Content-Type-Options":       {"nosniff"},
	"X-Frame-Options":              {"DENY"},
	"X-Robots-Tag":                 {"noindex, nofollow"},
}

// setHeaders sets what all answers carry. They share the values: who sets another sets it for one answer alone.
func (s *Server) setHeaders(h http.Header, r *http.Request) {
	maps.Copy(h, always)
	if s.overTLS(r) {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// overTLS tells whether the request came over HTTPS, to this server or to a trusted proxy before it.
func (s *Server) overTLS(r *http.Request) bool {
	return r.TLS != nil || s.fromProxy(r) && strings.EqualFold(single(r.Header, "X-Forwarded-Proto"), "https")
}
