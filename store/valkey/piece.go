package valkey

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/valkey-io/valkey-go"
)

// piece is a piece of ciphertext, in room for a whole one that is used again.
type piece struct{ bytes []byte }

// pieces are those that nobody reads or writes.
type pieces struct{ pool sync.Pool }

func (p *pieces) take() *piece {
	if used, ok := p.pool.Get().(*piece); ok {
		return used
	}
	return &piece{make([]byte, 0, pieceSize)}
}

func (p *pieces) giveBack(used *piece) {
	used.bytes = used.bytes[:0]
	p.pool.Put(used)
}

// fetch reads a field of a hash; nothing when it is not there. Nobody writes to the piece after that.
func (p *piece) fetch(ctx context.Context, client valkey.Client, key, field string) error {
	p.bytes = p.bytes[:0]
	command := client.B().Hget().Key(key).Field(field).Build()
	var err error
	if client.Mode() == valkey.ClientModeCluster { // a stream does not follow a slot that has moved
		var text []byte
		if text, err = client.Do(ctx, command).AsBytes(); err == nil {
			_, err = p.Write(text)
		}
	} else {
		stream := client.DoStream(patient{ctx}, command)
		_, err = stream.WriteTo(p)
	}
	if valkey.IsValkeyNil(err) {
		return nil
	}
	return err
}

// Write implements io.Writer.
func (p *piece) Write(b []byte) (int, error) {
	n := min(len(b), cap(p.bytes)-len(p.bytes))
	p.bytes = append(p.bytes, b[:n]...)
	if n < len(b) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// ReadFrom implements io.ReaderFrom: what comes is not copied once more.
func (p *piece) ReadFrom(r io.Reader) (int64, error) {
	n, err := io.ReadFull(r, p.bytes[:cap(p.bytes)])
	p.bytes = p.bytes[:n]
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil // the client knows how much there was to come
	}
	return int64(n), err
}
