package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"hakanai/httpapi/api"
	"hakanai/store"
)

// link answers /s/{id}: the ciphertext for command-line clients, the page for everybody else. Link previews and
// scanners look like everybody else, and consume nothing.
func (s *Server) link(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "User-Agent, Accept")
	w.Header().Set("Cache-Control", noStore)
	if strings.HasPrefix(r.UserAgent(), api.UserAgentPrefix) && !strings.Contains(r.Header.Get("Accept"), "text/html") {
		s.only(s.retrieve, http.MethodGet)(w, r)
		return
	}
	s.only(s.linkPage, http.MethodGet, http.MethodHead)(w, r)
}

// linkPage is the page on which a person may decide to open the secret.
func (s *Server) linkPage(w http.ResponseWriter, r *http.Request) {
	if _, err := parseID(r.PathValue("id")); err != nil {
		s.failPage(w, r, http.StatusBadRequest, err.Error())
		return
	}
	s.webPage(w, r)
}

// parseID reads an id in the one form that it is written in: 36 characters, of either case.
func parseID(text string) (store.ID, error) {
	if len(text) == 36 { // uuid.Parse takes other forms as well
		if id, err := uuid.Parse(text); err == nil {
			return id, nil
		}
	}
	return uuid.Nil, badRequest("the id is not a UUID")
}

// retrieve answers GET /api/v1/secret/{id}: it claims the secret, and sends it to the one who has it now.
func (s *Server) retrieve(w http.ResponseWriter, r *http.Request) {
	claim, err := s.claim(r)
	if err != nil {
		s.failWith(w, r, err)
		return
	}
	if err := s.deliver(w, r, claim); err != nil {
		s.failWith(w, r, err)
	}
}

func (s *Server) claim(r *http.Request) (store.Claim, error) {
	id, err := parseID(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if r.Header.Get("Range") != "" {
		return nil, refuse(http.StatusRequestedRangeNotSatisfiable, "a secret is retrieved whole or not at all")
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTime)
	defer cancel()
	secret, err := s.store.Look(ctx, id)
	if err != nil {
		return nil, err
	}
	if !secret.Restrictions.None() {
		if err := s.mayRetrieve(ctx, id, secret.Restrictions, r.Header, s.caller(r)); err != nil {
			return nil, err
		}
	}
	var value [32]byte
	if _, err := io.ReadFull(s.random, value[:]); err != nil {
		return nil, fmt.Errorf("drawing a claimant's value: %w", err)
	}
	return s.store.Claim(ctx, id, sha256.Sum256(value[:]), 0)
}

// storeTime bounds what a caller waits for the store to claim a secret, all its steps together.
const storeTime = 1800 * time.Millisecond

// deliver sends the ciphertext in base64, and ends the claim. The claim is undone, and an error returned, as long as
// no byte has been handed to the connection; after that the answer is cut off, and the secret is gone.
func (s *Server) deliver(w http.ResponseWriter, r *http.Request, claim store.Claim) error {
	sent := sentBytes(r)
	before := sent()
	done, err := s.beginTransfer()
	if err == nil {
		defer done()
		err = s.send(w, r, claim)
	}
	if err == nil {
		if err := claim.Release(); err != nil {
			s.log.Error().Err(err).Msg("a retrieved ciphertext was not destroyed")
		}
		return nil
	}
	if sent() > before {
		if release := claim.Release(); release != nil {
			err = errors.Join(err, release)
		}
		s.log.Warn().Err(err).Msg("a secret was lost on its way: the connection broke")
		panic(http.ErrAbortHandler)
	}
	// The caller may be why, so the undoing must not end with the caller's context.
	undo, cancel := detached(r)
	defer cancel()
	if undoErr := claim.Undo(undo); undoErr != nil && !errors.Is(undoErr, store.ErrNotFound) {
		s.log.Error().Err(undoErr).Msg("a claim was not undone")
	}
	return err
}

// send writes the whole answer out to the connection.
func (s *Server) send(w http.ResponseWriter, r *http.Request, claim store.Claim) error {
	buffer := s.buffers.Get().(*transferBuffer)
	defer s.buffers.Put(buffer)
	pace := s.newPace(w)
	for left, first := claim.Size(), true; left > 0; first = false {
		piece := buffer.decoded[:min(left, int64(len(buffer.decoded)))]
		if _, err := io.ReadFull(claim, piece); err != nil {
			return fmt.Errorf("reading a ciphertext: %w", err)
		}
		left -= int64(len(piece))
		text := buffer.raw[:base64.StdEncoding.EncodedLen(len(piece))]
		base64.StdEncoding.Encode(text, piece)
		if first {
			if err := r.Context().Err(); err != nil { // gone while the claim was being made
				return err
			}
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Set("Content-Length", strconv.FormatInt((claim.Size()+2)/3*4, 10))
		}
		if err := pace.write(w, text); err != nil {
			return fmt.Errorf("%w: sending a secret: %w", errCaller, err)
		}
	}
	if err := pace.flush(); err != nil {
		return fmt.Errorf("%w: sending a secret: %w", errCaller, err)
	}
	return nil
}
