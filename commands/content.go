package commands

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"hakanai/crypto"
	"hakanai/files"
)

// contentOptions say what is sent: standard input, a file, or several in one archive.
type contentOptions struct {
	files       []string // none: standard input
	directories bool
	asFile      bool
	filename    string
}

// findSources finds the files that are to be sent.
func (p *program) findSources(o contentOptions) ([]files.Source, error) {
	sources, left, err := files.Sources(o.files, o.directories)
	switch {
	case errors.Is(err, files.ErrDirectory):
		return nil, withHint(fmt.Errorf("reading the secret: %w", err), "nothing was sent; with --recursive a directory is packed with all that is in it")
	case err != nil:
		return nil, withHint(fmt.Errorf("reading the secret: %w", err), "nothing was sent")
	case len(o.files) > 0 && len(sources) == 0:
		return nil, errors.New("there is no file in what was named: nothing was sent")
	case left > 0:
		p.warn("%d symbolic links or special files are left out", left)
	}
	return sources, nil
}

// sealed is a secret that is ready to be sent.
type sealed struct {
	ciphertext []byte
	fragment   crypto.Fragment
	filename   string // "" for a text
	size       int64  // of what was read, bytes
}

// seal reads what is to be sent, seals it as it is read, and decides whether it goes as a file or as a text.
func (p *program) seal(o contentOptions, sources []files.Source, limit int64) (s sealed, err error) {
	packed := len(sources) > 1 || len(sources) == 1 && strings.Contains(sources[0].Name, "/") // of a directory
	source, size, err := p.openSource(sources, packed, limit)
	if err != nil {
		return s, fmt.Errorf("reading the secret: %w", err)
	}
	defer source.Close() //nolint:errcheck // only read
	reader := secretReader{source: source, limit: limit}
	filename := func() string {
		switch {
		case o.filename != "":
			s.filename = o.filename
		case packed:
			s.filename = strconv.FormatInt(time.Now().Unix(), 10) + ".zip"
		case len(sources) == 1 && (o.asFile || !reader.isText()):
			s.filename = sources[0].Name
		}
		return s.filename
	}
	s.ciphertext, s.fragment, err = crypto.SealFrom(rand.Reader, crypto.Source{
		Reader: &reader, Size: size, Filename: filename, Memory: largeMemory,
	})
	s.size = reader.size
	switch {
	case reader.err != nil:
		return s, fmt.Errorf("reading the secret: %w", reader.err)
	case err != nil:
		return s, fmt.Errorf("sealing the secret: %w", err)
	case s.size == 0:
		return s, errors.New("the secret is empty")
	}
	return s, nil
}

// openSource opens what is to be sent, and tells how many bytes are expected of it, -1 if nobody knows.
func (p *program) openSource(sources []files.Source, packed bool, limit int64) (source io.ReadCloser, size int64, err error) {
	switch {
	case packed:
		read, write := io.Pipe()
		go func() { write.CloseWithError(files.Pack(write, sources)) }()
		return read, -1, nil
	case len(sources) == 1:
		if size = sources[0].Size; size > limit {
			return nil, size, overLimit(limit)
		}
		source, err = os.Open(sources[0].Path)
		return source, size, err
	}
	if isTerminal(p.in) {
		p.say("type the secret, and end it with ctrl-d on a line of its own")
	}
	return io.NopCloser(p.in), -1, nil
}

func overLimit(limit int64) error {
	return withHint(fmt.Errorf("the secret is over the %d bytes that the server takes", limit), "nothing was sent")
}

// secretReader reads a secret up to a limit in bytes, and no more than shows that it is over it.
type secretReader struct {
	source io.Reader
	limit  int64
	size   int64 // bytes so far
	err    error // what has ended it before its end

	binary bool   // no text is like that
	begun  []byte // of a character whose other bytes are still to be read
}

func (r *secretReader) Read(p []byte) (int, error) {
	n, err := r.source.Read(p[:min(int64(len(p)), r.limit+1-r.size)])
	r.look(p[:n])
	if r.size += int64(n); r.size > r.limit {
		err = overLimit(r.limit)
	}
	if !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// look finds out whether a piece can be of a text. A character may begin in one and end in the next.
func (r *secretReader) look(piece []byte) {
	if r.binary {
		return
	}
	for len(r.begun) > 0 && len(piece) > 0 {
		r.begun, piece = append(r.begun, piece[0]), piece[1:]
		if utf8.FullRune(r.begun) {
			r.binary, r.begun = !utf8.Valid(r.begun), nil
		}
	}
	whole := len(piece)
	for at := whole - 1; at >= 0 && whole-at < utf8.UTFMax; at-- {
		if utf8.RuneStart(piece[at]) {
			if !utf8.FullRune(piece[at:]) {
				whole = at
			}
			break
		}
	}
	r.begun = append(r.begun, piece[whole:]...)
	r.binary = r.binary || !isText(piece[:whole])
}

func (r *secretReader) isText() bool { return !r.binary && len(r.begun) == 0 }

func isText(data []byte) bool { return utf8.Valid(data) && bytes.IndexByte(data, 0) < 0 }
