package httpapi

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"testing"

	"hakanai/httpapi/apitest"
	"hakanai/httpapi/docs"
)

// described is the description that all tests hold the server to.
var described = sync.OnceValues(func() (*apitest.Description, error) {
	document, err := docs.JSON(openAPI)
	if err != nil {
		return nil, err
	}
	return apitest.Load(document)
})

// undescribed are the paths that only tests have.
var undescribed = []string{"/panic"}

// maxWitnessed bounds how much of a body is looked at.
const maxWitnessed = 4 << 20

// witness stands before a server in every test, and fails the test when an answer is not described.
func witness(t testing.TB, server http.Handler) http.Handler {
	t.Helper()
	description, err := described()
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		for _, path := range undescribed {
			if r.URL.Path == path {
				server.ServeHTTP(rw, r)
				return
			}
		}
		e := apitest.Exchange{Method: r.Method, Target: r.RequestURI, Header: r.Header.Clone()}
		body := &witnessedBody{ReadCloser: r.Body}
		if r.Body == http.NoBody {
			body.whole = true
		} else {
			r.Body = body
		}
		w := &witnessedAnswer{ResponseWriter: rw}
		defer func() {
			cut := recover()
			if body.whole {
				e.Body = append([]byte{}, body.read.Bytes()...)
			}
			e.Status, e.AnswerHeader, e.Answer = w.status, w.header, w.written.Bytes()
			e.Cut = cut != nil || w.cut
			if e.Status != 0 { // else the connection was cut before there was an answer
				if err := description.Check(e); err != nil {
					t.Error(err)
				}
			}
			if cut != nil {
				panic(cut)
			}
		}()
		server.ServeHTTP(w, r)
	})
}

// witnessedBody remembers what was read of a request's body, if it was read to its end.
type witnessedBody struct {
	io.ReadCloser
	read  bytes.Buffer
	whole bool
}

func (b *witnessedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read.Write(p[:min(n, maxWitnessed-b.read.Len())])
	b.whole = err == io.EOF && b.read.Len() < maxWitnessed
	return n, err
}

// witnessedAnswer remembers what was answered.
type witnessedAnswer struct {
	http.ResponseWriter
	status  int
	header  http.Header // as it was when the answer began
	written bytes.Buffer
	cut     bool
}

func (w *witnessedAnswer) WriteHeader(status int) {
	if w.status == 0 {
		w.status, w.header = status, w.Header().Clone()
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *witnessedAnswer) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	n, err := w.ResponseWriter.Write(p)
	kept := min(n, maxWitnessed-w.written.Len())
	w.written.Write(p[:kept])
	w.cut = w.cut || err != nil || kept < n
	return n, err
}

func (w *witnessedAnswer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
