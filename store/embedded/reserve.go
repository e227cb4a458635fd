package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"hakanai/store"
)

const (
	reserveName = "reserve"
	reserveSize = 1 << 20
	// restoreEvery bounds how often a full disk is asked for room again.
	restoreEvery = time.Second
)

// reserve is a file of no content that keeps room for claims: taking a secret writes to the index, and must work on a
// full disk. While the reserve has been given up nothing new is accepted, so that only what frees room uses it.
type reserve struct {
	path string

	mu    sync.Mutex
	whole bool
	tried time.Time
}

func newReserve(dir string) *reserve { return &reserve{path: filepath.Join(dir, reserveName)} }

// release gives the room up.
func (r *reserve) release() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.whole = false
	r.tried = time.Now()
	_ = os.Remove(r.path) // if it cannot be removed the claim fails for want of room, and says so
}

// restore takes the room back, if it is not held and has not just been tried. Error: store.ErrFull.
func (r *reserve) restore() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.whole {
		return nil
	}
	if time.Since(r.tried) < restoreEvery {
		return fmt.Errorf("keeping room for claims: %w", store.ErrFull)
	}
	r.tried = time.Now()
	if err := r.write(); err != nil {
		if remove := os.Remove(r.path); remove != nil && !errors.Is(remove, fs.ErrNotExist) {
			err = errors.Join(err, remove)
		}
		return fmt.Errorf("keeping room for claims: %w", diskError(err))
	}
	r.whole = true
	return nil
}

// write makes the file whole, in blocks that are really there.
func (r *reserve) write() error {
	if info, err := os.Stat(r.path); err == nil && info.Size() == reserveSize {
		return nil
	}
	file, err := os.OpenFile(r.path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(make([]byte, reserveSize))
	return errors.Join(err, file.Sync(), file.Close())
}
