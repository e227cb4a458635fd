// Package httpapi is Hakanai's server: its routes, who may do what, and the limits that keep one caller from being
// everybody's trouble. It moves ciphertext between requests and a store, piece by piece, and cannot decrypt: it imports
// no cryptography of this project, and a test sees to that.
package httpapi

import (
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"path"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"hakanai/httpapi/api"
	"hakanai/store"
	"hakanai/telemetry"
	"hakanai/webui"
)

// Options are the settings of New. Store is required; every zero value is safe.
type Options struct {
	Store           store.Store
	Log             zerolog.Logger
	Random          io.Reader     // crypto/rand by default
	UploadSizeLimit int64         // bytes of a secret before encryption and encoding; 10 MiB by default
	MaxTTL          time.Duration // 7 days by default

	AllowAnonymous     bool  // callers without a token may create
	AnonymousSizeLimit int64 // their UploadSizeLimit; 32 KiB by default
	AdminTokens        bool  // the admin API is there

	// AnonymousQuota and TokenQuota bound what all callers without a token together, and each token, may have stored (as
	// store.Charge counts it); 0 for any. Less than QuotaFor a size limit lowers that.
	AnonymousQuota, TokenQuota int64

	// TrustedRanges hold callers who have no size limit and no quota, and who alone reach the admin API.
	TrustedRanges []netip.Prefix
	// TrustedProxies hold the proxies whose headers say who the caller is. Without one, connections do.
	TrustedProxies []netip.Prefix
	AddressHeader  string // where proxies tell the caller's address; X-Forwarded-For by default
	CountryHeader  string // where they tell the caller's country; "" where they do not
	ASNHeader      string // likewise the autonomous system's number

	ShowTokenInput bool // the web page asks for a token even where none is needed

	// Impressum and Privacy are the operator's texts, plain, for pages of their own; "" for none.
	Impressum, Privacy string

	Metrics      *telemetry.Metrics // some that nobody reads by default
	Tracer       *telemetry.Tracer  // nil for no traces
	LogSecretIDs bool               // requests are logged with the ids of their secrets
	// Origins are those whose pages may use the API from a browser, besides this server's own. See ParseOrigin.
	Origins []string

	// Notify learns of every secret that is created or retrieved. It must return at once. nil for nobody.
	Notify func(api.Event)
}

// The defaults of Options.
const (
	DefaultUploadSizeLimit = 10 << 20
	DefaultMaxTTL          = 7 * 24 * time.Hour

	DefaultAnonymousSizeLimit = 32 << 10
	DefaultAddressHeader      = "X-Forwarded-For"
)

// maxTransfers bounds how many secrets are on their way in and out at once, and with it the memory that they take
// (128 KiB each at most, 256 MiB in all). Who comes later gets 503.
const maxTransfers = 2048

// Server answers Hakanai's API. It is an http.Handler; Serve runs it with the time limits that it needs.
type Server struct {
	store           store.Store
	log             zerolog.Logger
	random          io.Reader
	uploadSizeLimit int64
	maxTTL          time.Duration
	pace            paceLimits

	allowAnonymous             bool
	anonymousSizeLimit         int64
	adminTokens                bool
	anonymousQuota, tokenQuota int64

	trustedRanges, trustedProxies           []netip.Prefix
	addressHeader, countryHeader, asnHeader string

	showTokenInput     bool
	impressum, privacy string
	origins            origins
	notify             func(api.Event)

	metrics *telemetry.Metrics
	tracer  *telemetry.Tracer
	secrets *secretNames

	handler   http.Handler // what Serve serves: the server itself, unless a test looks on
	mux       router
	pages     pages
	transfers chan struct{} // one place a transfer
	buffers   sync.Pool     // *transferBuffer
	health    health
	draining  atomic.Bool
}

