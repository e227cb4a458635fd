package embedded

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"hakanai/store"
)

// A blob is one secret's ciphertext and restrictions, sealed with AES-256-GCM under a key of its own, which is in the
// index and nowhere else:
//
//	chunk | chunk | … | restrictions
//
// A chunk is 128 KiB, the last one up to 128 KiB: ciphertext, and 16 bytes more. The nonce is the chunk's number, and
// whether it is the last: a blob that was cut, changed or reordered does not open. This is the STREAM construction (Hoang
// et al., "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015). Restrictions are there if
// somebody may not have the secret. All this is there for the key alone: without it the rest is noise.
//
// A small blob is one chunk, a part of a segment that it shares with others; a large one has a segment of its own.
const (
	chunkSize   = sealedChunk - tagSize
	tagSize     = 16
	sealedChunk = 128 << 10 // whole pages: what begins within one costs half as much again to write
)

// key seals one blob.
type key [32]byte

// place is where a blob is.
type place struct {
	segment      uint64 // its number
	offset       int64  // 0 in a segment of its own
	restrictions int64  // their length in bytes, before they are sealed; 0 for none
}

// name is a secret's key in the index: a keyed hash of its id.
type name [16]byte

// piece has room for one sealed chunk.
type piece [sealedChunk]byte

// blobs is the directory of all blobs.
type blobs struct {
	root     *os.Root
	dir      *os.File // the same directory, to be synced
	failed   error    // of a sync
	random   io.Reader
	segments *segments
	pieces   sync.Pool // *piece
}

func openBlobs(path string, random io.Reader) (*blobs, error) {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	dir, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	b := &blobs{root: root, dir: dir, random: random, segments: newSegments(root, dir)}
	b.pieces.New = func() any { return new(piece) }
	return b, nil
}

func (b *blobs) close() error { return errors.Join(b.segments.close(), b.dir.Close(), b.root.Close()) }

// sync makes the names of new files durable. It is for one goroutine, like segments.sync, and for the same reason it does
// not try again.
func (b *blobs) sync() error {
	if b.failed == nil {
		if err := syncDir(b.dir); err != nil {
			b.failed = fmt.Errorf("syncing the directory of ciphertexts: %w", diskError(err))
		}
	}
	return b.failed
}

// list lists the segments that are in the directory.
func (b *blobs) list() (segments []uint64, err error) {
	dir, err := b.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close() //nolint:errcheck // nothing was written
	for {
		found, err := dir.Readdirnames(4096)
		if errors.Is(err, io.EOF) {
			return segments, nil
		}
		if err != nil {
			return nil, err
		}
		for _, file := range found {
			number, ok := segmentNumber(file)
			if !ok {
				return nil, fmt.Errorf("unknown file %q in %s", file, secretsName)
			}
			segments = append(segments, number)
		}
	}
}

// discard gives back the room of a blob whose key is gone.
func (b *blobs) discard(s secret) error { return b.segments.give(s.place, s.sealed()) }

// sealedSize is how many bytes so much ciphertext is when it is sealed.
func sealedSize(size int64) int64 {
	return size + tagSize*max((size+chunkSize-1)/chunkSize, 1)
}

// sealed is the length of the secret's blob.
func (s secret) sealed() int64 {
	length := sealedSize(s.size)
	if s.place.restrictions > 0 {
		length += s.place.restrictions + tagSize
	}
	return length
}

// large tells whether the secret's blob is.
func (s secret) large() bool { return s.size > chunkSize }

// blobWriter writes one blob. A small one stays in memory until the end.
type blobWriter struct {
	blobs *blobs
	size  int64 // bytes of ciphertext so far

	key    key
	aead   cipher.AEAD // nil while there is nothing
	piece  *piece      // the chunk that is being filled
	filled int         // bytes of it
	chunk  uint64      // its number

	segment *segment // where it goes: known in the end, of a large blob before
	place   place
	at      int64 // where the next write goes
}

func (w *blobWriter) Write(p []byte) (int, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	written := 0
	for len(p) > 0 {
		if w.filled == chunkSize { // more follows, so this chunk is not the last
			if err := w.next(); err != nil {
				return written, err
			}
		}
		n := copy(w.piece[w.filled:chunkSize], p)
		w.filled += n
		w.size += int64(n)
		written += n
		p = p[n:]
	}
	return written, nil
}

