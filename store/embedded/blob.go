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
	"path/filepath"
	"sync"

	"hakanai/store"
)

// A blob is one ciphertext, in a file of its own or in a slot (see slots.go):
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

// blobs are all of them.
type blobs struct {
	root    *os.Root // the directory of files
	dir     *os.File // the same directory, to be synced
	shared  [2]*slots
	wiper   *wiper
	random  io.Reader
	buffers sync.Pool // *[blobHeader + chunkSize + tagSize]byte
}

type blobBuffer [blobHeader + chunkSize + tagSize]byte

func openBlobs(dir string, random io.Reader) (b *blobs, err error) {
	b = &blobs{random: random}
	b.buffers.New = func() any { return new(blobBuffer) }
	path := filepath.Join(dir, secretsName)
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if b.root, err = os.OpenRoot(path); err != nil {
		return nil, err
	}
	if b.dir, err = b.root.Open("."); err != nil {
		return nil, errors.Join(err, b.close())
	}
	for i, c := range []class{smallSlot, mediumSlot} {
		if b.shared[i], err = openSlots(dir, c); err != nil {
			return nil, errors.Join(err, b.close())
		}
	}
	return b, syncParent(dir)
}

func (b *blobs) close() error {
	var err error
	for _, slots := range b.shared {
		if slots != nil {
			err = errors.Join(err, slots.file.Close())
		}
	}
	if b.dir != nil {
		err = errors.Join(err, b.dir.Close())
	}
	return errors.Join(err, b.root.Close())
}

// syncParent makes the names in the data directory durable.
func syncParent(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the data directory
	if err != nil {
		return err
	}
	return errors.Join(syncDir(d), d.Close())
}

// of is the file of a class of slots.
func (b *blobs) of(c class) *slots { return b.shared[c-smallSlot] }

// sync makes new blobs of a class durable: those in slots, or the names of those that are files.
func (b *blobs) sync(c class) error {
	if c != ownFile {
		return syncData(b.of(c).file)
	}
	return syncDir(b.dir)
}

// names lists the blobs that are files.
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

// wipe destroys what is in a slot, soon, if it is still there.
func (b *blobs) wipe(l located, done chan error) {
	if b.of(l.place.class).disown(l.place.slot, l.name) {
		b.wiper.add(l.place, done)
	} else if done != nil {
		done <- nil
	}
}

// wipeNow destroys what is in a slot, if it is still there.
func (b *blobs) wipeNow(l located) error {
	done := make(chan error, 1)
	b.wipe(l, done)
	return <-done
}

// destroyFile overwrites the key and removes the file. That there is none is no error.
func (b *blobs) destroyFile(n name) error {
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

// blobWriter writes one blob. Where it goes is decided when the first chunk is full, or at the end.
type blobWriter struct {
	blobs *blobs
	name  name
	size  int64 // bytes of ciphertext so far

	buffer *blobBuffer // header, then the chunk that is being filled; nil while there is nothing
	filled int         // bytes of it that are in the chunk
	file   *os.File    // nil before that
	place  place
	at     int64 // where the next chunk goes
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
		if err := w.begin(last); err != nil {
			return err
		}
		start = 0
	} else if w.place.class != ownFile && w.size > w.blobs.of(w.place.class).capacity() {
		if err := w.move(); err != nil {
			return err
		}
	}
	nonce := chunkNonce(w.chunk, last)
	plain := w.buffer[blobHeader : blobHeader+w.filled]
	sealed := w.aead.Seal(plain[:0], nonce[:], plain, nil)
	if err := w.write(w.buffer[start : blobHeader+len(sealed)]); err != nil {
		return err
	}
	w.chunk++
	w.filled = 0
	return nil
}

func (w *blobWriter) write(piece []byte) error {
	err := w.blobs.retried(func() error {
		_, err := w.file.WriteAt(piece, w.at)
		return err
	})
	if err != nil {
		return fmt.Errorf("writing a ciphertext: %w", err)
	}
	w.at += int64(len(piece))
	return nil
}

// begin finds a place, and draws the key into the buffer's header.
func (w *blobWriter) begin(last bool) (err error) {
	key := w.buffer[len(blobMagic):blobHeader]
	copy(w.buffer[:], blobMagic)
	if _, err := io.ReadFull(w.blobs.random, key); err != nil {
		return fmt.Errorf("drawing a key: %w", err)
	}
	if w.aead, err = newAEAD(key); err != nil {
		return err
	}
	class := mediumSlot
	if last && w.size <= w.blobs.of(smallSlot).capacity() {
		class = smallSlot
	}
	slots := w.blobs.of(class)
	w.place = place{class, slots.take(w.name)}
	w.file, w.at = slots.file, slots.at(w.place.slot)
	return w.write(w.name[:])
}

