package commands

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// counted counts what is read of it.
type counted struct {
	io.Reader
	read int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += n
	return n, err
}

func TestNoMoreIsReadOfASecretThanItTakesToKnowThatItIsTooLarge(t *testing.T) {
	const limit = 100_000
	endless := make([]byte, 10*limit)
	for name, through := range map[string]func(io.Reader) io.Reader{
		"at once": func(r io.Reader) io.Reader { return r }, "in halves": iotest.HalfReader, "with the end": iotest.DataErrReader,
	} {
		for size, fits := range map[int]bool{0: true, 1: true, limit - 1: true, limit: true, limit + 1: false, 10 * limit: false} {
			source := &counted{Reader: bytes.NewReader(endless[:size])}
			reader := secretReader{source: through(source), limit: limit}
			data, err := io.ReadAll(&reader)
			if (err == nil) != fits || (reader.err == nil) != fits || fits && (len(data) != size || reader.size != int64(size)) {
				t.Errorf("%s, %d bytes: %d are there (%v)", name, size, len(data), err)
			}
			if name == "at once" && source.read > limit+1 {
				t.Errorf("%d bytes: %d are read", size, source.read)
			}
		}
	}
}

func TestASecretIsATextHoweverItIsCutIntoPieces(t *testing.T) {
	for _, data := range []string{
		"", "x", "plain", "für dich", "秘密", "🙂🙂", "a🙂", "\ufffd", "\x00", "a\x00b", "\xff", "\xc3", "\xe7\xa7", "\xf0\x9f\x99", "秘\xe7",
		"\xf0\x9f\x99x", "🙂\x99", "\x99\x99\x99\x99", "\xc3\x00", "\xed\xa0\x80", strings.Repeat("秘", 1000), strings.Repeat("秘", 1000) + "\xe7",
	} {
		for size := 1; size <= 9; size++ {
			reader := secretReader{source: strings.NewReader(data), limit: 1 << 20}
			var err error
			for piece := make([]byte, size); err == nil; {
				_, err = reader.Read(piece)
			}
			if !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
			if got, want := reader.isText(), isText([]byte(data)); got != want {
				t.Errorf("%q in pieces of %d: %t, want %t", data, size, got, want)
			}
		}
	}
}

func TestWhatBreaksTheReadingOfASecretIsKnown(t *testing.T) {
	broken := errors.New("broken")
	reader := secretReader{source: io.MultiReader(strings.NewReader("some"), iotest.ErrReader(broken)), limit: 100}
	if _, err := io.ReadAll(&reader); !errors.Is(err, broken) || !errors.Is(reader.err, broken) || reader.size != 4 {
		t.Errorf("%d bytes (%v, %v)", reader.size, err, reader.err)
	}
}