// begin draws the key.
func (w *blobWriter) begin() (err error) {
	if w.aead != nil {
		return nil
	}
	if _, err := io.ReadFull(w.blobs.random, w.key[:]); err != nil {
		return fmt.Errorf("drawing a key: %w", err)
	}
	w.piece = w.blobs.pieces.Get().(*piece)
	w.aead, err = newAEAD(w.key)
	return err
}

// next writes a chunk that is not the last. So the blob is not small, and gets a segment of its own.
func (w *blobWriter) next() error {
	if w.segment == nil {
		if err := w.settle(w.blobs.segments.takeOwn); err != nil {
			return err
		}
	}
	if err := w.put(w.seal(false)); err != nil {
		return err
	}
	w.chunk++
	w.filled = 0
	return nil
}

// seal seals the chunk where it is.
func (w *blobWriter) seal(last bool) (sealed []byte) {
	nonce := chunkNonce(w.chunk, last)
	plain := w.piece[:w.filled]
	return w.aead.Seal(plain[:0], nonce[:], plain, nil)
}

func (w *blobWriter) put(b []byte) error {
	err := w.blobs.segments.withRoom(func() error {
		_, err := w.segment.file.WriteAt(b, w.at)
		return err
	})
	if err != nil {
		return fmt.Errorf("writing a ciphertext: %w", diskError(err))
	}
	w.at += int64(len(b))
	if w.segment.own() {
		w.segment.size = max(w.segment.size, w.at)
	}
	return nil
}

// finish writes what is left. It is durable after segments.sync, for a segment of its own it is then, but for the name.
func (w *blobWriter) finish(restrictions []byte) error {
	if err := w.begin(); err != nil {
		return err
	}
	sealed := w.seal(true)
	w.place.restrictions = int64(len(restrictions))
	if len(restrictions) > 0 {
		nonce := restrictionsNonce()
		restrictions = w.aead.Seal(nil, nonce[:], restrictions, nil)
	}
	if w.segment == nil {
		if err := w.settle(func() (*segment, int64, error) { return w.blobs.segments.take(w.secret().sealed()) }); err != nil {
			return err
		}
	}
	if err := w.put(sealed); err != nil {
		return err
	}
	if err := w.put(restrictions); err != nil {
		return err
	}
	if g := w.segment; g.own() {
		if err := w.cut(); err != nil {
			return fmt.Errorf("writing a ciphertext: %w", diskError(err))
		}
		return w.blobs.segments.sync(g)
	}
	return nil
}

// settle takes a place.
func (w *blobWriter) settle(take func() (*segment, int64, error)) error {
	err := w.blobs.segments.withRoom(func() (err error) {
		w.segment, w.at, err = take()
		return err
	})
	if err != nil {
		return fmt.Errorf("making room for a ciphertext: %w", diskError(err))
	}
	w.place.segment, w.place.offset = w.segment.number, w.at
	return nil
}

// cut cuts off what was in a segment of its own before, and is behind the blob.
func (w *blobWriter) cut() error {
	if w.segment.size == w.at {
		return nil
	}
	w.segment.size = w.at
	return w.segment.file.Truncate(w.at)
}

// secret is what is known of it.
func (w *blobWriter) secret() secret { return secret{size: w.size, place: w.place} }

// release gives back what the writer holds; with discard the blob as well.
func (w *blobWriter) release(discard bool) (err error) {
	if w.piece != nil {
		w.blobs.pieces.Put(w.piece)
	}
	clear(w.key[:])
	w.piece, w.aead = nil, nil
	if w.segment == nil {
		return nil
	}
	err = w.blobs.segments.leave(w.segment)
	if discard {
		err = errors.Join(err, w.blobs.discard(w.secret()))
	}
	w.segment = nil
	return err
}

// blobReader reads one blob, from its beginning or from where seekTo has put it. A small one is in memory from the first.
type blobReader struct {
	blobs *blobs
	place place
	file  source // of a large one
	aead  cipher.AEAD
	piece *piece // the chunk that was opened last
	plain []byte // what is left of it
	chunk uint64 // the next one
	left  int64  // bytes of ciphertext in that and what follows
}

