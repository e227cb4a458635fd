package embedded

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"hakanai/store"
	"hakanai/store/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return open(t, t.TempDir()) })
}

// open opens a store that must not meet damage.
func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(Options{Dir: dir, Report: func(err error) { t.Errorf("reported: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// large is more ciphertext than what shares a segment with others.
const large = chunkSize + 1

// findSegments lists the segments that hold something: those that are shared, and the others.
func findSegments(t testing.TB, s *Store) (own, shared []string) {
	t.Helper()
	dir := filepath.Join(s.dir, secretsName)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		path := filepath.Join(dir, file.Name())
		number, ok := segmentNumber(file.Name())
		if !ok {
			t.Fatalf("%s is no segment", path)
		}
		s.blobs.segments.mu.Lock()
		g := s.blobs.segments.all[number]
		s.blobs.segments.mu.Unlock()
		if info, err := file.Info(); err != nil || info.Size() == 0 {
			continue
		}
		if g == nil || g.own() {
			own = append(own, path)
		} else {
			shared = append(shared, path)
		}
	}
	return own, shared
}

// wantOwn waits until there are so many segments of one blob, and no spare ones.
func wantOwn(t testing.TB, s *Store, want int) {
	t.Helper()
	storetest.Eventually(t, fmt.Sprintf("there are %d segments of one blob", want), func() bool {
		pause(s)
		own, _ := findSegments(t, s)
		return len(own) == want
	})
}

// pause is as if nobody had come for a while.
func pause(s *Store) {
	for range spareTidyings {
		_ = s.blobs.segments.tidy() // it is reported when it fails again
	}
}

// segmentOf is the path of the segment that a secret is in.
func segmentOf(t testing.TB, s *Store, id store.ID) string {
	t.Helper()
	found, err := s.look(s.index.name(id))
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(s.dir, secretsName, segmentName(found.place.segment))
}

func TestSecretsTombstonesAndTokensSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	want := storetest.Bytes(100_000)
	id, taken := storetest.Create(t, s, want, time.Hour), storetest.Create(t, s, []byte("taken"), time.Hour)
	if _, err := storetest.Take(s, taken); err != nil {
		t.Fatal(err)
	}
	hash := store.TokenHash(storetest.Bytes(32))
	if err := s.PutToken(t.Context(), hash, store.Token{Kind: store.UserToken, TTL: time.Hour, UploadSizeLimit: 7}); err != nil {
		t.Fatal(err)
	}
	claimant := storetest.NewClaimant()
	leased := storetest.Create(t, s, []byte("leased"), time.Hour)
	c, err := s.Claim(t.Context(), leased, claimant, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)

	s = open(t, dir)
	defer closeStore(t, s)
	if n, err := s.Count(t.Context()); err != nil || n.Secrets != 1 || n.Tokens != 1 {
		t.Errorf("counts are %+v (%v)", n, err)
	}
	if got, err := storetest.Take(s, id); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes come back (%v)", len(got), err)
	}
	if _, err := storetest.Take(s, taken); !errors.Is(err, store.ErrGone) {
		t.Errorf("a taken secret gives %v", err)
	}
	if token, err := s.Token(t.Context(), store.UserToken, hash); err != nil || token.UploadSizeLimit != 7 {
		t.Errorf("the token is %+v (%v)", token, err)
	}
	if _, err := storetest.Take(s, leased); !errors.Is(err, store.ErrGone) {
		t.Errorf("a leased secret gives others %v", err)
	}
	c, err = s.Resume(t.Context(), leased, claimant, 0)
	if err != nil {
		t.Fatalf("the claimant cannot come back: %v", err)
	}
	if err := errors.Join(c.Release(), s.End(t.Context(), leased, claimant)); err != nil {
		t.Error(err)
	}
	wantOwn(t, s, 0)
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer closeStore(t, s)
	_, err := Open(Options{Dir: dir})
	if !errors.Is(err, store.ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second one gets %v", err)
	}
}

func TestTheDirectoryIsTheOwnersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	s := open(t, dir)
	storetest.Create(t, s, []byte("x"), time.Hour)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	s = open(t, dir) // closes it again
	defer closeStore(t, s)
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := os.FileMode(0o600)
		if entry.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o", path, info.Mode().Perm())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestADirectoryOfSomethingElseIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("it is opened, or the error does not name it: %v", err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("its mode was changed: %v", err)
	}
}