// New returns a server over a store. The store is not closed by it.
func New(options Options) *Server {
	s := &Server{
		store:           options.Store,
		log:             options.Log,
		random:          options.Random,
		uploadSizeLimit: options.UploadSizeLimit,
		maxTTL:          options.MaxTTL,
		pace:            defaultPace(),

		allowAnonymous:     options.AllowAnonymous,
		anonymousSizeLimit: options.AnonymousSizeLimit,
		adminTokens:        options.AdminTokens,
		anonymousQuota:     options.AnonymousQuota,
		tokenQuota:         options.TokenQuota,
		trustedRanges:      options.TrustedRanges,
		trustedProxies:     options.TrustedProxies,
		addressHeader:      options.AddressHeader,
		countryHeader:      options.CountryHeader,
		asnHeader:          options.ASNHeader,
		showTokenInput:     options.ShowTokenInput,
		impressum:          options.Impressum,
		privacy:            options.Privacy,
		origins:            newOrigins(options.Origins),
		notify:             options.Notify,

		metrics: options.Metrics,
		tracer:  options.Tracer,

		pages:     readPages(webui.Files()),
		transfers: make(chan struct{}, maxTransfers),
	}
	if s.random == nil {
		s.random = rand.Reader
	}
	if s.uploadSizeLimit == 0 {
		s.uploadSizeLimit = DefaultUploadSizeLimit
	}
	if s.maxTTL == 0 {
		s.maxTTL = DefaultMaxTTL
	}
	if s.anonymousSizeLimit == 0 {
		s.anonymousSizeLimit = DefaultAnonymousSizeLimit
	}
	if s.addressHeader == "" {
		s.addressHeader = DefaultAddressHeader
	}
	if s.metrics == nil {
		s.metrics = telemetry.NewMetrics("")
	}
	s.secrets = newSecretNames(options.LogSecretIDs)
	if s.notify == nil {
		s.notify = func(api.Event) {}
	}
	s.buffers.New = func() any { return new(transferBuffer) }
	s.health.check = s.store.Check
	s.handler = s
	s.pages.addDescription()
	s.routes()
	return s
}

// routes names every path. Methods are checked by the handlers: a GET pattern of ServeMux answers HEAD too, and a HEAD
// must not consume a secret.
func (s *Server) routes() {
	s.mux.HandleFunc(api.SecretPath, s.shared(s.only(s.guarded(s.create), http.MethodPost)))
	s.mux.HandleFunc(api.SecretPath+"/{id}", s.shared(s.only(s.guarded(s.secret), http.MethodGet, http.MethodDelete)))
	s.mux.HandleFunc(api.LinkPath+"/{id}", s.link)
	s.mux.HandleFunc(api.ConfigPath, s.shared(s.only(s.config, http.MethodGet, http.MethodHead)))
	if s.adminTokens {
		s.mux.HandleFunc(api.AdminTokensPath, s.only(s.guarded(s.makeToken), http.MethodPost))
	}
	s.mux.HandleFunc("/ready", s.only(s.ready, http.MethodGet, http.MethodHead))
	s.mux.HandleFunc("/healthy", s.only(s.healthy, http.MethodGet, http.MethodHead))
	s.pageRoutes()
	s.mux.HandleFunc("/", s.nothing)
}

// router is a ServeMux that remembers what it was told, so that a test can compare that with the description.
type router struct {
	http.ServeMux
	patterns []string
}

func (m *router) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	m.patterns = append(m.patterns, pattern)
	m.ServeMux.HandleFunc(pattern, handler)
}

func (s *Server) nothing(w http.ResponseWriter, r *http.Request) {
	s.failPage(w, r, http.StatusNotFound, "there is nothing here")
}

// only lets the methods named reach a handler, each exactly.
func (s *Server) only(handler http.HandlerFunc, methods ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, method := range methods {
			if r.Method == method {
				handler(w, r)
				return
			}
		}
		w.Header().Set("Allow", strings.Join(methods, ", "))
		s.fail(w, r, http.StatusMethodNotAllowed, "this path answers only "+strings.Join(methods, " and "))
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w, r := s.observe(rw, r)
	s.setHeaders(w.Header(), r)
	defer func() {
		if p := recover(); p != nil {
			s.panicked(w, r, p)
		}
		s.observed(w, r)
		if w.abort {
			panic(http.ErrAbortHandler) // net/http's way to cut the connection
		}
	}()
	s.planted(w, r)
	if r.ContentLength != 0 { // a body that nobody reads must not keep net/http waiting for its end
		_ = http.NewResponseController(rw).SetReadDeadline(w.start.Add(readHeaderTimeout))
	}
	// Only the plain spelling of a path is one: nothing is cleaned, unescaped or redirected on the way to a secret.
	if r.URL.RawPath != "" || path.Clean(r.URL.Path) != r.URL.Path {
		s.nothing(w, r)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// panicked answers a request whose handler panicked, without a word of the request in the log.
func (s *Server) panicked(w *response, r *http.Request, p any) {
	if err, ok := p.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		w.abort = true
		return
	}
	s.log.Error().EmbedObject(w).Str("stack", string(debug.Stack())).Msg("a request's handler panicked")
	if w.status == 0 {
		s.fail(w, r, http.StatusInternalServerError, "something went wrong here")
	} else {
		w.abort = true
	}
}