// open opens a secret's blob. Of a small one it reads, and checks, all.
func (b *blobs) open(s secret) (*blobReader, error) {
	r := &blobReader{blobs: b, place: s.place, left: s.size}
	var err error
	if r.aead, err = newAEAD(s.key); err != nil {
		return nil, err
	}
	if r.file, err = b.segments.source(s.place.segment); err != nil {
		return nil, fmt.Errorf("opening a ciphertext: %w", err)
	}
	if s.large() {
		return r, nil
	}
	err = r.next()
	if err = errors.Join(err, r.leave()); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

var errDamagedBlob = errors.New("reading a ciphertext: it is damaged")

func (r *blobReader) Read(p []byte) (int, error) {
	if len(r.plain) == 0 {
		if r.left == 0 {
			return 0, io.EOF
		}
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, r.plain)
	r.plain = r.plain[n:]
	return n, nil
}

// seekTo goes to an offset of the ciphertext, before anything is read.
func (r *blobReader) seekTo(offset int64) error {
	size := int64(len(r.plain)) + r.left
	if offset < 0 || offset > size {
		return errors.New("reading a ciphertext: there is no such place in it")
	}
	if offset == size {
		r.plain, r.left = nil, 0
		return nil
	}
	if r.left > 0 { // it is a large one
		chunk := offset / chunkSize
		r.chunk, r.left = uint64(chunk), size-chunk*chunkSize
		if err := r.next(); err != nil {
			return err
		}
	}
	r.plain = r.plain[offset%chunkSize:]
	return nil
}

// next reads the next chunk, and opens it where it is.
func (r *blobReader) next() error {
	if r.piece == nil {
		r.piece = r.blobs.pieces.Get().(*piece)
	}
	length := min(r.left, chunkSize)
	sealed := r.piece[:length+tagSize]
	if _, err := r.file.ReadAt(sealed, r.place.offset+int64(r.chunk)*sealedChunk); err != nil {
		return fmt.Errorf("reading a ciphertext: %w", err)
	}
	nonce := chunkNonce(r.chunk, length == r.left)
	plain, err := r.aead.Open(sealed[:0], nonce[:], sealed, nil)
	if err != nil {
		return errDamagedBlob
	}
	r.plain = plain
	r.left -= length
	r.chunk++
	return nil
}

// close gives back what the reader holds.
func (r *blobReader) close() error {
	if r.piece != nil {
		r.blobs.pieces.Put(r.piece)
	}
	r.piece, r.plain, r.left = nil, nil, 0
	return r.leave()
}

// leave leaves the file.
func (r *blobReader) leave() error {
	if r.file.File == nil {
		return nil
	}
	file := r.file
	r.file = source{}
	return file.close()
}

// restrictions reads those of a secret, as they were encoded.
func (b *blobs) restrictions(s secret) ([]byte, error) {
	if s.place.restrictions == 0 {
		return nil, nil
	}
	aead, err := newAEAD(s.key)
	if err != nil {
		return nil, err
	}
	file, err := b.segments.source(s.place.segment)
	if err != nil {
		return nil, fmt.Errorf("reading restrictions: %w", err)
	}
	sealed := make([]byte, s.place.restrictions+tagSize)
	_, err = file.ReadAt(sealed, s.place.offset+sealedSize(s.size))
	if err = errors.Join(err, file.close()); err != nil {
		return nil, fmt.Errorf("reading restrictions: %w", err)
	}
	nonce := restrictionsNonce()
	encoded, err := aead.Open(sealed[:0], nonce[:], sealed, nil)
	if err != nil {
		return nil, errors.New("reading restrictions: they are damaged")
	}
	return encoded, nil
}

func newAEAD(k key) (cipher.AEAD, error) {
	block, err := aes.NewCipher(k[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// chunkNonce is 3 bytes of zero, the chunk's number (8 bytes), and 1 for the last chunk.
func chunkNonce(chunk uint64, last bool) (nonce [12]byte) {
	binary.BigEndian.PutUint64(nonce[3:], chunk)
	if last {
		nonce[11] = 1
	}
	return nonce
}

// restrictionsNonce is of no chunk.
func restrictionsNonce() [12]byte { return [12]byte{11: 2} }

// diskError turns "no space left" and "quota exceeded" into store.ErrFull.
func diskError(err error) error {
	if err == nil || errors.Is(err, store.ErrFull) {
		return err
	}
	if isFull(err) {
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	}
	return err
}