func TestNamesInTheDirectoryAreNotIDs(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	id := storetest.Create(t, s, []byte("x"), time.Hour)
	taken := storetest.Create(t, s, []byte("y"), time.Hour)
	if _, err := storetest.Take(s, taken); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	for _, id := range []store.ID{id, taken} {
		if where := findBytes(t, dir, id[:]); where != "" {
			t.Errorf("an id is in %s", where)
		}
		if where := findBytes(t, dir, []byte(hex.EncodeToString(id[:]))); where != "" {
			t.Errorf("an id is in %s", where)
		}
	}
}

// findBytes looks for bytes in the names and contents of a directory's files.
func findBytes(t *testing.T, dir string, want []byte) (where string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(content, want) || strings.Contains(path, string(want)) {
			where = path
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return where
}

func TestTheKeyOfADestroyedCiphertextIsNowhere(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer closeStore(t, s)
	for _, size := range []int{100, 100_000, large} {
		for _, end := range []string{"taken", "being taken", "ended", "expired"} {
			ciphertext := storetest.Bytes(size)
			ttl := time.Hour
			if end == "expired" {
				ttl = 2 * time.Second
			}
			id := storetest.Create(t, s, ciphertext, ttl)
			found, err := s.look(s.index.name(id))
			if err != nil {
				t.Fatal(err)
			}
			k := found.key
			if findBytes(t, dir, k[:]) != filepath.Join(dir, indexName) {
				t.Fatal("the key is not in the index")
			}
			if where := findBytes(t, dir, ciphertext[:32]); where != "" {
				t.Errorf("the ciphertext is as it was sent in %s", where)
			}
			switch end {
			case "taken":
				if got, err := storetest.Take(s, id); err != nil || !bytes.Equal(got, ciphertext) {
					t.Fatal(err)
				}
			case "being taken": // before a byte has left
				c, err := s.Claim(t.Context(), id, storetest.NewClaimant(), 0)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Release() //nolint:errcheck // the directory goes
			case "ended":
				claimant := storetest.NewClaimant()
				c, err := s.Claim(t.Context(), id, claimant, time.Hour)
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(c.Release(), s.End(t.Context(), id, claimant)); err != nil {
					t.Fatal(err)
				}
			case "expired":
				storetest.Eventually(t, "it is removed", func() bool {
					n, err := s.Count(t.Context())
					return err == nil && n.Secrets == 0
				})
			}
			if where := findBytes(t, dir, k[:]); where != "" {
				t.Errorf("%s, %d bytes: the key is in %s", end, size, where)
			}
		}
	}
}

func TestWhatACrashLeavesOverIsRemoved(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	kept, small := storetest.Create(t, s, storetest.Bytes(large), time.Hour), storetest.Create(t, s, []byte("small"), time.Hour)
	half := storetest.Create(t, s, storetest.Bytes(large), time.Hour)
	// A claim that was never ended, a draft that was never committed, a file of nothing.
	if _, err := s.Claim(t.Context(), half, storetest.NewClaimant(), 0); err != nil {
		t.Fatal(err)
	}
	d, err := s.Draft(t.Context(), uuid.New())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(storetest.Bytes(2 * large)); err != nil {
		t.Fatal(err)
	}
	left := filepath.Join(dir, secretsName, segmentName(1<<40))
	if err := os.WriteFile(left, []byte("left"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantOwn(t, s, 4)
	closeStore(t, s)
	s = open(t, dir)
	defer closeStore(t, s)
	wantOwn(t, s, 1)
	if _, shared := findSegments(t, s); len(shared) != 1 {
		t.Errorf("small ones share %v", shared)
	}
	if got, err := storetest.Take(s, kept); err != nil || len(got) != large {
		t.Errorf("%d bytes (%v)", len(got), err)
	}
	if got, err := storetest.Take(s, small); err != nil || string(got) != "small" {
		t.Errorf("%q (%v)", got, err)
	}
	if _, err := storetest.Take(s, half); !errors.Is(err, store.ErrGone) {
		t.Errorf("a claim that was cut off gives %v", err)
	}
}

func TestExpiredSecretsLeaveNothing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer closeStore(t, s)
	for i := range 500 { // more than one batch; some taken, whose tombstones go too
		id := storetest.Create(t, s, storetest.Bytes(100+i%50/49*large), 2*time.Second)
		if i%3 == 0 {
			if _, err := storetest.Take(s, id); err != nil {
				t.Fatal(err)
			}
		}
	}
	storetest.Eventually(t, "all is removed", func() bool {
		n, err := s.Count(t.Context())
		return err == nil && n.Secrets == 0
	})
	storetest.Eventually(t, "the segments too", func() bool {
		pause(s)
		own, shared := findSegments(t, s)
		return len(own)+len(shared) == 0
	})
	if _, records := counters(t, s); records != 0 {
		t.Errorf("%d records are left", records)
	}
	content, err := os.ReadFile(filepath.Join(dir, indexName))
	if err != nil || len(bytes.Trim(content[indexHeader+recordSize:], "\x00")) > 0 {
		t.Errorf("something is left in the index (%v)", err)
	}
}

// What ends while others are being removed is removed too, in its turn.
func TestTimeThatPassesDuringASweepLeavesNothingBehind(t *testing.T) {
	var now atomic.Int64
	now.Store(noon.UnixMilli())
	s, err := Open(Options{Dir: t.TempDir(), Wall: func() time.Time { return time.UnixMilli(now.Add(1)) }}) // at every look
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	for range 300 {
		storetest.Create(t, s, []byte("x"), 3*time.Second)
	}
	for range 10_000 {
		if err := s.removeEnded(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if _, records := counters(t, s); records != 0 {
		t.Errorf("%d are left", records)
	}
}

func TestADamagedCiphertextGivesNoWrongByte(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer closeStore(t, s)
	for round := range 300 {
		want := storetest.Bytes([]int{40_000, 3 * large}[round%2]) // of one chunk, and of some
		id := storetest.Create(t, s, want, time.Hour)
		found, err := s.look(s.index.name(id))
		if err != nil {
			t.Fatal(err)
		}
		file, err := os.OpenFile(segmentOf(t, s, id), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		at := found.place.offset + rand.Int64N(sealedSize(found.size))
		if !found.large() || rand.IntN(2) == 0 {
			var b [1]byte
			_, err = file.ReadAt(b[:], at)
			b[0] ^= 1 << rand.IntN(8)
			if err == nil {
				_, err = file.WriteAt(b[:], at)
			}
		} else {
			err = file.Truncate(at)
		}
		if err = errors.Join(err, file.Close()); err != nil {
			t.Fatal(err)
		}
		c, err := s.Claim(t.Context(), id, storetest.NewClaimant(), 0)
		if err != nil {
			continue // it was not consumed, and cannot be read
		}
		got, err := io.ReadAll(c)
		if err == nil || !bytes.HasPrefix(want, got) {
			t.Fatalf("%d bytes were read from a damaged file (%v)", len(got), err)
		}
		if err := c.Undo(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestADamagedIndexGivesErrorsAndNoWrongByte(t *testing.T) {
	pristine := t.TempDir()
	s := open(t, pristine)
	contents := make(map[store.ID][]byte)
	var numbers []uint32
	for range 30 {
		b := storetest.Bytes(1 + rand.IntN(300))
		id := storetest.Create(t, s, b, time.Hour)
		contents[id] = b
		numbers = append(numbers, s.index.secrets[s.index.name(id)])
	}
	closeStore(t, s)
	whole, err := os.ReadFile(filepath.Join(pristine, indexName))
	if err != nil {
		t.Fatal(err)
	}
	for round := range 100 {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(pristine)); err != nil {
			t.Fatal(err)
		}
		damaged := bytes.Clone(whole)
		changed := 0
		switch round % 3 {
		case 0:
			damaged = damaged[:1+rand.IntN([]int{len(damaged) - 1, indexHeader + 2*recordSize}[round%2])]
		case 1:
			damaged[rand.IntN(len(indexMagic)+len(s.index.pepper)+recordSum)] ^= 1 << rand.IntN(8)
		default:
			for _, number := range numbers[:1+rand.IntN(len(numbers))] {
				damaged[int(recordOffset(number))+rand.IntN(recordSize)] ^= 1 << rand.IntN(8)
				changed++
			}
		}
		if err := os.WriteFile(filepath.Join(dir, indexName), damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		reported := 0
		s, err := Open(Options{Dir: dir, Report: func(error) { reported++ }})
		if changed == 0 {
			if err == nil {
				t.Error("an index that was cut off, or has another head, is opened")
				closeStore(t, s)
			}
			continue
		}
		if err != nil || reported == 0 {
			t.Fatalf("with %d damaged records it is not opened, or nothing is told: %v", changed, err)
		}
		failed := 0
		for id, want := range contents {
			got, err := storetest.Take(s, id)
			if err != nil {
				failed++
			} else if !bytes.Equal(got, want) {
				t.Errorf("%d bytes came back wrong", len(got))
			}
		}
		if failed != changed {
			t.Errorf("%d records were damaged, and %d secrets cannot be had", changed, failed)
		}
		closeStore(t, s)
	}
}

func TestAnIndexWhoseMakingWasCutOffIsMadeAnew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, indexName)
	s := open(t, dir)
	closeStore(t, s)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(whole[:indexHeader]) // it comes last
	for _, length := range []int{0, 1, indexHeader, indexHeader + recordSize, indexHeader + recordSize + 100, indexHeader + indexGrowth*recordSize} {
		if err := os.WriteFile(path, whole[:length], 0o600); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir)
		storetest.Create(t, s, []byte("x"), time.Hour)
		closeStore(t, s)
	}
	whole, err = os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	clear(whole[:indexHeader])
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(Options{Dir: dir}); err == nil {
		t.Error("an index that holds a secret is made anew")
		closeStore(t, s)
	}
}

func TestARecordThatCannotBeReadIsNotConsumed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer closeStore(t, s)
	want := storetest.Bytes(large)
	id := storetest.Create(t, s, want, time.Hour)
	path := segmentOf(t, s, id)
	if err := os.Rename(path, path+"0"); err != nil {
		t.Fatal(err)
	}
	if _, err := storetest.Take(s, id); err == nil || errors.Is(err, store.ErrGone) || errors.Is(err, store.ErrNotFound) {
		t.Errorf("a missing file gives %v", err)
	}
	if err := os.Rename(path+"0", path); err != nil {
		t.Fatal(err)
	}
	if got, err := storetest.Take(s, id); err != nil || !bytes.Equal(got, want) {
		t.Errorf("when it is back: %d bytes (%v)", len(got), err)
	}
}

func TestAClosedStoreSaysSo(t *testing.T) {
	s := open(t, t.TempDir())
	closeStore(t, s)
	if err := s.Check(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("checking gives %v", err)
	}
}

func TestChangesThatComeTogetherShareASync(t *testing.T) {
	var looks atomic.Int64 // at the clock: one a group, and a few of the sweeper's
	s, err := Open(Options{Dir: t.TempDir(), Wall: func() time.Time { looks.Add(1); return time.Now() }})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	began, hold := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	do := func(run func() error) {
		all.Go(func() {
			if err := s.writer.do(context.Background(), op{run: run}); err != nil {
				t.Error(err)
			}
		})
	}
	do(func() error { close(began); <-hold; return nil })
	<-began
	for range 200 {
		do(func() error { return nil })
	}
	storetest.Eventually(t, "200 wait", func() bool { return len(s.writer.jobs) == 200 })
	looks.Store(0)
	close(hold)
	all.Wait()
	if n := looks.Load(); n == 0 || n > 20 {
		t.Errorf("201 changes were made in %d groups", n)
	}
}

// A clock that the test sets.
type fakeClock struct {
	mu      sync.Mutex
	wall    time.Time
	elapsed time.Duration
}

func (c *fakeClock) set(wall time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = wall
}

// pass lets time pass for both clocks.
func (c *fakeClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall = c.wall.Add(d)
	c.elapsed += d
}

func (c *fakeClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall
}

func (c *fakeClock) since() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.elapsed
}

// openAt opens a store that lives by a fake clock.
func openAt(t *testing.T, dir string, c *fakeClock) *Store {
	t.Helper()
	s, err := Open(Options{Dir: dir, Wall: c.now, Report: func(err error) { t.Errorf("reported: %v", err) }})
	if err != nil {
		t.Fatal(err)
	}
	s.clock.mu.Lock()
	s.clock.elapsed, s.clock.at = c.since, c.since()
	s.clock.mu.Unlock()
	return s
}

func look(s *Store, id store.ID) error {
	_, err := s.Look(context.Background(), id)
	return err
}

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func TestAWallClockSetBackProlongsNothing(t *testing.T) {
	for _, jump := range []time.Duration{-time.Second, -time.Hour, -10 * 365 * 24 * time.Hour} {
		c := &fakeClock{wall: noon}
		s := openAt(t, t.TempDir(), c)
		id := storetest.Create(t, s, []byte("x"), time.Hour)
		c.pass(30 * time.Minute)
		c.set(noon.Add(jump))
		later := storetest.Create(t, s, []byte("y"), time.Hour)
		c.pass(29 * time.Minute)
		if err := look(s, id); err != nil {
			t.Errorf("%s: it is gone before its time: %v", jump, err)
		}
		c.pass(2 * time.Minute)
		if err := look(s, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: past its time it gives %v", jump, err)
		}
		if err := look(s, later); err != nil {
			t.Errorf("%s: a later one is gone: %v", jump, err)
		}
		c.pass(time.Hour)
		if err := look(s, later); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: past its time a later one gives %v", jump, err)
		}
		closeStore(t, s)
	}
}

func TestAWallClockSetBackOverARestartResurrectsNothing(t *testing.T) {
	dir := t.TempDir()
	c := &fakeClock{wall: noon}
	s := openAt(t, dir, c)
	id := storetest.Create(t, s, []byte("x"), time.Hour)
	c.pass(2 * time.Hour)
	storetest.Create(t, s, []byte("y"), time.Hour) // the time is written down with it
	closeStore(t, s)
	for _, wall := range []time.Time{noon, time.Unix(0, 0), noon.AddDate(-10, 0, 0)} {
		c.set(wall)
		s = openAt(t, dir, c)
		if err := look(s, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("with the clock at %s it gives %v", wall, err)
		}
		closeStore(t, s)
	}
}

func TestAWallClockSetForwardDeletesNothingUntilItHasLasted(t *testing.T) {
	for _, jump := range []time.Duration{2 * time.Hour, 10 * 365 * 24 * time.Hour, 290 * 365 * 24 * time.Hour} {
		dir := t.TempDir()
		c := &fakeClock{wall: noon}
		s := openAt(t, dir, c)
		id := storetest.Create(t, s, storetest.Bytes(large), time.Hour)

		c.set(noon.Add(jump)) // by mistake
		if err := look(s, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: it gives %v", jump, err)
		}
		if err := storetest.TryCreate(s, uuid.New(), []byte("y"), store.Secret{TTL: time.Hour}); !errors.Is(err, store.ErrClockJump) {
			t.Errorf("%s: a create gives %v", jump, err)
		}
		if err := s.removeEnded(t.Context()); err != nil {
			t.Error(err)
		}
		c.pass(secondSighting / 2)
		if err := s.removeEnded(t.Context()); err != nil {
			t.Error(err)
		}
		wantOwn(t, s, 1)
		c.set(noon.Add(secondSighting / 2)) // put right
		if err := look(s, id); err != nil {
			t.Errorf("%s: when the clock is right again it gives %v", jump, err)
		}

		c.set(c.now().Add(jump)) // in earnest
		if err := look(s, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: it gives %v", jump, err)
		}
		c.pass(secondSighting + time.Second)
		wantOwn(t, s, 0) // it is deleted
		storetest.Create(t, s, []byte("y"), time.Hour)
		closeStore(t, s)
	}
}

func TestSmallStepsOfTheClockAreFollowed(t *testing.T) {
	c := &fakeClock{wall: noon}
	s := openAt(t, t.TempDir(), c)
	defer closeStore(t, s)
	for range 10 {
		c.set(c.now().Add(2 * time.Second))
		c.pass(time.Minute)
		storetest.Create(t, s, []byte("x"), time.Hour)
	}
	if now := s.clock.now(); now != c.now().UnixMilli() {
		t.Errorf("the store is %d ms behind", c.now().UnixMilli()-now)
	}
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	want := secret{
		state: claimed, name: name{1}, expires: 2, size: 3, leaseEnds: 4, repeats: 5, read: 6, claimant: store.Claimant{7},
		account: store.Account{8}, key: key{9}, place: place{segment: 10, offset: 11, restrictions: 12},
	}
	b := want.encode(13)
	if got, err := decodeSecret(&b, 13); err != nil || got != want {
		t.Errorf("%+v comes back as %+v (%v)", want, got, err)
	}
	if _, err := decodeSecret(&b, 14); !errors.Is(err, errDamaged) {
		t.Errorf("in another place it gives %v", err)
	}
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			if _, err := decodeSecret(&b, 13); !errors.Is(err, errDamaged) {
				t.Fatalf("a change of byte %d gives %v", i, err)
			}
			b[i] ^= 1 << bit
		}
	}
}

