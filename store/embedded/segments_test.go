//go:build unix

package embedded

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"hakanai/store"
	"hakanai/store/storetest"
)

// files counts the files of segments, those that nothing is in too.
func files(t *testing.T, s *Store) int {
	t.Helper()
	found, err := s.blobs.list()
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}

func TestOfManySegmentsThoseThatAreInUseStayOpen(t *testing.T) {
	s := open(t, t.TempDir())
	defer closeStore(t, s)
	segments := s.blobs.segments
	segments.mayRest = 2
	var ids []store.ID
	for range 6 * segmentSize / (100 << 10) {
		ids = append(ids, storetest.Create(t, s, storetest.Bytes(100<<10), time.Hour))
	}
	for i, id := range ids {
		if _, err := storetest.Take(s, id); err != nil {
			t.Fatal(err)
		}
		segments.mu.Lock()
		resting, first := len(segments.resting), segments.all[1]
		kept := first != nil && first.file != nil
		segments.mu.Unlock()
		if resting > 2 {
			t.Fatalf("%d files are open that nobody uses", resting)
		}
		if i == 0 && !kept {
			t.Error("the file that was just read is closed")
		}
	}
}

func TestSegmentsAreUsedAgainAndGivenBack(t *testing.T) {
	s := open(t, t.TempDir())
	defer closeStore(t, s)
	before := 0
	for round := range 5 {
		var ids []store.ID
		for range 2 * segmentSize / (100 << 10) {
			ids = append(ids, storetest.Create(t, s, storetest.Bytes(100<<10), time.Hour))
		}
		for range 5 {
			ids = append(ids, storetest.Create(t, s, storetest.Bytes(large), time.Hour))
		}
		for _, id := range ids {
			if _, err := storetest.Take(s, id); err != nil {
				t.Fatal(err)
			}
		}
		if n := files(t, s); round > 0 && n > before {
			t.Errorf("there were %d files, and are %d", before, n)
		} else {
			before = n
		}
		if round%2 == 1 {
			pause(s) // some are emptied, some are used as they are
		}
	}
	storetest.Eventually(t, "nothing is left", func() bool {
		pause(s)
		own, shared := findSegments(t, s)
		return len(own)+len(shared) == 0
	})
}

func TestAfterARestartSegmentsThatNothingIsInAreUsedAgain(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for range 3 {
		storetest.Create(t, s, storetest.Bytes(large), time.Second)
	}
	wantOwn(t, s, 0)
	closeStore(t, s)
	s = open(t, dir)
	defer closeStore(t, s)
	before := files(t, s)
	for range 3 {
		storetest.Create(t, s, storetest.Bytes(large), time.Hour)
	}
	if n := files(t, s); before < 3 || n != before {
		t.Errorf("there were %d files, and are %d", before, n)
	}
}

// spare leaves a segment that may be used again, of a blob of some size, and returns its path.
func spare(t *testing.T, s *Store, size int) (path string) {
	t.Helper()
	if err := s.blobs.segments.tidy(); err != nil { // finds how much room there is
		t.Fatal(err)
	}
	id := storetest.Create(t, s, storetest.Bytes(size), time.Hour)
	path = segmentOf(t, s, id)
	if _, err := storetest.Take(s, id); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestASegmentThatIsLongerThanItsNextBlobIsCut(t *testing.T) {
	s := open(t, t.TempDir())
	defer closeStore(t, s)
	path := spare(t, s, 3*large)
	want := storetest.Bytes(large)
	second := storetest.Create(t, s, want, time.Hour)
	if segmentOf(t, s, second) != path {
		t.Fatal("it is in another")
	}
	if info, err := os.Stat(path); err != nil || info.Size() != sealedSize(large) {
		t.Errorf("it has %d bytes (%v)", info.Size(), err)
	}
	if got, err := storetest.Take(s, second); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes come back (%v)", len(got), err)
	}
}

