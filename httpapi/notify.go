package httpapi

import (
	"net/http"

	"hakanai/httpapi/api"
	"hakanai/store"
)

// created tells of a secret that is there now.
func (s *Server) created(r *http.Request, id store.ID, by creator, restrictions api.Restrictions) {
	restrictions.PassphraseHash = nil
	s.notify(api.Event{
		Action: api.Created, SecretID: id.String(), Header: r.Header, UserType: by.kind, Restrictions: restrictions,
	})
}

// retrieved counts, and tells of, a secret that somebody has. It is for the first claim alone, once it cannot be undone any more.
func (s *Server) retrieved(r *http.Request) {
	s.metrics.Retrieved()
	id, err := parseID(r.PathValue("id"))
	if err == nil { // or there would have been nothing to retrieve
		s.notify(api.Event{Action: api.Retrieved, SecretID: id.String(), Header: r.Header})
	}
}
