package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// A ciphertext that is not large has no file of its own: to make one, sync it and remove it again costs more than all
// else that is done for it. It has a slot in a file that many share, and that is synced for many at once. A slot is:
//
//	name (16 bytes) | what a file of its own would hold
//
// The slot of a secret that is over is overwritten in place up to the end of the key, synced, and used again.

// class says where a ciphertext is.
type class byte

const (
	ownFile class = iota
	smallSlot
	mediumSlot
)

// place is where in its class a ciphertext is.
type place struct {
	class class
	slot  uint32
}

// slotHeader is what is overwritten.
const slotHeader = len(name{}) + blobHeader

// capacity is how much ciphertext fits into a slot.
func (s *slots) capacity() int64 {
	room := s.size - int64(slotHeader)
	return room - (room+chunkSize+tagSize-1)/(chunkSize+tagSize)*tagSize
}

// slots is one of the shared files.
type slots struct {
	file  *os.File
	class class
	size  int64 // of a slot, bytes

	mu     sync.Mutex
	owners []name // of the slots; the zero name has none
	free   []uint32
	holes  int             // so many of free have given their room back
	read   map[uint32]int  // how many read a slot just now
	wiped  map[uint32]bool // free when nobody reads them any more
}

// file names the shared file of a class, and tells how large its slots are.
func (c class) file() (name string, size int64) {
	if c == smallSlot {
		return "small", 4 << 10
	}
	return "medium", 128 << 10
}

func openSlots(dir string, c class) (*slots, error) {
	file, size := c.file()
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // in the data directory
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &slots{
		file: f, class: c, size: size, owners: make([]name, (info.Size()+size-1)/size),
		read: make(map[uint32]int), wiped: make(map[uint32]bool),
	}, nil
}

// tidy finds the slots that are in use. Those that nobody needs are destroyed: a crash left them over.
func (s *slots) tidy(needed func(name, place) (bool, error)) error {
	left := false
	for i := range s.owners {
		slot := uint32(i)
		var header [slotHeader]byte
		if _, err := s.file.ReadAt(header[:], s.at(slot)); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		n := name(header[:len(name{})])
		need, err := needed(n, place{s.class, slot})
		if err != nil {
			return err
		}
		if need {
			s.owners[slot] = n
			continue
		}
		s.free = append(s.free, slot)
		if header != [slotHeader]byte{} {
			left = true
			if err := s.wipe(slot); err != nil {
				return err
			}
		}
	}
	if left {
		return syncData(s.file)
	}
	return nil
}

// at is where a slot begins in the file.
func (s *slots) at(slot uint32) int64 { return int64(slot) * s.size }

// take finds a slot for a name.
func (s *slots) take(n name) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last := len(s.free) - 1; last >= 0 {
		slot := s.free[last]
		s.free, s.holes = s.free[:last], min(s.holes, last)
		s.owners[slot] = n
		return slot
	}
	s.owners = append(s.owners, n)
	return uint32(len(s.owners) - 1)
}

// disown tells whether a slot was a name's. It is nobody's then, and not free yet.
func (s *slots) disown(slot uint32, n name) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if int(slot) >= len(s.owners) || s.owners[slot] != n {
		return false
	}
	s.owners[slot] = name{}
	return true
}

// wipe overwrites what opens the slot's content. It is durable after a sync.
func (s *slots) wipe(slot uint32) error {
	var zero [slotHeader]byte
	_, err := s.file.WriteAt(zero[:], s.at(slot))
	return err
}

// offer makes slots free, those that are being read when that is over: a download that is under way may go on to its end.
func (s *slots) offer(slots []uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, slot := range slots {
		if s.read[slot] > 0 {
			s.wiped[slot] = true
		} else {
			s.free = append(s.free, slot)
		}
	}
}

// pin keeps a name's slot from being used again, until unpin. It tells whether the slot is the name's.
func (s *slots) pin(slot uint32, n name) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if int(slot) >= len(s.owners) || s.owners[slot] != n {
		return false
	}
	s.read[slot]++
	return true
}

func (s *slots) unpin(slot uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read[slot]--; s.read[slot] > 0 {
		return
	}
	delete(s.read, slot)
	if s.wiped[slot] {
		delete(s.wiped, slot)
		s.free = append(s.free, slot)
	}
}

// giveBack gives the room of free slots back to the file system, which is full.
func (s *slots) giveBack() (some bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ; s.holes < len(s.free); s.holes++ {
		if err := punch(s.file, s.at(s.free[s.holes]), s.size); err != nil {
			return some, fmt.Errorf("giving room back: %w", err)
		}
		some = true
	}
	return some, nil
}

// wiper destroys what is in slots, many at once.
type wiper struct {
	blobs  *blobs
	report func(error)
	full   func() bool // the disk is full: room is given back

	mu      sync.Mutex
	waiting []wipe
	running bool
	done    sync.WaitGroup
}

// wipe is a slot of nobody's that is to be destroyed.
type wipe struct {
	place
	done chan error // nil: nobody waits
}

// add destroys a slot soon. Who waits learns how it went; else it is reported.
func (w *wiper) add(p place, done chan error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(w.waiting, wipe{p, done})
	if !w.running {
		w.running = true
		w.done.Go(w.run)
	}
}

func (w *wiper) run() {
	for {
		w.mu.Lock()
		batch := w.waiting
		w.waiting, w.running = nil, len(batch) > 0
		w.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, s := range w.blobs.shared {
			if err := w.wipe(s, batch); err != nil {
				w.report(fmt.Errorf("destroying a ciphertext: %w", err))
			}
		}
	}
}

// wipe destroys those of a batch that are in one file. One that cannot be destroyed is not used again before a restart, which
// tries once more.
func (w *wiper) wipe(s *slots, batch []wipe) error {
	var gone []uint32
	var failed error
	for _, b := range batch {
		if b.class != s.class {
			continue
		}
		if err := s.wipe(b.slot); err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		gone = append(gone, b.slot)
	}
	if len(gone) > 0 {
		if err := syncData(s.file); err != nil {
			failed, gone = errors.Join(failed, err), nil
		}
	}
	s.offer(gone)
	if w.full() {
		_, err := s.giveBack()
		failed = errors.Join(failed, err)
	}
	for _, b := range batch {
		if b.class == s.class && b.done != nil {
			b.done <- failed
		}
	}
	return failed
}
