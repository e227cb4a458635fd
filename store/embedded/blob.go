package embedded

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"hakanai/store"
)

// A blob is the file of one ciphertext:
//
//	magic (8 bytes) | key (32 bytes) | chunk | chunk | …
//
// A chunk is 32 KiB of the ciphertext, the last one 1 byte to 32 KiB, sealed with AES-256-GCM under the file's own key
// (16 bytes more). The nonce is the chunk's number, and whether it is the last: a file that was cut, changed or
// reordered does not open. This is the STREAM construction (Hoang et al., "Online Authenticated-Encryption and its
// Nonce-Reuse Misuse-Resistance", 2015). It is there for the key alone: without it the rest is noise.
const (
	blobMagic   = "hakanai1"
	blobKeySize = 32
	blobHeader  = len(blobMagic) + blobKeySize
	chunkSize   = 32 << 10
	tagSize     = 16
)

// name is a secret's key in the index and, in hex, its file's name: a keyed hash of its id.
type name [16]byte

func (n name) file() string { return hex.EncodeToString(n[:]) }

// blobs is the directory of all blobs.
type blobs struct {
	root    *os.Root
	dir     *os.File // the same directory, to be synced
	random  io.Reader
	buffers sync.Pool // *[blobHeader + chunkSize + tagSize]byte
}

type blobBuffer [blobHeader + chunkSize + tagSize]byte

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
	b := &blobs{root: root, dir: dir, random: random}
	b.buffers.New = func() any { return new(blobBuffer) }
	return b, nil
}

func (b *blobs) close() error { return errors.Join(b.dir.Close(), b.root.Close()) }

// sync makes the names of new blobs durable.
func (b *blobs) sync() error { return syncDir(b.dir) }

// names lists the blobs that are there.
func (b *blobs) names() ([]name, error) {
	dir, err := b.root.Open(".")
	if err != nil {
		return nil, err
	}
	defer dir.Close() //nolint:errcheck // nothing was written
	var names []name
	for {
		files, err := dir.Readdirnames(4096)
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			raw, err := hex.DecodeString(file)
			if err != nil || len(raw) != len(name{}) {
				return nil, fmt.Errorf("unknown file %q in %s", file, secretsName)
			}
			names = append(names, name(raw))
		}
	}
}

// destroy overwrites the key and removes the file. That there is none is no error.
func (b *blobs) destroy(n name) error {
	file, err := b.root.OpenFile(n.file(), os.O_WRONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("destroying a ciphertext: %w", err)
	}
	return b.destroyOpen(n, file)
}

// destroyOpen does the same with a file that is open, and closes it.
func (b *blobs) destroyOpen(n name, file *os.File) error {
	info, err := file.Stat()
	if err == nil && info.Size() > 0 {
		var zero [blobKeySize]byte
		_, err = file.WriteAt(zero[:min(int64(blobKeySize), info.Size())], int64(len(blobMagic)))
		if err == nil {
			err = syncData(file)
		}
	}
	if remove := b.root.Remove(n.file()); remove != nil && !errors.Is(remove, fs.ErrNotExist) {
		err = errors.Join(err, remove)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("destroying a ciphertext: %w", err)
	}
	return nil
}

// blobWriter writes one blob. The file is made when the first chunk is full, or at the end.
type blobWriter struct {
	blobs *blobs
	name  name
	size  int64 // bytes of ciphertext so far

	buffer *blobBuffer // header, then the chunk that is being filled; nil while there is nothing
	filled int         // bytes of it that are in the chunk
	file   *os.File
	aead   cipher.AEAD
	chunk  uint64 // number of the next chunk
}

func (w *blobWriter) Write(p []byte) (int, error) {
	if w.buffer == nil {
		w.buffer = w.blobs.buffers.Get().(*blobBuffer)
	}
	written := 0
	for len(p) > 0 {
		if w.filled == chunkSize { // more follows, so this chunk is not the last
			if err := w.flush(false); err != nil {
				return written, err
			}
		}
		n := copy(w.buffer[blobHeader+w.filled:blobHeader+chunkSize], p)
		w.filled += n
		w.size += int64(n)
		written += n
		p = p[n:]
	}
	return written, nil
}

// flush seals the chunk and writes it, after the header if it is the first.
func (w *blobWriter) flush(last bool) error {
	start := blobHeader
	if w.file == nil {
		if err := w.create(); err != nil {
			return err
		}
		start = 0
	}
	nonce := chunkNonce(w.chunk, last)
	plain := w.buffer[blobHeader : blobHeader+w.filled]
	sealed := w.aead.Seal(plain[:0], nonce[:], plain, nil)
	if _, err := w.file.Write(w.buffer[start : blobHeader+len(sealed)]); err != nil {
		return fmt.Errorf("writing a ciphertext: %w", diskError(err))
	}
	w.chunk++
	w.filled = 0
	return nil
}