// move makes a file of its own for what has become too large for its slot.
func (w *blobWriter) move() error {
	file, err := w.blobs.root.OpenFile(w.name.file(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return store.ErrExists
	}
	if err != nil {
		return fmt.Errorf("making a ciphertext's file: %w", diskError(err))
	}
	from, slot := w.blobs.of(w.place.class), w.place
	begin := from.at(slot.slot) + int64(len(w.name))
	w.file, w.place, w.at = file, place{}, w.at-begin
	err = w.blobs.retried(func() error {
		_, err := io.Copy(io.NewOffsetWriter(file, 0), io.NewSectionReader(from.file, begin, w.at))
		return err
	})
	if err != nil {
		return errors.Join(fmt.Errorf("writing a ciphertext: %w", err), w.blobs.wipeNow(located{w.name, slot}))
	}
	w.blobs.wipe(located{w.name, slot}, nil)
	return nil
}

// finish writes what is left. What is in a slot, and the name of a file, are durable after blobs.sync.
func (w *blobWriter) finish() error {
	if w.buffer == nil {
		w.buffer = w.blobs.buffers.Get().(*blobBuffer)
	}
	if err := w.flush(true); err != nil {
		return err
	}
	if w.place.class != ownFile {
		return nil
	}
	if err := syncData(w.file); err != nil {
		return fmt.Errorf("syncing a ciphertext: %w", diskError(err))
	}
	return nil
}

// release gives buffer and file back; with destroy it destroys what was written as well.
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
	case w.place.class != ownFile && destroy:
		w.blobs.wipe(located{w.name, w.place}, nil)
		return nil
	case w.place.class != ownFile:
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
	place  place
	file   *os.File
	at     int64 // where the next chunk is in the file
	aead   cipher.AEAD
	buffer *blobBuffer
	plain  []byte // what is left of the chunk that was opened last
	chunk  uint64
	left   int64 // bytes of ciphertext not opened yet
}

// open opens a blob of which the index says that it holds size bytes. A file is open for writing as well, to be destroyed.
func (b *blobs) open(l located, size int64) (r *blobReader, err error) {
	r = &blobReader{blobs: b, place: l.place, left: size}
	if l.place.class == ownFile {
		if r.file, err = b.root.OpenFile(l.name.file(), os.O_RDWR, 0); err != nil {
			return nil, fmt.Errorf("opening a ciphertext: %w", err)
		}
	} else {
		slots := b.of(l.place.class)
		if !slots.pin(l.place.slot, l.name) {
			return nil, errors.New("opening a ciphertext: it is not in its place")
		}
		r.file, r.at = slots.file, slots.at(l.place.slot)+int64(len(l.name))
	}
	if err := r.readHeader(); err != nil {
		return nil, errors.Join(fmt.Errorf("opening a ciphertext: %w", err), r.close())
	}
	return r, nil
}

func (r *blobReader) readHeader() (err error) {
	var header [blobHeader]byte
	defer clear(header[:])
	if _, err := r.file.ReadAt(header[:], r.at); err != nil {
		return err
	}
	if string(header[:len(blobMagic)]) != blobMagic {
		return errors.New("not one of this store")
	}
	r.at += int64(blobHeader)
	r.aead, err = newAEAD(header[len(blobMagic):])
	return err
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
	r.at += chunk * (chunkSize + tagSize)
	r.chunk, r.left = uint64(chunk), r.left-chunk*chunkSize
	if offset %= chunkSize; offset == 0 {
		return nil
	}
	if err := r.next(); err != nil {
		return err
	}
	r.plain = r.plain[offset:]
	return nil
}

// next opens one chunk.
func (r *blobReader) next() error {
	if r.buffer == nil {
		r.buffer = r.blobs.buffers.Get().(*blobBuffer)
	}
	length := min(r.left, chunkSize)
	sealed := r.buffer[:length+tagSize]
	if _, err := r.file.ReadAt(sealed, r.at); err != nil {
		return fmt.Errorf("reading a ciphertext: %w", err)
	}
	nonce := chunkNonce(r.chunk, length == r.left)
	plain, err := r.aead.Open(sealed[:0], nonce[:], sealed, nil)
	if err != nil {
		return errors.New("reading a ciphertext: the file is damaged")
	}
	r.plain = plain
	r.left -= length
	r.at += length + tagSize
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

// close gives back what a reader holds.
func (r *blobReader) close() error {
	r.release()
	if r.place.class != ownFile {
		r.blobs.of(r.place.class).unpin(r.place.slot)
		return nil
	}
	return r.file.Close()
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

// retried does what needs room on the disk, and once more if the disk was full and free slots have given some back.
func (b *blobs) retried(do func() error) error {
	err := diskError(do())
	if !errors.Is(err, store.ErrFull) {
		return err
	}
	given := false
	for _, slots := range b.shared {
		some, punched := slots.giveBack()
		given, err = given || some, errors.Join(err, punched)
	}
	if given {
		return diskError(do())
	}
	return err
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
