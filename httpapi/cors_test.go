package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"hakanai/httpapi/api"
)

func TestOriginsAreReadAsBrowsersWriteThem(t *testing.T) {
	for text, want := range map[string]string{
		"https://app.example.com":       "https://app.example.com",
		"HTTPS://App.Example.COM":       "https://app.example.com",
		"https://app.example.com:443":   "https://app.example.com",
		"http://app.example.com:80":     "http://app.example.com",
		"http://app.example.com:443":    "http://app.example.com:443",
		"https://app.example.com:8443":  "https://app.example.com:8443",
		"http://localhost:3000":         "http://localhost:3000",
		"https://192.0.2.1":             "https://192.0.2.1",
		"https://[2001:db8::1]:443":     "https://[2001:db8::1]",
		"https://xn--bcher-kva.example": "https://xn--bcher-kva.example",
	} {
		if got, err := ParseOrigin(text); got != want || err != nil {
			t.Errorf("%s is %q, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "*", "null", "https://*", "https://*.example.com", "https://*:443", "example.com", "//example.com", "https://", "https:///", "https://:443",
		"https://example.com/", "https://example.com/x", "https://example.com?", "https://example.com?x", "https://example.com#", "https://example.com#x",
		"https://user@example.com", "https://example.com:", "https://example.com:0", "https://example.com:65536", "https://example.com:x",
		"ftp://example.com", "file://", "chrome-extension://abc", "https://bücher.example", "https://exa mple.com", "https://example.com https://b.example",
		"https://%65xample.com", "https://[::1", "http:example.com",
	} {
		if got, err := ParseOrigin(text); err == nil {
			t.Errorf("%q is taken for %q", text, got)
		}
	}
}

const listed = "https://app.example.com"

// corsSite is a server that pages of some origins may use.
func corsSite(t *testing.T, list ...string) *site {
	return newFullSite(t, func(s *Server) {
		s.origins = newOrigins(list)
		s.allowAnonymous = true
	})
}

// sharedHeaders are those headers of an answer that let a page of another origin have it.
func sharedHeaders(h http.Header) (names []string) {
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func wantNothing(t *testing.T, about string, h http.Header) {
	t.Helper()
	if names := sharedHeaders(h); len(names) > 0 {
		t.Errorf("%s gets %v", about, names)
	}
}

func TestAPageOfAListedOriginMayCreateAndRetrieve(t *testing.T) {
	for _, origin := range []string{listed, "http://localhost:3000"} {
		s := corsSite(t, listed, "http://localhost:3000")
		for _, method := range []string{"GET", "POST", "DELETE"} {
			path := api.SecretPath
			if method != "POST" {
				path += "/" + s.create([]byte("abc"))
			}
			status, body, h := s.do(http.MethodOptions, path, nil, "Origin", origin, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors",
				"Access-Control-Request-Method", method,
				"Access-Control-Request-Headers", "authorization,content-type,range,x-hakanai-claim,x-request-id,x-secret-passphrase")
			if status != http.StatusNoContent || body != "" || h.Get("Access-Control-Allow-Origin") != origin ||
				h.Get("Access-Control-Allow-Methods") != method || h.Get("Access-Control-Max-Age") != "600" ||
				h.Get("Access-Control-Allow-Headers") != "authorization,content-type,range,x-hakanai-claim,x-request-id,x-secret-passphrase" {
				t.Errorf("the preflight of %s is %d %v", method, status, h)
			}
			if !strings.Contains(strings.Join(h.Values("Vary"), ","), "Origin") || h.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("the preflight of %s has %v", method, h)
			}
		}
		status, body, h := s.do(http.MethodPost, api.SecretPath, strings.NewReader(`{"data":"QUJD","expires_in":60}`),
			"Origin", origin, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors")
		if status != http.StatusOK {
			t.Fatalf("creating: %d %s", status, body)
		}
		wantShared(t, "creating", origin, h)
		id := s.create([]byte("abc"))
		status, body, h = s.do(http.MethodGet, api.SecretPath+"/"+id, nil, "Origin", origin, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors")
		if status != http.StatusOK || body != "YWJj" {
			t.Errorf("retrieving: %d %s", status, body)
		}
		wantShared(t, "retrieving", origin, h)
		status, _, h = s.do(http.MethodGet, api.SecretPath+"/"+id, nil, "Origin", origin, "Sec-Fetch-Site", "cross-site")
		if status != http.StatusGone {
			t.Errorf("retrieving again: %d", status)
		}
		wantShared(t, "a refusal", origin, h) // the page must see why
		status, _, h = s.do(http.MethodGet, api.ConfigPath, nil, "Origin", origin, "Sec-Fetch-Site", "cross-site")
		if status != http.StatusOK || !strings.Contains(strings.Join(h.Values("Vary"), ","), "Origin") {
			t.Errorf("the configuration: %d %v", status, h)
		}
		wantShared(t, "the configuration", origin, h)
	}
}

// wantShared checks what lets a page have an answer. That the answer has a Cross-Origin-Resource-Policy for this origin
// alone takes nothing away: browsers apply that one to what is loaded without CORS (Fetch, section 3.7).
func wantShared(t *testing.T, about, origin string, h http.Header) {
	t.Helper()
	const exposed = "Content-Length, Content-Range, Accept-Ranges, X-Hakanai-Lease, Retry-After"
	if h.Get("Access-Control-Allow-Origin") != origin || h.Get("Access-Control-Expose-Headers") != exposed || len(sharedHeaders(h)) != 2 {
		t.Errorf("%s has %v", about, h)
	}
	if h.Get("Cross-Origin-Resource-Policy") != "same-origin" {
		t.Errorf("%s has the policy %q", about, h.Get("Cross-Origin-Resource-Policy"))
	}
}

// TestAPageOfAnotherOriginGetsNothing: no answer that it may read, and nothing is created or consumed on its behalf.
func TestAPageOfAnotherOriginGetsNothing(t *testing.T) {
	for name, s := range map[string]*site{"with a listed origin": corsSite(t, listed), "without": corsSite(t)} {
		origins := []string{
			"null", "https://evil.example", "http://app.example.com", "https://app.example.com:8443", "https://app.example.com:443",
			"https://app.example.com.evil.example", "https://evilapp.example.com", "https://sub.app.example.com", "https://app.example.co",
			"https://app.example.com.", "https://APP.example.com", "HTTPS://app.example.com", "https://app.example.com/", " https://app.example.com ,",
			"https://app.example.com https://evil.example", "https://app.example.com@evil.example", "*", "file://",
		}
		if name == "without" {
			origins = append(origins, listed)
		}
		before := counts(t, s)
		for _, origin := range origins {
			for _, site := range []string{"cross-site", "same-site", "", "unheard-of"} {
				about := name + ", " + origin + ", " + site
				header := []string{"Origin", origin, "Sec-Fetch-Mode", "cors", "Content-Type", "text/plain"}
				if site != "" {
					header = append(header, "Sec-Fetch-Site", site)
				}
				preflight := append(slices.Clone(header), "Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type")
				_, _, h := s.do(http.MethodOptions, api.SecretPath, nil, preflight...)
				wantNothing(t, "a preflight, "+about, h)
				status, body, h := s.do(http.MethodPost, api.SecretPath, strings.NewReader(`{"data":"QUJD","expires_in":60}`), header...)
				if wantNothing(t, "creating, "+about, h); status != http.StatusForbidden {
					t.Errorf("creating, %s: %d %s", about, status, body)
				}
				id := s.create([]byte("abc"))
				for path, more := range map[string][]string{api.SecretPath: nil, api.LinkPath: {"User-Agent", "hakanai-x"}} {
					status, _, h = s.do(http.MethodGet, path+"/"+id, nil, append(slices.Clone(header), more...)...)
					if wantNothing(t, "retrieving, "+about, h); status != http.StatusForbidden {
						t.Errorf("retrieving, %s: %d", about, status)
					}
				}
				if status, body := s.get(id); status != http.StatusOK || body != "YWJj" {
					t.Errorf("%s consumes: %d", about, status)
				}
				status, _, h = s.do(http.MethodGet, api.ConfigPath, nil, header...)
				if wantNothing(t, "the configuration, "+about, h); status != http.StatusOK {
					t.Errorf("the configuration, %s: %d", about, status)
				}
			}
		}
		if after := counts(t, s); after != before {
			t.Errorf("%s: %d secrets, and %d before", name, after, before)
		}
	}
}

func counts(t *testing.T, s *site) int64 {
	t.Helper()
	counts, err := s.store.Count(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return int64(counts.Secrets)
}

// What a page can have loaded without asking: pictures, scripts, frames, forms, prefetches, and links that are followed.
func TestWhatAPageLoadsWithoutAskingConsumesNothing(t *testing.T) {
	s := corsSite(t, listed)
	id := s.create([]byte("abc"))
	for _, mode := range []string{"no-cors", "navigate", "websocket"} {
		for _, site := range []string{"cross-site", "same-site"} {
			status, _, h := s.do(http.MethodGet, api.SecretPath+"/"+id, nil, "Sec-Fetch-Site", site, "Sec-Fetch-Mode", mode, "Sec-Fetch-Dest", "image")
			if status != http.StatusForbidden || h.Get("Cross-Origin-Resource-Policy") != "same-origin" {
				t.Errorf("%s %s: %d %v", site, mode, status, h)
			}
		}
	}
	if status, _ := s.get(id); status != http.StatusOK {
		t.Errorf("something has consumed it: %d", status)
	}
}

func TestThisServersOwnPagesAndOtherProgramsAreNotInTheWay(t *testing.T) {
	s := corsSite(t)
	u, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, header := range [][]string{
		nil,
		{"Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors"},
		{"Sec-Fetch-Site", "same-origin", "Origin", s.url},
		{"Sec-Fetch-Site", "same-origin", "Origin", "https://as.seen.outside.example"}, // behind a proxy that names another host
		{"Sec-Fetch-Site", "none"},                                                     // typed, or from outside of the browser
		{"Origin", s.url},                                                              // of a browser that knows no Sec-Fetch-Site
		{"Origin", "https://" + u.Host},
	} {
		status, body, h := s.do(http.MethodPost, api.SecretPath, strings.NewReader(`{"data":"QUJD","expires_in":60}`), header...)
		if wantNothing(t, "creating", h); status != http.StatusOK {
			t.Errorf("%v: creating: %d %s", header, status, body)
		}
		if status, body, _ := s.do(http.MethodGet, api.SecretPath+"/"+s.create([]byte("abc")), nil, header...); status != http.StatusOK || body != "YWJj" {
			t.Errorf("%v: retrieving: %d %s", header, status, body)
		}
	}
}

func TestTheAdminAPIAndThePagesAreNobodyElses(t *testing.T) {
	s := corsSite(t, listed)
	for _, origin := range []string{listed, "https://evil.example"} {
		header := []string{"Origin", origin, "Sec-Fetch-Site", "cross-site"}
		status, _, h := s.do(http.MethodPost, api.AdminTokensPath, strings.NewReader("{}"), header...)
		if wantNothing(t, "the admin API", h); status != http.StatusForbidden {
			t.Errorf("the admin API: %d", status)
		}
		preflight := append(header, "Access-Control-Request-Method", "POST")
		for _, path := range []string{api.AdminTokensPath, "/", "/s/" + s.create([]byte("abc")), "/ready", "/healthy", "/impressum.txt", "/nothing"} {
			status, _, h := s.do(http.MethodOptions, path, nil, preflight...)
			if wantNothing(t, "a preflight of "+path, h); status < 400 {
				t.Errorf("a preflight of %s: %d", path, status)
			}
			_, _, h = s.do(http.MethodGet, path, nil, header...)
			wantNothing(t, path, h)
		}
	}
}

func TestAPreflightAllowsNoMoreThanClientsNeed(t *testing.T) {
	s := corsSite(t, listed)
	for _, ask := range [][2]string{{"PUT", ""}, {"PATCH", ""}, {"HEAD", ""}, {"get", ""}, {"GET", "x-other"}, {"GET", "authorization,x-forwarded-for"}} {
		_, _, h := s.do(http.MethodOptions, api.SecretPath, nil, "Origin", listed,
			"Access-Control-Request-Method", ask[0], "Access-Control-Request-Headers", ask[1])
		wantNothing(t, strings.Join(ask[:], " "), h)
	}
	// A page that asks for access to what is in the visitor's network is not given it for that.
	_, _, h := s.do(http.MethodOptions, api.SecretPath, nil, "Origin", listed, "Access-Control-Request-Method", "GET",
		"Access-Control-Request-Private-Network", "true")
	if h.Get("Access-Control-Allow-Private-Network") != "" {
		t.Errorf("%v", h)
	}
}

func TestWithoutOriginsThereIsNoCORS(t *testing.T) {
	s := corsSite(t)
	status, _, h := s.do(http.MethodOptions, api.SecretPath, nil, "Origin", listed, "Access-Control-Request-Method", "POST")
	if wantNothing(t, "a preflight", h); status != http.StatusMethodNotAllowed || strings.Contains(strings.Join(h.Values("Vary"), ","), "Origin") {
		t.Errorf("a preflight: %d %v", status, h)
	}
}
