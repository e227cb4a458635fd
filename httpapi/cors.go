package httpapi

import (
	"errors"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/rs/cors"

	"hakanai/httpapi/api"
)

// Pages of other origins can make a visitor's browser send requests here. Those that are listed may, and may read the
// answers (CORS). All others get nothing: not only may they not read an answer, as browsers see to; what would create a
// secret or consume one is refused before it does, in the visitor's name and from the visitor's address.

// origins are those whose pages may use this server.
type origins struct {
	cors       *cors.Cors // nil if there are none
	protection *http.CrossOriginProtection
}

func newOrigins(list []string) origins {
	o := origins{protection: http.NewCrossOriginProtection()}
	if len(list) == 0 {
		return o
	}
	listed := make(map[string]bool)
	for _, origin := range list {
		listed[origin] = true
		if err := o.protection.AddTrustedOrigin(origin); err != nil {
			panic(err) // ParseOrigin refuses what this does
		}
	}
	o.cors = cors.New(cors.Options{
		AllowOriginFunc: func(origin string) bool { return listed[origin] }, // to the letter, as browsers write it
		AllowedMethods:  []string{http.MethodGet, http.MethodPost, http.MethodDelete},
		AllowedHeaders: []string{
			"Content-Type", "Authorization", api.PassphraseHeader, api.ClaimHeader, "X-Request-Id", "Range",
		},
		ExposedHeaders: []string{"Content-Length", "Content-Range", "Accept-Ranges", api.LeaseHeader, "Retry-After"},
		MaxAge:         corsMaxAge,
	})
	return o
}

// corsMaxAge is how long a browser may remember what an origin may do, in seconds.
const corsMaxAge = 10 * 60

// shared lets pages of the listed origins read a handler's answers. Browsers do not apply the
// Cross-Origin-Resource-Policy of all answers to what is asked for in this way.
func (s *Server) shared(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.origins.cors == nil {
			handler(w, r)
			return
		}
		s.origins.cors.ServeHTTP(w, r, handler)
	}
}

// guarded keeps pages of origins that are not listed away from a handler, whatever the method: a GET consumes.
func (s *Server) guarded(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		unsafe := *r
		unsafe.Method = http.MethodPost // what the protection lets pass unseen is what is called safe
		if err := s.origins.protection.Check(&unsafe); err != nil {
			s.fail(w, r, http.StatusForbidden, "pages of other sites may not do this here")
			return
		}
		handler(w, r)
	}
}

var errOrigin = errors.New("an origin looks like https://app.example.com or http://localhost:3000: a scheme, a host, " +
	"a port if it is not the usual one, and no path")

// ParseOrigin reads an origin, and writes it as browsers do: in lower case, without the usual port.
func ParseOrigin(text string) (string, error) {
	u, err := url.Parse(strings.ToLower(text))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !isHost(u.Hostname()) {
		return "", errOrigin
	}
	if u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#") {
		return "", errOrigin
	}
	usual := map[string]string{"http": "80", "https": "443"}[u.Scheme]
	switch port, err := strconv.ParseUint(u.Port(), 10, 16); {
	case u.Port() == "" && strings.HasSuffix(u.Host, ":"):
		return "", errOrigin
	case u.Port() == "":
	case err != nil || port == 0:
		return "", errOrigin
	case u.Port() == usual:
		u.Host = strings.TrimSuffix(u.Host, ":"+usual)
	}
	return u.Scheme + "://" + u.Host, nil
}

// isHost tells whether a text is a host as an origin can have one: a name in ASCII, with no wildcard in it, or an address.
func isHost(text string) bool {
	if net.ParseIP(text) != nil {
		return true
	}
	return text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789-._") == ""
}
