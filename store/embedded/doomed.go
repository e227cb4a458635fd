package embedded

import (
	"errors"
	"sync"
)

// doomed are files of blobs that the index knows no more, and that could not be destroyed. They are tried again at each sweep, and
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
func (d *doomed) take() (gone []located) {
	d.lock.Lock()
	defer d.lock.Unlock()
	for _, n := range d.names {
		gone = append(gone, located{name: n})
	}
	d.names = nil
	return gone
}

// destroyLater makes the next sweep destroy a blob that the index knows no more.
func (s *Store) destroyLater(n name) { s.doomed.add(n) }

// located is a blob and where it is.
type located struct {
	name  name
	place place
}

// destroyAll destroys blobs that the index knows no more. Those that cannot be destroyed are tried again later.
func (s *Store) destroyAll(gone []located) error {
	var errs []error
	for _, l := range gone {
		if l.place.class != ownFile {
			s.blobs.wipe(l, nil)
			continue
		}
		if err := s.blobs.destroyFile(l.name); err != nil {
			s.destroyLater(l.name)
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
