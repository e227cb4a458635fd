// Package valkey is the store of many machines: several servers share a Valkey (or Redis 7), which is one server, a
// primary with replicas that Sentinels watch, or a Cluster.
//
// Every step that decides something is one script on the Valkey side (scripts/), with all keys of a secret in one slot.
// Ciphertext is written and read in pieces, so that neither memory nor a command grows with a secret. What is never
// committed, or claimed and never read, expires by itself.
//
// Where there are replicas, a commit, a claim and their undoing are answered when all replicas that may be promoted have
// them, in memory and on disk (WAIT and WAITAOF, on the connection of the script). A claim that cannot be confirmed is undone, at once or as soon as Valkey
// is back, so that a failover neither serves a secret twice nor loses one. WAIT is not consensus: a replica that comes
// back empty and is promoted, or one that was thought to be dead, still loses what it did not have.
//
// Durability on one machine is Valkey's own: with appendonly and appendfsync always, what was answered is on disk.
package valkey

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/valkey-io/valkey-go"

	"hakanai/store"
)

const (
	// budget is how long a caller waits for an answer of Valkey, all attempts together.
	budget = 1800 * time.Millisecond
	// pieceBudget is how long whoever is in the middle of a large secret, to write or to read it, waits for the next piece: long
	// enough for a failover, or for a Valkey to be started elsewhere.
	pieceBudget = time.Minute
	// confirmTimeout is how long one attempt waits for the memory of replicas, and then for their disks. It asks them once for
	// each, and one that hung answers as it was when it was asked, then once a second: so a caller's budget has several attempts.
	confirmTimeout = 300 * time.Millisecond

	dialTimeout     = time.Second
	keepAlive       = time.Second // of the connection; valkey-go pings idle ones as often
	topologyRefresh = 2 * time.Second

	// pieceSize is how much ciphertext one command writes or reads.
	pieceSize = 128 << 10
	// inlineSize is the largest ciphertext that is answered with its claim, and goes over the shared connections.
	inlineSize = 16 << 10

	// draftLife is how long a draft lives after its last piece.
	draftLife = 10 * time.Minute
	// claimedLife is how long the ciphertext of a final claim lives when nobody reads it: as long as an undoing may
	// have to wait for Valkey to come back.
	claimedLife = 10 * time.Minute
	// readingLife is how long a ciphertext lives at least after a piece of it was read: longer than its reader waits for the next.
	readingLife = 2 * pieceBudget

	// maxShared bounds the small commands that are under way at once, and maxSingle the connections on which a piece of
	// ciphertext, or a script and its WAIT, have no company. Of those who find no place, maxWaiting wait for one, for
	// placeTime.
	maxShared  = 512
	maxSingle  = 128
	maxWaiting = 2048
	placeTime  = budget / 2
)

// Numbers of replicas that must confirm.
const (
	// Auto is all that Sentinels or the Cluster may promote, and at least one where this store has ever seen one.
	Auto = 0
	// None asks for no confirmation: a failover may lose secrets, and bring back those that were opened.
	None = -1
)

// Options are the settings of Open. Only DSN is required.
type Options struct {
	DSN *DSN
	// Replicas is how many must confirm a commit and a claim: a number, Auto or None.
	Replicas int
	// Strict keeps the store down while Valkey's settings are unsafe.
	Strict bool
	Random io.Reader // crypto/rand by default

	// Changed is told when the store is up (nil), and why it is down.
	Changed func(error)
	// Unsafe is told of settings of Valkey that break a promise, once each.
	Unsafe func(finding string)
	// Report is told of errors that no caller is there to see.
	Report func(error)
}

// Store implements store.Store. See the package comment.
type Store struct {
	options Options
	scripts scripts
	monitor *monitor
	repairs *repairs

	lookups  *lookups
	removals removals
	pieces   pieces

	sharedPlaces, singlePlaces places

	stop context.CancelFunc
	done sync.WaitGroup // what goes on in the background
}

var _ store.Store = (*Store)(nil)

// Open returns a store that connects in the background, and is down until it has.
func Open(options Options) *Store {
	if options.Random == nil {
		options.Random = rand.Reader
	}
	if options.Changed == nil {
		options.Changed = func(error) {}
	}
	if options.Unsafe == nil {
		options.Unsafe = func(string) {}
	}
	if options.Report == nil {
		options.Report = func(error) {}
	}
	s := &Store{
		options:      options,
		scripts:      newScripts(),
		sharedPlaces: newPlaces(maxShared, maxWaiting),
		singlePlaces: newPlaces(maxSingle, maxWaiting),
	}
	s.monitor = newMonitor(options)
	s.repairs = newRepairs(s)
	s.lookups = newLookups()
	s.removals.store = s
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	s.done.Go(func() { s.monitor.run(ctx) })
	s.done.Go(func() { s.repairs.run(ctx) })
	return s
}

// connections returns what is connected, or why nothing is.
func (s *Store) connections() (clients, error) { return s.monitor.connections() }

// inCluster tells whether keys are on several servers.
func (s *Store) inCluster() bool {
	c, err := s.connections()
	return err == nil && c.shared.Mode() == valkey.ClientModeCluster
}

// nonce draws 16 random bytes, in base64.
func (s *Store) nonce() (string, error) {
	var b [16]byte
	if _, err := io.ReadFull(s.options.Random, b[:]); err != nil {
		return "", fmt.Errorf("drawing a nonce: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// Count implements store.Store. It asks for the sizes of the indexes, not for secrets.
func (s *Store) Count(ctx context.Context) (counts store.Counts, err error) {
	err = s.small(ctx, func(ctx context.Context, c valkey.Client) error {
		counts = store.Counts{}
		now, err := c.Do(ctx, c.B().Time().Build()).AsIntSlice()
		if err != nil {
			return err
		}
		alive := fmt.Sprintf("(%d", now[0]*1000+now[1]/1000)
		commands := make(valkey.Commands, 0, buckets+1)
		for bucket := range buckets {
			commands = append(commands, c.B().Zcount().Key(liveKey(bucket)).Min(alive).Max("+inf").Build())
		}
		commands = append(commands, c.B().Zcount().Key(tokensKey(store.UserToken)).Min(alive).Max("+inf").Build())
		for i, result := range c.DoMulti(ctx, commands...) {
			n, err := result.AsInt64()
			if err != nil {
				return err
			}
			if i < buckets {
				counts.Secrets += int(n)
			} else {
				counts.Tokens = int(n)
			}
		}
		return nil
	})
	return counts, err
}

// Check implements store.Store: it tells what was seen less than a second ago.
func (s *Store) Check(context.Context) error { return s.monitor.down() }

// String implements store.Store.
func (s *Store) String() string { return "Valkey at " + s.options.DSN.String() }

// Close implements store.Store. Claims that wait to be undone are tried once more.
func (s *Store) Close() error {
	s.stop()
	s.done.Wait()
	err := s.repairs.flush()
	s.monitor.close()
	return err
}
