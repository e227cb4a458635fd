// Package embedded is the store of one machine: a data directory of its own and no other program.
//
// What is known about secrets and tokens is in one file of records of 256 bytes, the index. Each ciphertext is a blob,
// sealed under a small key of its own that is in the index, in a segment: small ones share these files, a large one has its
// own. The key is overwritten in place when the secret is over, so that what a disk keeps of the rest is noise; this needs a
// file system that overwrites in place (not btrfs or ZFS) and says nothing about copies that were made earlier.
//
// A commit and a claim are on disk (fsync) before they are answered. A claim overwrites one record, in one sector of the
// disk, and with it the key, unless the claimant may come back. Names are keyed hashes of ids: the directory tells nobody
// which links are alive.
package embedded

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"hakanai/store"
)

const (
	indexName   = "hakanai.index"
	secretsName = "secrets"
)

// Options are the settings of Open. Only Dir is required.
type Options struct {
	Dir    string           // the data directory; made if it is not there
	Random io.Reader        // crypto/rand by default
	Wall   func() time.Time // the machine's clock, time.Now by default
	// Report is told of errors that no caller is there to see: a failed clean-up, damage that was found.
	Report func(error)
	// Expired is told how many secrets have ended before anybody claimed them, as they are removed.
	Expired func(secrets int)
}

// Store implements store.Store in one directory. See the package comment.
type Store struct {
	dir    string
	random io.Reader
	report func(error)
	ended  func(secrets int)

	clock  *clock
	index  *index
	blobs  *blobs
	writer *writer

	secrets, tokens atomic.Int64 // live ones

	stop context.CancelFunc // ends the sweeper
	done sync.WaitGroup
}

var _ store.Store = (*Store)(nil)

// Open opens the data directory, and makes it when it is not there. What a crash left over is removed.
// Errors: store.ErrInUse when another process has the directory open.
func Open(options Options) (*Store, error) {
	s := &Store{dir: options.Dir, random: options.Random, report: options.Report, ended: options.Expired}
	if s.random == nil {
		s.random = rand.Reader
	}
	if s.report == nil {
		s.report = func(error) {}
	}
	if s.ended == nil {
		s.ended = func(int) {}
	}
	if err := makeDir(s.dir); err != nil {
		return nil, err
	}
	var err error
	if s.index, err = openIndex(filepath.Join(s.dir, indexName), s.random); err != nil {
		return nil, fmt.Errorf("data directory %s: %w", s.dir, err)
	}
	if err := s.open(options.Wall); err != nil {
		return nil, errors.Join(fmt.Errorf("data directory %s: %w", s.dir, err), s.index.close())
	}
	return s, nil
}

// Exists tells whether a directory holds a store.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, indexName))
	return err == nil
}

// open does what needs the lock on the index.
func (s *Store) open(wall func() time.Time) (err error) {
	if s.blobs, err = openBlobs(filepath.Join(s.dir, secretsName), s.random); err != nil {
		return err
	}
	if err := errors.Join(s.syncNames(), s.load(wall)); err != nil {
		return errors.Join(err, s.blobs.close())
	}
	s.writer = startWriter(s.index, s.blobs, s.clock, s.report)
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.done.Go(func() { s.sweep(ctx) })
	return nil
}

// syncNames makes the names in the data directory durable.
func (s *Store) syncNames() error {
	dir, err := os.Open(s.dir)
	if err != nil {
		return err
	}
	return errors.Join(syncDir(dir), dir.Close())
}

// makeDir makes a directory for the owner alone, and closes one that is open to others: but never a directory that
// holds something else.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the data directory: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading the data directory: %w", err)
	}
	ours := len(entries) == 0
	for _, entry := range entries {
		ours = ours || entry.Name() == indexName || entry.Name() == "lost+found"
	}
	if !ours {
		return fmt.Errorf("data directory %s holds other files and no %s: choose an empty or new directory", dir, indexName)
	}
	if err := os.Chmod(dir, 0o700); err != nil { //nolint:gosec // a directory needs its x bit
		return fmt.Errorf("closing the data directory to others: %w", err)
	}
	return nil
}

// load reads the index, counts what is alive, and removes the ciphertext of drafts and of claims that a crash cut off.
func (s *Store) load(wall func() time.Time) error {
	seen, damaged, err := s.index.load(func(r secret) {
		if r.state == live {
			s.secrets.Add(1)
		}
		if r.readable() {
			if err := s.blobs.segments.adopt(r); err != nil {
				s.report(err)
			}
		}
	})
	if err != nil {
		return err
	}
	if damaged > 0 {
		s.report(fmt.Errorf("%d records of the index are damaged: what they are of cannot be had", damaged))
	}
	s.clock = newClock(wall, seen)
	s.tokens.Store(s.countTokens())
	found, err := s.blobs.list()
	if err != nil {
		return err
	}
	if err := s.blobs.sync(); err != nil { // a crash may have come before
		return err
	}
	if err := s.blobs.segments.settle(found); err != nil {
		return fmt.Errorf("removing what a crash left over: %w", err)
	}
	if err := s.index.grow(maxBatch * mostPlaces); err != nil && !errors.Is(err, store.ErrFull) {
		return err
	}
	return nil
}

// Count implements store.Store.
func (s *Store) Count(context.Context) (store.Counts, error) {
	return store.Counts{Secrets: int(s.secrets.Load()), Tokens: int(s.tokens.Load())}, nil
}

// Check implements store.Store: it makes one durable write.
func (s *Store) Check(ctx context.Context) error {
	return s.writer.do(ctx, op{run: func() error { return nil }})
}

// String implements store.Store.
func (s *Store) String() string { return Describe(s.dir) }

// Describe describes the store in a directory, for a person.
func Describe(dir string) string { return "embedded store in " + dir }

// Close implements store.Store.
func (s *Store) Close() error {
	s.stop()
	s.done.Wait()
	s.writer.close()
	return errors.Join(s.blobs.close(), s.index.close())
}
