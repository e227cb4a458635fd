package httpapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"

	"hakanai/httpapi/api"
	"hakanai/store"
)

// create answers POST /api/v1/secret. Who may not, and what cannot fit, is refused before the body is read.
func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	id, err := s.createSecret(w, r)
	if err != nil {
		s.failWith(w, r, err)
		return
	}
	about(w).note(id)
	s.answer(w, r, api.CreateResponse{ID: id.String()}) // if the caller is gone the secret expires unread
}

func (s *Server) createSecret(w http.ResponseWriter, r *http.Request) (store.ID, error) {
	creator, err := s.mayCreate(w, r)
	if err != nil {
		return uuid.Nil, err
	}
	limit := creator.limit
	ciphertextBound := api.CiphertextBound(limit)
	if r.ContentLength > api.RequestBound(ciphertextBound) {
		return uuid.Nil, tooLargeFor(limit)
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return uuid.Nil, refuse(http.StatusUnsupportedMediaType, "the body must not be compressed or encoded")
	}
	done, err := s.beginTransfer()
	if err != nil {
		return uuid.Nil, err
	}
	defer done()

	id, err := uuid.NewRandomFromReader(s.random)
	if err != nil {
		return uuid.Nil, fmt.Errorf("drawing an id: %w", err)
	}
	draft, err := s.store.Draft(r.Context(), id)
	if err != nil {
		return uuid.Nil, err
	}
	defer draft.Discard()
	request, err := s.readBody(w, r, draft, limit)
	if err != nil {
		return uuid.Nil, err
	}
	if time.Duration(request.expiresIn) > s.maxTTL/time.Second {
		return uuid.Nil, badRequest(fmt.Sprintf("expires_in must be from 1 to %d seconds", int64(s.maxTTL/time.Second)))
	}
	restrictions, err := s.restrictions(id, request.restrictions)
	if err != nil {
		return uuid.Nil, err
	}
	if err := draft.Commit(r.Context(), store.Secret{
		TTL:          time.Duration(request.expiresIn) * time.Second,
		Restrictions: restrictions,
		Account:      creator.account,
		Quota:        creator.quota,
	}); err != nil {
		return uuid.Nil, creator.explain(fmt.Errorf("storing a secret: %w", err))
	}
	s.created(r, id, creator, request.restrictions)
	return id, nil
}

// explain tells a creator whose quota is used up so.
func (c creator) explain(err error) error {
	if errors.Is(err, store.ErrQuota) {
		return &requestError{status: http.StatusTooManyRequests, text: c.over, retryAfter: quotaRetryAfter}
	}
	return err
}

// quotaRetryAfter is what a creator whose quota is used up is told to wait.
const quotaRetryAfter = time.Minute

// readBody streams the request into the draft, within the limits of size and of time.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, draft io.Writer, limit int64) (createBody, error) {
	buffer := s.buffers.Get().(*transferBuffer)
	defer s.buffers.Put(buffer)
	pace := s.newPace(w)
	reader := bodyReader{
		body:   &pacedReader{body: r.Body, pace: pace},
		buffer: buffer,
		data:   draft,
		bound:  api.CiphertextBound(limit),
	}
	request, err := reader.readBody()
	pace.end(err)
	if errors.Is(err, errOverBound) {
		return createBody{}, tooLargeFor(limit)
	}
	return request, bodyFailed(err)
}

func tooLargeFor(limit int64) error {
	return tooLarge(fmt.Sprintf("the secret is too large: at most %d bytes are accepted", limit))
}

// beginTransfer takes a place among the transfers, which the function it returns gives back.
func (s *Server) beginTransfer() (done func(), err error) {
	select {
	case s.transfers <- struct{}{}:
		return func() { <-s.transfers }, nil
	default:
		return nil, refuse(http.StatusServiceUnavailable, "too much is going on here just now: try again soon")
	}
}
