package commands

import (
	"bytes"
	"errors"
	"io"
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
			buffer := secretBuffer{limit: limit}
			_, err := buffer.ReadFrom(through(source))
			if (err == nil) != fits || fits && len(buffer.data) != size {
				t.Errorf("%s, %d bytes: %d are there (%v)", name, size, len(buffer.data), err)
			}
			if name == "at once" && source.read > limit+1 {
				t.Errorf("%d bytes: %d are read", size, source.read)
			}
		}
	}
}

func TestWhatIsReadBeforeAnErrorIsThere(t *testing.T) {
	broken := errors.New("broken")
	buffer := secretBuffer{limit: 100}
	n, err := buffer.ReadFrom(io.MultiReader(bytes.NewReader([]byte("some")), iotest.ErrReader(broken)))
	if n != 4 || !errors.Is(err, broken) {
		t.Errorf("%d bytes (%v)", n, err)
	}
}

func TestWhatASecretOutgrowsIsCleared(t *testing.T) {
	buffer := secretBuffer{limit: 1 << 20}
	if _, err := buffer.Write([]byte("for you")); err != nil {
		t.Fatal(err)
	}
	outgrown := buffer.data[:7]
	if _, err := buffer.Write(make([]byte, 1<<19)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(outgrown, make([]byte, 7)) || !bytes.HasPrefix(buffer.data, []byte("for you")) {
		t.Errorf("%q is left", outgrown)
	}
}
