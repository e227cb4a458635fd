package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"hakanai/httpapi/api"
)

// config answers GET /config.json: what clients need to know before they send, and what the web page shows.
func (s *Server) config(w http.ResponseWriter, r *http.Request) {
	config := api.Config{
		ShowTokenInput: s.showTokenInput || !s.allowAnonymous,
		Features:       api.Features{Impressum: s.impressum != "", Privacy: s.privacy != ""},
		Limits:         api.Limits{Upload: s.uploadSizeLimit},
		MaxTTL:         int64(s.maxTTL / time.Second),
	}
	config.Features.Restrictions.Country = s.countryHeader != ""
	config.Features.Restrictions.ASN = s.asnHeader != ""
	if s.allowAnonymous {
		config.Limits.Anonymous = &s.anonymousSizeLimit
	}
	caller, err := s.mayCreate(w, r)
	var refused *requestError
	switch {
	case err == nil && caller.limit == noLimit:
		config.Limits.Caller = new(int64)
	case err == nil:
		config.Limits.Caller = &caller.limit
	case errors.As(err, &refused): // who may not create has no limit of their own
		w.Header().Del("WWW-Authenticate")
	default:
		s.failWith(w, r, err)
		return
	}
	w.Header().Set("Vary", "Authorization")
	w.Header().Set("Cache-Control", fmt.Sprintf("private, max-age=%d", configMaxAge))
	s.answer(w, r, config)
}

// configMaxAge is how long a client may keep the configuration, in seconds.
const configMaxAge = 5 * 60

// answer sends JSON with status 200.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, value any) {
	body, err := json.Marshal(value)
	if err != nil {
		s.failWith(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // if the caller is gone there is nobody to tell
}
