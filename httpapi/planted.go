//go:build !canary

package httpapi

import "net/http"

// planted is where a program that is built for a test breaks its promises: see its other file.
func (s *Server) planted(*response, *http.Request) {}