func TestASegmentThatIsLongerThanThoseThatAreSharedIsCut(t *testing.T) {
	s := open(t, t.TempDir())
	defer closeStore(t, s)
	path := spare(t, s, 2*segmentSize)
	if second := storetest.Create(t, s, []byte("small"), time.Hour); segmentOf(t, s, second) != path {
		t.Fatal("it is in another")
	}
	if info, err := os.Stat(path); err != nil || info.Size() != segmentSize {
		t.Errorf("it has %d bytes (%v)", info.Size(), err)
	}
}

func TestAFullDiskTakesWhatTheCurrentSegmentDoesNotNeed(t *testing.T) {
	s := open(t, t.TempDir())
	defer closeStore(t, s)
	contents := make(map[store.ID]string)
	for _, content := range []string{"before", "after"} {
		id := storetest.Create(t, s, []byte(content), time.Hour)
		contents[id] = content
		_ = s.blobs.segments.withRoom(func() error { return syscall.ENOSPC })
		if info, err := os.Stat(segmentOf(t, s, id)); err != nil || info.Size() != pageSize {
			t.Errorf("it has %d bytes (%v)", info.Size(), err)
		}
	}
	for id, want := range contents {
		if got, err := storetest.Take(s, id); err != nil || string(got) != want {
			t.Errorf("%q comes back as %q (%v)", want, got, err)
		}
	}
}

func TestWhatIsBeingReadIsNotOverwritten(t *testing.T) {
	s := open(t, t.TempDir())
	defer closeStore(t, s)
	want := storetest.Bytes(3 * large)
	id, claimant := storetest.Create(t, s, want, time.Hour), storetest.NewClaimant()
	c, err := s.Claim(t.Context(), id, claimant, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.End(t.Context(), id, claimant); err != nil { // on another connection, before this one has read anything
		t.Fatal(err)
	}
	for range 3 {
		storetest.Create(t, s, storetest.Bytes(3*large), time.Hour)
		pause(s)
	}
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes are read of %d (%v)", len(got), len(want), err)
	}
	before := files(t, s)
	if err := c.Release(); err != nil {
		t.Error(err)
	}
	storetest.Create(t, s, want, time.Hour)
	if n := files(t, s); n != before {
		t.Error("afterwards the segment is not used again")
	}
}

