package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/segmentio/asm/base64"

	"hakanai/httpapi/api"
	"hakanai/store"
)

// link answers /s/{id}: the ciphertext for command-line clients, the page for everybody else. Link previews and
// scanners look like everybody else, and consume nothing.
func (s *Server) link(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Vary", "User-Agent, Accept")
	w.Header().Set("Cache-Control", noStore)
	if isClient(r) {
		s.only(s.guarded(s.secret), http.MethodGet, http.MethodDelete)(w, r)
		return
	}
	s.only(s.linkPage, http.MethodGet, http.MethodHead)(w, r)
}

// isClient tells command-line clients, which want the ciphertext, from everybody else.
func isClient(r *http.Request) bool {
	return strings.HasPrefix(r.UserAgent(), api.UserAgentPrefix) && !strings.Contains(r.Header.Get("Accept"), "text/html")
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

// secret answers on a secret's own path: GET retrieves it, DELETE ends a claim.
func (s *Server) secret(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodDelete {
		s.endLease(w, r)
	} else {
		s.retrieve(w, r)
	}
}

// retrieve claims the secret, and sends it to the one who has it now.
func (s *Server) retrieve(w http.ResponseWriter, r *http.Request) {
	done, err := s.beginTransfer() // before anything is claimed
	if err != nil {
		s.failRetrieval(w, r, err)
		return
	}
	defer done()
	claim, err := s.claim(r)
	if err != nil {
		s.failRetrieval(w, r, err)
		return
	}
	if err := s.deliver(w, r, claim); err != nil {
		s.failRetrieval(w, r, err)
	}
}

func (s *Server) failRetrieval(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, errRange) {
		s.fail(w, r, http.StatusRequestedRangeNotSatisfiable, "there is no such part: a secret is retrieved whole, and only its "+
			"claimant may ask for the rest of it")
		return
	}
	s.failWith(w, r, err)
}

