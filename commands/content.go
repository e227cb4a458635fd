package commands

import (
	"bytes"
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

// readContent reads what is to be sent, and decides whether it goes as a file or as a text. Of what is over limit bytes,
// no more than that is read.
func (p *program) readContent(o contentOptions, sources []files.Source, limit int64) (content crypto.Content, err error) {
	buffer := secretBuffer{limit: limit}
	packed := len(sources) > 1 || len(sources) == 1 && strings.Contains(sources[0].Name, "/") // of a directory
	switch {
	case packed:
		err = files.Pack(&buffer, sources)
		content.Filename = strconv.FormatInt(time.Now().Unix(), 10) + ".zip"
	case len(sources) == 1:
		err = buffer.readFile(sources[0])
		if o.asFile || !isText(buffer.data) {
			content.Filename = sources[0].Name
		}
	default:
		if isTerminal(p.in) {
			p.say("type the secret, and end it with ctrl-d on a line of its own")
		}
		_, err = buffer.ReadFrom(p.in)
	}
	if err != nil {
		clear(buffer.data)
		return content, fmt.Errorf("reading the secret: %w", err)
	}
	if len(buffer.data) == 0 {
		return content, errors.New("the secret is empty")
	}
	if o.filename != "" {
		content.Filename = o.filename
	}
	content.Data = buffer.data
	return content, nil
}

func isText(data []byte) bool { return utf8.Valid(data) && bytes.IndexByte(data, 0) < 0 }

// secretBuffer collects a secret, up to a limit in bytes, and clears what it outgrows.
type secretBuffer struct {
	data  []byte
	limit int64
}

func (b *secretBuffer) readFile(source files.Source) error {
	if source.Size > b.limit {
		return b.over()
	}
	file, err := os.Open(source.Path)
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read
	b.grow(int(max(source.Size, 0)) + 1)
	_, err = b.ReadFrom(file)
	return err
}

func (b *secretBuffer) over() error {
	return withHint(fmt.Errorf("the secret is over the %d bytes that the server takes", b.limit), "nothing was sent")
}

// grow makes room for n more bytes at least.
func (b *secretBuffer) grow(n int) {
	if cap(b.data)-len(b.data) >= n {
		return
	}
	larger := make([]byte, len(b.data), max(len(b.data)+n, 2*cap(b.data), 4<<10))
	copy(larger, b.data)
	clear(b.data)
	b.data = larger
}

// Write implements io.Writer.
func (b *secretBuffer) Write(p []byte) (int, error) {
	if int64(len(b.data)+len(p)) > b.limit {
		return 0, b.over()
	}
	b.grow(len(p))
	b.data = append(b.data, p...)
	return len(p), nil
}

// ReadFrom implements io.ReaderFrom: no copy of the secret is left elsewhere.
func (b *secretBuffer) ReadFrom(r io.Reader) (total int64, err error) {
	for {
		b.grow(1)
		n, err := r.Read(b.data[len(b.data):min(int64(cap(b.data)), b.limit+1)])
		b.data = b.data[:len(b.data)+n]
		total += int64(n)
		switch {
		case int64(len(b.data)) > b.limit:
			return total, b.over()
		case errors.Is(err, io.EOF):
			return total, nil
		case err != nil:
			return total, err
		}
	}
}
