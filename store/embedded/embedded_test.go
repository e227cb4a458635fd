package embedded

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
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

func wantBlobs(t *testing.T, dir string, want int) {
	t.Helper()
	files, err := os.ReadDir(filepath.Join(dir, secretsName))
	if err != nil || len(files) != want {
		t.Errorf("there are %d files of ciphertext, want %d (%v)", len(files), want, err)
	}
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
	wantBlobs(t, dir, 0)
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

func TestADestroyedCiphertextCannotBeReadFromItsBlocks(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer closeStore(t, s)
	for _, end := range []string{"taken", "expired", "discarded"} {
		ciphertext := storetest.Bytes(100_000)
		id := uuid.New()
		d, err := s.Draft(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.Write(ciphertext); err != nil {
			t.Fatal(err)
		}
		if end != "discarded" {
			ttl := map[string]time.Duration{"taken": time.Hour, "expired": time.Second}[end]
			if err := d.Commit(t.Context(), store.Secret{TTL: ttl}); err != nil {
				t.Fatal(err)
			}
		}
		// A hard link keeps the blocks in view after the file is removed.
		path := filepath.Join(dir, secretsName, s.index.name(id).file())
		kept := filepath.Join(t.TempDir(), "kept")
		if err := os.Link(path, kept); err != nil {
			t.Fatal(err)
		}
		key, err := os.ReadFile(kept)
		if err != nil {
			t.Fatal(err)
		}
		key = key[len(blobMagic):blobHeader]
		switch end {
		case "taken":
			if got, err := storetest.Take(s, id); err != nil || !bytes.Equal(got, ciphertext) {
				t.Fatal(err)
			}
		case "discarded":
			d.Discard()
		}
		storetest.Eventually(t, "the file is gone", func() bool {
			_, err := os.Stat(path)
			return errors.Is(err, os.ErrNotExist)
		})
		left, err := os.ReadFile(kept)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(left, key) || bytes.Contains(left, ciphertext[:32]) {
			t.Errorf("%s: the key or the ciphertext is still in the file's blocks", end)
		}
	}
}

func TestWhatACrashLeavesOverIsRemoved(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	kept := storetest.Create(t, s, []byte("kept"), time.Hour)
	half := storetest.Create(t, s, storetest.Bytes(1000), time.Hour)
	// A claim that was never ended, a draft that was never committed, a file of nothing.
	if _, err := s.Claim(t.Context(), half, storetest.NewClaimant(), 0); err != nil {
		t.Fatal(err)
	}
	d, err := s.Draft(t.Context(), uuid.New())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(storetest.Bytes(100_000)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, secretsName, strings.Repeat("0", 32)), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantBlobs(t, dir, 4)
	closeStore(t, s)
	s = open(t, dir)
	defer closeStore(t, s)
	wantBlobs(t, dir, 1)
	if got, err := storetest.Take(s, kept); err != nil || string(got) != "kept" {
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
		id := storetest.Create(t, s, storetest.Bytes(100), 2*time.Second)
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
	storetest.Eventually(t, "the files too", func() bool {
		names, err := s.blobs.names()
		return err == nil && len(names) == 0
	})
	storetest.Eventually(t, "the index is empty", func() bool {
		records := 0
		err := s.index.view(func(tx *indexTx) error {
			records = tx.secrets.Stats().KeyN + tx.ends.Stats().KeyN
			return nil
		})
		return err == nil && records == 0
	})
}

func TestADamagedCiphertextGivesNoWrongByte(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer closeStore(t, s)
	want := storetest.Bytes(40_000) // two chunks
	for range 300 {
		id := storetest.Create(t, s, want, time.Hour)
		path := filepath.Join(dir, secretsName, s.index.name(id).file())
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if rand.IntN(2) == 0 {
			raw[rand.IntN(len(raw))] ^= 1 << rand.IntN(8)
		} else {
			raw = raw[:rand.IntN(len(raw))]
		}
		if err := os.WriteFile(path, raw, 0o600); err != nil {
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

// Damage to the records themselves, and a file that is cut off. (Damage to the links between pages is bbolt's
// to find, and it does not always.)
func TestADamagedIndexGivesErrorsAndNoWrongByte(t *testing.T) {
	pristine := t.TempDir()
	s := open(t, pristine)
	contents := make(map[store.ID][]byte)
	var records [][]byte
	for range 30 {
		b := storetest.Bytes(1 + rand.IntN(300))
		id := storetest.Create(t, s, b, time.Hour)
		contents[id] = b
		err := s.index.view(func(tx *indexTx) error {
			n := s.index.name(id)
			records = append(records, bytes.Clone(tx.secrets.Get(n[:])))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	index, err := os.ReadFile(filepath.Join(pristine, indexName))
	if err != nil {
		t.Fatal(err)
	}
	for round := range 100 {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(pristine)); err != nil {
			t.Fatal(err)
		}
		damaged := bytes.Clone(index)
		changed := 0
		if round%2 == 0 {
			damaged = damaged[:rand.IntN(len(damaged))]
		} else {
			for _, record := range records[:1+rand.IntN(len(records))] {
				for rest := damaged; ; { // wherever bbolt has a copy of it
					i := bytes.Index(rest, record)
					if i < 0 {
						break
					}
					rest = rest[i:]
					rest[rand.IntN(len(record))] ^= 1 << rand.IntN(8)
				}
				changed++
			}
		}
		if err := os.WriteFile(filepath.Join(dir, indexName), damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(Options{Dir: dir})
		if err != nil {
			continue
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
		if failed < changed {
			t.Errorf("%d records were damaged, and %d noticed", changed, failed)
		}
		_ = s.Close()
	}
}

func TestARecordThatCannotBeReadIsNotConsumed(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer closeStore(t, s)
	id := storetest.Create(t, s, []byte("x"), time.Hour)
	path := filepath.Join(dir, secretsName, s.index.name(id).file())
	if err := os.Rename(path, path+"0"); err != nil {
		t.Fatal(err)
	}
	if _, err := storetest.Take(s, id); err == nil || errors.Is(err, store.ErrGone) || errors.Is(err, store.ErrNotFound) {
		t.Errorf("a missing file gives %v", err)
	}
	if err := os.Rename(path+"0", path); err != nil {
		t.Fatal(err)
	}
	if got, err := storetest.Take(s, id); err != nil || string(got) != "x" {
		t.Errorf("when it is back: %q (%v)", got, err)
	}
}

func TestAClosedStoreSaysSo(t *testing.T) {
	s := open(t, t.TempDir())
	closeStore(t, s)
	if err := s.Check(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("checking gives %v", err)
	}
}

func TestConcurrentCommitsShareTransactions(t *testing.T) {
	s := open(t, t.TempDir())
	defer closeStore(t, s)
	before := s.index.db.Stats()
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for range 30 {
				storetest.Create(t, s, []byte("x"), time.Hour)
			}
		})
	}
	all.Wait()
	after := s.index.db.Stats()
	transactions := after.Sub(&before)
	if n := transactions.TxStats.GetWrite(); n > 960*6 {
		t.Errorf("960 creates took %d page writes", n)
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
		id := storetest.Create(t, s, []byte("x"), time.Hour)

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
		wantBlobs(t, dir, 1)
		c.set(noon.Add(secondSighting / 2)) // put right
		if err := look(s, id); err != nil {
			t.Errorf("%s: when the clock is right again it gives %v", jump, err)
		}

		c.set(c.now().Add(jump)) // in earnest
		if err := look(s, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: it gives %v", jump, err)
		}
		c.pass(secondSighting + time.Second)
		storetest.Eventually(t, "it is deleted", func() bool {
			files, err := os.ReadDir(filepath.Join(dir, secretsName))
			return err == nil && len(files) == 0
		})
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
	want := record{state: claimed, expires: 1, size: 2, leaseEnds: 3, claimant: store.Claimant{4}, account: store.Account{5}}
	want.restrictions.Countries = []string{"DE"}
	b, err := want.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeRecord(b)
	if err != nil || got.state != want.state || got.expires != 1 || got.size != 2 || got.leaseEnds != 3 || got.claimant != want.claimant ||
		len(got.restrictions.Countries) != 1 {
		t.Errorf("%+v comes back as %+v (%v)", want, got, err)
	}
	for i := range b {
		for bit := range 8 {
			changed := bytes.Clone(b)
			changed[i] ^= 1 << bit
			if _, err := decodeRecord(changed); !errors.Is(err, errDamaged) {
				t.Fatalf("a change of byte %d gives %v", i, err)
			}
		}
		if _, err := decodeRecord(b[:i]); !errors.Is(err, errDamaged) {
			t.Fatalf("%d bytes of it give %v", i, err)
		}
	}
}

func FuzzRecord(f *testing.F) {
	for _, r := range []record{{state: live, expires: 1, size: 2}, {state: claimed, leaseEnds: 3, restrictions: store.Restrictions{ASNs: []uint32{1}}}} {
		b, err := r.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:len(b)-recordSum])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		sum := checksum(body) // so that the fuzzer gets past it
		r, err := decodeRecord(append(bytes.Clone(body), byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum)))
		if err != nil {
			return
		}
		b, err := r.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeRecord(b)
		if err != nil || again.expires != r.expires || again.size != r.size || again.state != r.state {
			t.Errorf("%+v comes back as %+v (%v)", r, again, err)
		}
	})
}

func FuzzToken(f *testing.F) {
	f.Add(encodeToken(1, store.Token{Kind: store.AdminToken, UploadSizeLimit: 2}))
	f.Fuzz(func(t *testing.T, b []byte) {
		expires, token, err := decodeToken(b)
		if err == nil && !bytes.Equal(encodeToken(expires, token), b) {
			t.Errorf("%x is read as %d and %+v", b, expires, token)
		}
	})
}

func TestClaimsGoFirstIntoTheRoomThatIsKeptForThem(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	defer closeStore(t, s)
	path := filepath.Join(dir, reserveName)
	if info, err := os.Stat(path); err != nil || info.Size() != reserveSize {
		t.Fatalf("no room is kept: %v", err)
	}
	// A disk that is full for as long as the reserve takes its room.
	write := func(*indexTx) error {
		if _, err := os.Stat(path); err == nil {
			return diskError(errors.New("write: no space left on device"))
		}
		return nil
	}
	batch := []*job{{op: op{run: write}}, {op: op{run: write, frees: true}}, {op: op{run: write}}, {op: op{run: write, frees: true}}}
	s.writer.commit(batch)
	for i, j := range batch {
		if j.frees && j.result != nil {
			t.Errorf("job %d, which frees room, fails with %v", i, j.result)
		}
		if !j.frees && !errors.Is(j.result, store.ErrFull) {
			t.Errorf("job %d, which takes room, gives %v", i, j.result)
		}
	}
	if _, err := s.Draft(t.Context(), uuid.New()); !errors.Is(err, store.ErrFull) {
		t.Errorf("while no room is kept a draft gives %v", err)
	}
	storetest.Eventually(t, "room is kept again", func() bool {
		d, err := s.Draft(t.Context(), uuid.New())
		if err == nil {
			d.Discard()
		}
		return err == nil
	})
	if info, err := os.Stat(path); err != nil || info.Size() != reserveSize {
		t.Errorf("no room is kept: %v", err)
	}
}
