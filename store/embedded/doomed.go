package embedded

import (
	"errors"
	"sync"
)

// doomed are blobs that the index knows no more, and that could not be destroyed. They are tried again at each sweep, and
// after a restart they are what a crash left over.
type doomed struct {
	lock  sync.Mutex
	names []name
}

func (d *doomed) add(names ...name) {
	d.lock.Lock()
	defer d.lock.Unlock()
	d.names = append(d.names, names...)
}

// take empties the list.
func (d *doomed) take() (names []name) {
	d.lock.Lock()
	defer d.lock.Unlock()
	names, d.names = d.names, nil
	return names
}

// destroyLater makes the next sweep destroy a blob that the index knows no more.
func (s *Store) destroyLater(n name) { s.doomed.add(n) }

// destroyAll destroys blobs that the index knows no more. Those that cannot be destroyed are tried again later.
func (s *Store) destroyAll(names []name) error {
	var errs []error
	for _, n := range names {
		if err := s.blobs.destroy(n); err != nil {
			s.destroyLater(n)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