func (s *Server) claim(r *http.Request) (store.Claim, error) {
	id, err := parseID(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	claimant, leased, err := s.claimant(r.Header)
	if err != nil {
		return nil, err
	}
	if !leased && len(r.Header.Values("Range")) > 0 {
		return nil, errRange
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeTime)
	defer cancel()
	if !leased {
		claim, err := s.store.ClaimUnseen(ctx, id, claimant, 0, math.MaxInt64)
		if errors.Is(err, store.ErrLook) {
			claim, err = s.claimOnce(ctx, r, id, func(store.Secret) (store.Claim, error) { return s.store.Claim(ctx, id, claimant, 0) })
		}
		return claim, err
	}
	if len(r.Header.Values("Range")) == 0 {
		claim, err := s.store.ClaimUnseen(ctx, id, claimant, minLease, shortestLeased)
		if !errors.Is(err, store.ErrLook) && !errors.Is(err, store.ErrGone) {
			return claim, err
		}
	}
	for range maxLooks {
		claim, err := s.claimOnce(ctx, r, id, func(secret store.Secret) (store.Claim, error) {
			if _, _, err := readRange(r.Header, encodedLen(secret.Size)); err != nil {
				return nil, err
			}
			return s.store.Claim(ctx, id, claimant, leaseOf(secret.Size))
		})
		if !errors.Is(err, store.ErrGone) {
			return claim, err
		}
		// Perhaps the caller is the one who has it. Who has it need not be asked again who they are.
		claim, err = s.store.Resume(ctx, id, claimant, placeOf(r.Header))
		if !errors.Is(err, store.ErrNotFound) {
			return claim, err
		}
		// The claim has just been undone: what stands before the secret stands before this caller too.
	}
	return nil, fmt.Errorf("%w: the secret is claimed and given back again and again", store.ErrDown)
}

// maxLooks is how often a caller looks at a secret that others claim and give back meanwhile.
const maxLooks = 3

// claimOnce checks what stands before a secret, and claims it.
func (s *Server) claimOnce(
	ctx context.Context, r *http.Request, id store.ID, claim func(store.Secret) (store.Claim, error),
) (store.Claim, error) {
	secret, err := s.store.Look(ctx, id)
	if err != nil {
		return nil, err
	}
	if !secret.Restrictions.None() {
		if err := s.mayRetrieve(ctx, id, secret.Restrictions, r.Header, s.caller(r)); err != nil {
			return nil, err
		}
	}
	return claim(secret)
}

// storeTime bounds what a caller waits for the store to claim a secret, all its steps together.
const storeTime = 1800 * time.Millisecond

// deliver sends the ciphertext in base64, or the part of it that is asked for, and releases the claim. The claim is undone,
// and an error returned, as long as no byte has been handed to the connection; after that the answer is cut off. A claimant
// with a lease may ask again.
func (s *Server) deliver(w http.ResponseWriter, r *http.Request, claim store.Claim) error {
	sent := sentBytes(r)
	before := sent()
	tell := sync.OnceFunc(func() {
		if claim.First() {
			s.retrieved(r)
		}
	})
	begun := func() { // a large secret is told of when it begins to leave
		if sent() > before {
			tell()
		}
	}
	err := s.send(w, r, claim, begun)
	if err == nil {
		tell()
		if err := claim.Release(); err != nil {
			s.log.Error().EmbedObject(about(w)).Err(err).Msg("a retrieved ciphertext was not destroyed")
		}
		return nil
	}
	if sent() > before {
		tell()
		if release := claim.Release(); release != nil {
			err = errors.Join(err, release)
		}
		if claim.Lease() > 0 {
			s.log.Info().EmbedObject(about(w)).Err(err).
				Msg("a secret is still on its way: the connection broke, and its claimant may ask again")
		} else {
			s.log.Warn().EmbedObject(about(w)).Err(err).Msg("a secret was lost on its way: the connection broke")
		}
		panic(http.ErrAbortHandler)
	}
	// The caller may be why, so the undoing must not end with the caller's context.
	undo, cancel := detached(r)
	defer cancel()
	undoErr := claim.Undo(undo)
	if errors.Is(undoErr, store.ErrGone) { // its claimant has come back: it stays
		tell()
	}
	if undoErr != nil && !errors.Is(undoErr, store.ErrNotFound) && !errors.Is(undoErr, store.ErrGone) {
		s.log.Error().EmbedObject(about(w)).Err(undoErr).Msg("a claim was not undone")
	}
	return err
}

// send writes the answer out to the connection. It calls begun after each piece.
func (s *Server) send(w http.ResponseWriter, r *http.Request, claim store.Claim, begun func()) error {
	length := encodedLen(claim.Size())
	part, partial, err := readRange(r.Header, length)
	if err != nil {
		return err
	}
	// Base64 turns groups of three bytes into four: it begins with the group that the part begins in.
	if err := claim.SeekTo(min(part.first/4*3, claim.Size())); err != nil {
		return err
	}
	buffer := s.buffers.Get().(*transferBuffer)
	defer s.buffers.Put(buffer)
	pace := s.newPace(w)
	for at := part.first; at < part.last; {
		group := at / 4
		piece := buffer.decoded[:min(claim.Size()-group*3, int64(len(buffer.decoded)))]
		if _, err := io.ReadFull(claim, piece); err != nil {
			return fmt.Errorf("reading a ciphertext: %w", err)
		}
		text := buffer.raw[:base64.StdEncoding.EncodedLen(len(piece))]
		base64.StdEncoding.Encode(text, piece)
		text = text[at-group*4 : min(part.last-group*4, int64(len(text)))]
		if at == part.first {
			if err := r.Context().Err(); err != nil { // gone while the claim was being made
				return err
			}
			begin(w, claim, part, length, partial)
		}
		if err := pace.write(w, text); err != nil {
			return callerFailed("sending a secret", err)
		}
		begun()
		at += int64(len(text))
	}
	if err := pace.flush(); err != nil {
		return callerFailed("sending a secret", err)
	}
	return nil
}

// begin writes the answer's head.
func begin(w http.ResponseWriter, claim store.Claim, part span, length int64, partial bool) {
	h := w.Header()
	h.Set("Content-Type", "text/plain")
	h.Set("Content-Length", strconv.FormatInt(part.last-part.first, 10))
	if lease := claim.Lease(); lease > 0 {
		h.Set("Accept-Ranges", "bytes")
		h.Set(api.LeaseHeader, strconv.FormatInt(int64(lease/time.Second), 10))
	}
	if partial {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.first, part.last-1, length))
		w.WriteHeader(http.StatusPartialContent)
	}
}