// FuzzRecord reads records of any kind, with a sum that is right, so that the fuzzer gets past it.
func FuzzRecord(f *testing.F) {
	for _, record := range []raw{
		secret{state: live, expires: 1, size: 2}.encode(3),
		token{expires: 1, Token: store.Token{Kind: store.AdminToken, UploadSizeLimit: 2}}.encode(3),
		guesses{n: 5, ends: 1 << 40}.encode(3),
		encodeClock(1, 2),
	} {
		f.Add(record[:recordSize-recordSum], uint32(3))
	}
	f.Fuzz(func(t *testing.T, body []byte, number uint32) {
		var record raw
		copy(record[:recordSize-recordSum], body)
		record.seal(record.kind(), number)
		same := func(again raw) {
			if record.kind() != again.kind() || !bytes.HasPrefix(record[recordStart:], bytes.TrimRight(again[recordStart:recordSize-recordSum], "\x00")) {
				t.Errorf("%x comes back as %x", record, again)
			}
		}
		if s, err := decodeSecret(&record, number); err == nil {
			same(s.encode(number))
		}
		if found, err := decodeToken(&record, number); err == nil {
			same(found.encode(number))
		}
		if g, err := decodeGuesses(&record, number); err == nil {
			same(g.encode(number))
		}
		_, _, _ = decodeClock(&record)
	})
}