// create makes the file, and draws its key into the buffer's header.
func (w *blobWriter) create() error {
	key := w.buffer[len(blobMagic):blobHeader]
	copy(w.buffer[:], blobMagic)
	if _, err := io.ReadFull(w.blobs.random, key); err != nil {
		return fmt.Errorf("drawing a key: %w", err)
	}
	var err error
	if w.aead, err = newAEAD(key); err != nil {
		return err
	}
	file, err := w.blobs.root.OpenFile(w.name.file(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return store.ErrExists
	}
	if err != nil {
		return fmt.Errorf("making a ciphertext's file: %w", diskError(err))
	}
	w.file = file
	return nil
}

// finish writes what is left and makes the content durable. The name is durable after blobs.sync.
func (w *blobWriter) finish() error {
	if w.buffer == nil {
		w.buffer = w.blobs.buffers.Get().(*blobBuffer)
	}
	if err := w.flush(true); err != nil {
		return err
	}
	if err := syncData(w.file); err != nil {
		return fmt.Errorf("syncing a ciphertext: %w", diskError(err))
	}
	return nil
}

// release gives buffer and file back; with destroy it removes the file as well.
func (w *blobWriter) release(destroy bool) error {
	if w.buffer != nil {
		clear(w.buffer[:blobHeader])
		w.blobs.buffers.Put(w.buffer)
		w.buffer = nil
	}
	file := w.file
	w.file = nil
	switch {
	case file == nil:
		return nil
	case destroy:
		return w.blobs.destroyOpen(w.name, file)
	default:
		return file.Close()
	}
}

// blobReader reads one blob, from its beginning or from where seekTo has put it.
type blobReader struct {
	blobs  *blobs
	file   *os.File
	aead   cipher.AEAD
	buffer *blobBuffer
	plain  []byte // what is left of the chunk that was opened last
	chunk  uint64
	left   int64 // bytes of ciphertext not opened yet
}

// open opens a blob of which the index says that it holds size bytes. It is open for writing as well, to be destroyed.
func (b *blobs) open(n name, size int64) (*blobReader, error) {
	file, err := b.root.OpenFile(n.file(), os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("opening a ciphertext: %w", err)
	}
	var header [blobHeader]byte
	defer clear(header[:])
	if _, err := io.ReadFull(file, header[:]); err != nil {
		return nil, errors.Join(fmt.Errorf("opening a ciphertext: %w", err), file.Close())
	}
	if string(header[:len(blobMagic)]) != blobMagic {
		return nil, errors.Join(errors.New("opening a ciphertext: not a file of this store"), file.Close())
	}
	aead, err := newAEAD(header[len(blobMagic):])
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &blobReader{blobs: b, file: file, aead: aead, left: size}, nil
}

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
	if offset < 0 || offset > r.left {
		return errors.New("reading a ciphertext: there is no such place in it")
	}
	if offset == r.left {
		r.left = 0
		return nil
	}
	chunk := offset / chunkSize
	if _, err := r.file.Seek(int64(blobHeader)+chunk*(chunkSize+tagSize), io.SeekStart); err != nil {
		return fmt.Errorf("reading a ciphertext: %w", err)
	}
	r.chunk, r.left = uint64(chunk), r.left-chunk*chunkSize
	if err := r.next(); err != nil {
		return err
	}
	r.plain = r.plain[offset%chunkSize:]
	return nil
}

// next opens one chunk.
func (r *blobReader) next() error {
	if r.buffer == nil {
		r.buffer = r.blobs.buffers.Get().(*blobBuffer)
	}
	length := min(r.left, chunkSize)
	sealed := r.buffer[:length+tagSize]
	if _, err := io.ReadFull(r.file, sealed); err != nil {
		return fmt.Errorf("reading a ciphertext: %w", err)
	}
	nonce := chunkNonce(r.chunk, length == r.left)
	plain, err := r.aead.Open(sealed[:0], nonce[:], sealed, nil)
	if err != nil {
		return errors.New("reading a ciphertext: the file is damaged")
	}
	r.plain = plain
	r.left -= length
	r.chunk++
	return nil
}

// release gives the buffer back. The file stays open.
func (r *blobReader) release() {
	if r.buffer != nil {
		r.blobs.buffers.Put(r.buffer)
		r.buffer, r.plain, r.left = nil, nil, 0
	}
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// chunkNonce is 3 bytes of zero, the chunk's number (8 bytes), and 1 for the last chunk.
func chunkNonce(chunk uint64, last bool) [12]byte {
	var nonce [12]byte
	binary.BigEndian.PutUint64(nonce[3:], chunk)
	if last {
		nonce[11] = 1
	}
	return nonce
}

// diskError turns "no space left" and "quota exceeded" into store.ErrFull. bbolt passes them on as text in places.
func diskError(err error) error {
	if err == nil || errors.Is(err, store.ErrFull) {
		return err
	}
	if isFull(err) {
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	}
	return err
}
