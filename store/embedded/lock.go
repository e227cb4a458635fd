package embedded

import (
	"errors"
	"os"
	"time"

	"hakanai/store"
)

// lockWait is how long a start waits for another process to let go of the directory: a restart may overlap.
const lockWait = 2 * time.Second

// lock locks a file for this process, until it is closed. Error: store.ErrInUse.
func lock(file *os.File) error {
	for until := time.Now().Add(lockWait); ; time.Sleep(lockWait / 40) {
		if err := tryLock(file); !errors.Is(err, store.ErrInUse) || time.Now().After(until) {
			return err
		}
	}
}
