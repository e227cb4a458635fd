package apitest_test

import (
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"

	"hakanai/httpapi/apitest"
	"hakanai/httpapi/docs"
)

const (
	id         = "3f1c9a52-7d64-4b0e-9c28-51e0d6a7b3f4"
	ciphertext = "QEFCQ0RFRkdISUpL"
)

func load(t *testing.T) *apitest.Description {
	t.Helper()
	text, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	document, err := docs.JSON(text)
	if err != nil {
		t.Fatal(err)
	}
	description, err := apitest.Load(document)
	if err != nil {
		t.Fatal(err)
	}
	return description
}

// answered is an exchange that is as it should be.
func answered() apitest.Exchange {
	header := make(http.Header)
	for name, value := range map[string]string{
		"Cache-Control": "no-cache, no-store, must-revalidate, no-transform", "Content-Security-Policy": "default-src 'none'; script-src 'self'",
		"Cross-Origin-Embedder-Policy": "require-corp", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin",
		"Permissions-Policy": "camera=()", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
		"X-Robots-Tag": "noindex, nofollow", "Content-Type": "application/json", "Date": "x", "Content-Length": "1",
	} {
		header.Set(name, value)
	}
	return apitest.Exchange{
		Method: http.MethodPost, Target: "/api/v1/secret?x", Header: http.Header{}, Body: []byte(`{"data":"` + ciphertext + `","expires_in":60,"x":1}`),
		Status: 200, AnswerHeader: header, Answer: []byte(`{"id":"` + id + `"}`),
	}
}

func TestWhatIsDescribedPasses(t *testing.T) {
	description := load(t)
	retrieved := answered()
	retrieved.Method, retrieved.Target, retrieved.Body, retrieved.Answer = http.MethodGet, "/api/v1/secret/"+id, nil, []byte(ciphertext)
	retrieved.AnswerHeader.Set("Content-Type", "text/plain")
	nothing := answered()
	nothing.Target, nothing.Status, nothing.Answer = "/nothing", 404, []byte(`{"error":"there is nothing here"}`)
	for _, e := range []apitest.Exchange{answered(), retrieved, nothing} {
		if err := description.Check(e); err != nil {
			t.Error(err)
		}
	}
}

// TestWhatIsNotDescribedIsFound plants one deviation after the other.
func TestWhatIsNotDescribedIsFound(t *testing.T) {
	description := load(t)
	for name, plant := range map[string]func(e *apitest.Exchange){
		"another status":              func(e *apitest.Exchange) { e.Status = 202 },
		"another error":               func(e *apitest.Exchange) { e.Status, e.Answer = 418, []byte(`{"error":"x"}`) },
		"a new header":                func(e *apitest.Exchange) { e.AnswerHeader.Set("X-New", "x") },
		"a missing header":            func(e *apitest.Exchange) { e.AnswerHeader.Del("X-Frame-Options") },
		"a header's other value":      func(e *apitest.Exchange) { e.AnswerHeader.Set("Cache-Control", "public") },
		"a cookie":                    func(e *apitest.Exchange) { e.AnswerHeader.Set("Set-Cookie", "x=y") },
		"another type":                func(e *apitest.Exchange) { e.AnswerHeader.Set("Content-Type", "text/json") },
		"a type with parameters":      func(e *apitest.Exchange) { e.AnswerHeader.Set("Content-Type", "application/json; charset=utf-8") },
		"a new field":                 func(e *apitest.Exchange) { e.Answer = []byte(`{"id":"` + id + `","size":1}`) },
		"a missing field":             func(e *apitest.Exchange) { e.Answer = []byte(`{}`) },
		"a malformed id":              func(e *apitest.Exchange) { e.Answer = []byte(`{"id":"x"}`) },
		"no JSON":                     func(e *apitest.Exchange) { e.Answer = []byte(id) },
		"a new path":                  func(e *apitest.Exchange) { e.Target = "/api/v2/secret" },
		"another spelling":            func(e *apitest.Exchange) { e.Target = "/api/v1/%73ecret" },
		"another method":              func(e *apitest.Exchange) { e.Method = http.MethodPut },
		"compression":                 func(e *apitest.Exchange) { e.AnswerHeader.Set("Content-Encoding", "gzip") },
		"a life of 0":                 func(e *apitest.Exchange) { e.Body = []byte(`{"data":"QUJD","expires_in":0}`) },
		"a restriction of a new kind": func(e *apitest.Exchange) { e.Body = []byte(`{"data":"QUJD","expires_in":1,"restrictions":{"x":1}}`) },
		"loose base64":                func(e *apitest.Exchange) { e.Body = []byte(`{"data":"QUI==","expires_in":1}`) },
		"a body on HEAD": func(e *apitest.Exchange) {
			e.Method, e.Target, e.Body, e.Answer = http.MethodHead, "/ready", nil, []byte("ready\n")
			e.AnswerHeader.Set("Content-Type", "text/plain; charset=utf-8")
		},
		"no seconds to wait": func(e *apitest.Exchange) { e.Status, e.Answer = 503, []byte(`{"error":"x"}`) },
	} {
		e := answered()
		e.AnswerHeader = maps.Clone(e.AnswerHeader)
		plant(&e)
		if description.Check(e) == nil {
			t.Errorf("%s is not found", name)
		}
	}
}

func TestABrokenDescriptionIsRefused(t *testing.T) {
	text, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string][2]string{
		"an example that is no such thing":  {"expires_in: 86400", "expires_in: soon"},
		"a reference to nothing":            {"#/components/responses/Gone", "#/components/responses/Going"},
		"a parameter that is nowhere":       {"/s/{id}:", "/s/{name}:"},
		"two operations of one name":        {"operationId: getReady", "operationId: getHealthy"},
		"an example of a field with a typo": {"upload_size_limit: 1048576", "upload_sise_limit: 1048576"},
	} {
		document, err := docs.JSON([]byte(strings.Replace(string(text), change[0], change[1], 1)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := apitest.Load(document); err == nil {
			t.Errorf("%s is not found", what)
		}
	}
}