func TestAFullDiskTakesTheSpareSegments(t *testing.T) {
	s := open(t, t.TempDir())
	defer closeStore(t, s)
	if err := s.blobs.segments.tidy(); err != nil { // finds how much room there is
		t.Fatal(err)
	}
	if _, err := storetest.Take(s, storetest.Create(t, s, storetest.Bytes(large), time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := storetest.Take(s, storetest.Create(t, s, []byte("small"), time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := storetest.Take(s, storetest.Create(t, s, storetest.Bytes(large), time.Hour)); err != nil {
		t.Fatal(err)
	}
	held := func() int {
		own, shared := findSegments(t, s)
		return len(own) + len(shared)
	}
	if n := held(); n != 2 { // the current one, which the first has become, and that of the last
		t.Fatalf("%d hold something", n)
	}
	tries := 0
	err := s.blobs.segments.withRoom(func() error {
		tries++
		if held() > 0 {
			return syscall.ENOSPC
		}
		return nil
	})
	if err != nil || tries != 2 {
		t.Errorf("after %d tries: %v", tries, err)
	}
	full := func() error { tries++; return syscall.ENOSPC }
	if err := s.blobs.segments.withRoom(full); !errors.Is(err, syscall.ENOSPC) || tries != 4 {
		t.Errorf("without a spare one, after %d tries: %v", tries, err)
	}
}

func TestPagesThatNoSecretIsInAreGivenBack(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	contents := make(map[store.ID][]byte)
	for i := range 3000 { // in three segments
		b := storetest.Bytes(4 << 10)
		id := storetest.Create(t, s, b, time.Hour)
		if i%300 == 0 {
			contents[id] = b
		} else if _, err := storetest.Take(s, id); err != nil {
			t.Fatal(err)
		}
	}
	used := func() (bytes int64) {
		_, segments := findSegments(t, s)
		for _, path := range segments {
			info, err := os.Stat(path)
			if err != nil {
				return 1 << 62 // it has just been removed
			}
			bytes += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return bytes
	}
	storetest.Eventually(t, "the room is given back", func() bool { return used() <= segmentSize+1<<20 })
	closeStore(t, s)
	s = open(t, dir)
	defer closeStore(t, s)
	storetest.Eventually(t, "of the last segment too, after a restart", func() bool { return used() <= 10*(2*pageSize+4096) })
	for id, want := range contents {
		if got, err := storetest.Take(s, id); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes come back (%v)", len(got), err)
		}
	}
}

// Many of all sizes come and go at once, over restarts: each comes back as it was, and nothing is left.
func TestSmallAndLargeSecretsComeAndGo(t *testing.T) {
	dir := t.TempDir()
	var mu sync.Mutex
	contents := make(map[store.ID][]byte)
	for range 4 {
		s := open(t, dir)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 150 {
					b := storetest.Bytes(rand.IntN(1 << (rand.IntN(19))))
					id := storetest.Create(t, s, b, time.Hour)
					mu.Lock()
					contents[id] = b
					var taken []store.ID
					for id := range contents { // some of them, of this round or an earlier one
						if rand.IntN(2) == 0 {
							break
						}
						taken = append(taken, id)
					}
					want := make([][]byte, len(taken))
					for i, id := range taken {
						want[i] = contents[id]
						delete(contents, id)
					}
					mu.Unlock()
					for i, id := range taken {
						if got, err := storetest.Take(s, id); err != nil || !bytes.Equal(got, want[i]) {
							t.Errorf("%d bytes come back of %d (%v)", len(got), len(want[i]), err)
						}
					}
				}
			})
		}
		all.Wait()
		closeStore(t, s)
	}
	s := open(t, dir)
	defer closeStore(t, s)
	for id, want := range contents {
		if got, err := storetest.Take(s, id); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes come back of %d (%v)", len(got), len(want), err)
		}
	}
	storetest.Eventually(t, "nothing is left", func() bool {
		pause(s)
		own, shared := findSegments(t, s)
		return len(own)+len(shared) == 0
	})
}

func TestWhoeverWaitsForASegmentThatCannotBeSyncedIsToldAndOthersGoElsewhere(t *testing.T) {
	s := open(t, t.TempDir())
	defer closeStore(t, s)
	first := storetest.Create(t, s, []byte("first"), time.Hour)
	s.blobs.segments.mu.Lock()
	broken := s.blobs.segments.current
	well := broken.file
	reader, writer, err := os.Pipe() // what cannot be synced
	if err != nil {
		t.Fatal(err)
	}
	s.blobs.segments.mu.Unlock()
	broken.file = writer
	if err := s.blobs.segments.sync(broken); err == nil {
		t.Fatal("a pipe is synced")
	}
	broken.file = well
	if err := errors.Join(reader.Close(), writer.Close()); err != nil {
		t.Fatal(err)
	}
	err = s.writer.do(t.Context(), op{segment: broken, run: func() error { t.Error("it is committed"); return nil }})
	if err == nil {
		t.Error("whoever waits is not told")
	}
	second := storetest.Create(t, s, []byte("second"), time.Hour)
	if found, err := s.look(s.index.name(second)); err != nil || found.place.segment == broken.number {
		t.Errorf("the next is in the same segment (%v)", err)
	}
	for id, want := range map[store.ID]string{first: "first", second: "second"} {
		if got, err := storetest.Take(s, id); err != nil || string(got) != want {
			t.Errorf("%q (%v)", got, err)
		}
	}
}

func TestABlobThatIsLargerThanASegmentIsRefused(t *testing.T) {
	s := open(t, t.TempDir())
	defer closeStore(t, s)
	if _, _, err := s.blobs.segments.take(segmentSize + 1); !errors.Is(err, store.ErrFull) {
		t.Errorf("it gives %v", err)
	}
}