func TestSecretsAndTokensLeaveRoomForGuesses(t *testing.T) {
	s := open(t, t.TempDir())
	defer closeStore(t, s)
	limits := store.AttemptLimits{Near: 3, NearWindow: time.Minute, All: 100, AllWindow: time.Hour}
	keys := s.index.guessKeys(uuid.New(), guessFrom)
	err := s.writer.do(t.Context(), op{run: func() error {
		x := s.index
		rest := x.free[keptForGuess:]
		x.free = x.free[:keptForGuess] // as on a disk without room for more
		defer func() { x.free = append(x.free, rest...) }()
		if err := x.addSecret(secret{name: name{1}}); !errors.Is(err, store.ErrFull) {
			t.Errorf("a secret gives %v", err)
		}
		if err := x.putToken(token{}); !errors.Is(err, store.ErrFull) {
			t.Errorf("a token gives %v", err)
		}
		return x.countGuess(keys, limits, s.clock.certain())
	}})
	if err != nil {
		t.Errorf("a guess gives %v", err)
	}
}

func TestAfterAFailedWriteNothingIsWritten(t *testing.T) {
	dir := t.TempDir()
	var reported atomic.Int64
	s, err := Open(Options{Dir: dir, Report: func(error) { reported.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	id := storetest.Create(t, s, []byte("x"), time.Hour)
	well, err := os.OpenFile(filepath.Join(dir, indexName), os.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.index.file, well = well, s.index.file // one that cannot be written
	for _, change := range []func() error{
		func() error { _, err := storetest.Take(s, id); return err },
		func() error { return storetest.TryCreate(s, uuid.New(), []byte("y"), store.Secret{TTL: time.Hour}) },
		func() error { return s.Check(t.Context()) },
	} {
		if err := change(); !errors.Is(err, store.ErrDown) {
			t.Errorf("it gives %v", err)
		}
	}
	if reported.Load() != 1 {
		t.Errorf("it is reported %d times", reported.Load())
	}
	s.index.file, well = well, s.index.file
	if err := errors.Join(well.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	defer closeStore(t, s)
	if got, err := storetest.Take(s, id); err != nil || string(got) != "x" {
		t.Errorf("after a new start: %q (%v)", got, err)
	}
}

// A crash while a place is emptied and an id is used again can leave the old record as well.
func TestARecordThatWasRemovedTakesNoOtherOfItsNameAlong(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	id, hash := storetest.Create(t, s, []byte("x"), time.Hour), store.TokenHash{1}
	if err := s.PutToken(t.Context(), hash, store.Token{Kind: store.UserToken, TTL: time.Hour}); err != nil {
		t.Fatal(err)
	}
	err := s.writer.do(t.Context(), op{run: func() error {
		x := s.index
		old, _, err := x.secret(x.name(id))
		if err != nil {
			return err
		}
		old.expires = s.clock.now() + 1500
		old.state, old.key, old.place = claimed, key{}, place{}
		expired := token{hash: hash, expires: old.expires, Token: store.Token{Kind: store.UserToken}}
		for i := range 40 { // before and after the ones that count
			number, err := x.place(0)
			if err != nil {
				return err
			}
			record := old.encode(number)
			if i%2 == 0 {
				record = expired.encode(number)
			}
			if err := x.write(number, record); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	s = open(t, dir)
	defer closeStore(t, s)
	storetest.Eventually(t, "the old ones are removed", func() bool {
		_, records := counters(t, s)
		return records == 2
	})
	if _, err := s.Token(t.Context(), store.UserToken, hash); err != nil {
		t.Errorf("the token: %v", err)
	}
	if got, err := storetest.Take(s, id); err != nil || string(got) != "x" {
		t.Errorf("the secret: %q (%v)", got, err)
	}
}
