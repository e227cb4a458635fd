package httpapi

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

// The web pages are files that are the same on every server. One of them is every page: its script sees from the address
// which one. What it has to know of this server it asks for (/config.json, /impressum.txt, /privacy.txt).

// pages are the files, ready to be sent.
type pages struct {
	page  pageFile
	files map[string]pageFile // by path
}

type pageFile struct {
	body, compressed []byte // compressed is nil where it would not be smaller
	contentType      string
	cacheControl     string
}

// hashedDir holds the files whose names hold a hash of what is in them: they alone can be kept.
const hashedDir = "assets/"

// readPages reads the files and compresses them, once for all requests. They are part of the program: if they cannot be
// read, it is broken.
func readPages(files fs.FS) pages {
	p := pages{files: make(map[string]pageFile)}
	err := fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		file := newPageFile(body, contentType(name))
		if strings.HasPrefix(name, hashedDir) {
			file.cacheControl = immutable
		}
		if name == "index.html" {
			p.page = file
		} else {
			p.files["/"+name] = file
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
	return p
}

func newPageFile(body []byte, contentType string) pageFile {
	file := pageFile{body: body, contentType: contentType, cacheControl: noStore}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is valid
	}
	_, _ = z.Write(body) // a buffer takes everything
	_ = z.Close()
	if b.Len() < len(body) {
		file.compressed = b.Bytes()
	}
	return file
}

// contentType names the types of the files that there are. Machines differ in what they know of others.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".png":
		return "image/png"
	case ".json":
		return "application/json"
	case ".webmanifest":
		return "application/manifest+json"
	}
	return "text/plain; charset=utf-8"
}

// pageRoutes names the paths of pages and of what they load.
func (s *Server) pageRoutes() {
	for _, path := range []string{"/{$}", "/create", "/get", "/share"} {
		s.mux.HandleFunc(path, s.only(s.webPage, http.MethodGet, http.MethodHead))
	}
	for path, file := range s.pages.files {
		s.mux.HandleFunc(path, s.only(func(w http.ResponseWriter, r *http.Request) {
			sendFile(w, r, http.StatusOK, file)
		}, http.MethodGet, http.MethodHead))
	}
	for path, text := range map[string]string{"/impressum": s.impressum, "/privacy": s.privacy} {
		if text == "" {
			continue
		}
		file := newPageFile([]byte(text), contentType(".txt"))
		s.mux.HandleFunc(path, s.only(s.webPage, http.MethodGet, http.MethodHead))
		s.mux.HandleFunc(path+".txt", s.only(func(w http.ResponseWriter, r *http.Request) {
			sendFile(w, r, http.StatusOK, file)
		}, http.MethodGet, http.MethodHead))
	}
}

func (s *Server) webPage(w http.ResponseWriter, r *http.Request) {
	sendFile(w, r, http.StatusOK, s.pages.page)
}

// failPage is fail for paths where people come: browsers get the page, which says it in their language.
func (s *Server) failPage(w http.ResponseWriter, r *http.Request, status int, text string) {
	browses := (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.Contains(r.Header.Get("Accept"), "text/html")
	if !browses || strings.HasPrefix(r.URL.Path, "/api/") {
		s.fail(w, r, status, text)
		return
	}
	sendFile(w, r, status, s.pages.page)
}

// sendFile sends a file whole, compressed for those who accept it.
func sendFile(w http.ResponseWriter, r *http.Request, status int, file pageFile) {
	h, body := w.Header(), file.body
	if file.compressed != nil {
		h.Add("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Get("Accept-Encoding")) {
			h.Set("Content-Encoding", "gzip")
			body = file.compressed
		}
	}
	h.Set("Cache-Control", file.cacheControl)
	h.Set("Content-Type", file.contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // if the caller is gone there is nobody to tell
	}
}

// acceptsGzip reads an Accept-Encoding (RFC 9110, section 12.5.3). Browsers name gzip; a wildcard is left alone.
func acceptsGzip(header string) bool {
	for _, entry := range strings.Split(header, ",") {
		name, weight, _ := strings.Cut(entry, ";")
		if !strings.EqualFold(strings.TrimSpace(name), "gzip") {
			continue
		}
		_, q, weighted := strings.Cut(weight, "=")
		return !weighted || strings.Trim(strings.TrimSpace(q), "0.") != ""
	}
	return false
}
