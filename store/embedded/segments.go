package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"hakanai/store"
)

// A segment is a file of blobs. Small ones share it: to sync a file for each would cost several times as much as all the
// rest. One shared segment is current; blobs are added at its end, one after the other. In the others, pages that no blob
// is in are given back to the file system, where it can do that. A large blob has a segment of its own.
//
// A segment of which no blob is left is emptied and used again for either: to make and to remove files is dear, since ext4
// looks for an inode for a new one among all that were freed within minutes. Which blobs there are is known from the index
// alone.
const (
	segmentSize = 4 << 20
	// segmentStep is how much a segment grows at a time, in blocks that are really there: so a disk is found full before
	// anything is promised, and syncing a blob need not sync the file's size.
	segmentStep   = 256 << 10
	segmentSuffix = ".segment"
	pageSize      = 4 << 10
	// maxResting bounds the shared files that stay open while nobody uses them. Others are opened when they are read.
	maxResting = 256
	// maxEmpty bounds the empty files that are kept, which take an inode each: 1 MiB in all.
	maxEmpty = 4096
	// spareShare is the part of the room on the disk that spare segments may take; spareTidyings is how often, once a
	// second, all is tidied before they are emptied since nobody needs them.
	spareShare    = 32
	spareTidyings = 10
)

type segment struct {
	number uint64
	file   *os.File // nil while it is not open
	users  int      // who is writing or reading just now
	size   int64    // of the file
	used   int64    // where the next blob goes
	blobs  int
	pages  []uint16 // how many blobs are in each; nil for a segment of one large blob
	named  bool     // its name is durable, for the writer
	failed error    // of a sync; nothing is added after that
	freed  bool     // pages have been, since they were last given back
	holed  bool     // pages have been given back: it is used again only when it is emptied
	gone   bool     // no blob will be in it any more
}

func newPages() []uint16 { return make([]uint16, segmentSize/pageSize) }

// own tells whether the segment is a large blob's own.
func (g *segment) own() bool { return g.pages == nil }

// pagesOf gives the pages that a part of the file lies in. Error: errDamaged.
func (g *segment) pagesOf(offset, length int64) ([]uint16, error) {
	if g.own() {
		return nil, nil
	}
	if offset < 0 || length <= 0 || length > segmentSize || offset > segmentSize-length {
		return nil, errDamaged
	}
	return g.pages[offset/pageSize : (offset+length-1)/pageSize+1], nil
}

// segments are those of a directory.
type segments struct {
	root *os.Root
	dir  *os.File // the same directory

	mu      sync.Mutex
	all     map[uint64]*segment
	current *segment          // the shared one that blobs are added to; nil before the first
	last    uint64            // the highest number
	resting map[*segment]bool // shared ones that nobody uses, and of which the files are open
	mayRest int               // so many stay open: maxResting but in tests
	idle    int               // tidyings since the last blob came
	whole   bool              // the file system cannot give pages back

	spare []*segment // that no blob is in, and that hold what was there: to overwrite it is cheaper than to write to new blocks
	bytes int64      // in those
	most  int64      // that there may be
	empty []*segment // that nothing is in
	late  []*segment // that could not be emptied, which is tried again

	making sync.Mutex // of room, on a full disk
}

func newSegments(root *os.Root, dir *os.File) *segments {
	return &segments{root: root, dir: dir, all: make(map[uint64]*segment), resting: make(map[*segment]bool), mayRest: maxResting}
}

func segmentName(number uint64) string { return fmt.Sprintf("%016x%s", number, segmentSuffix) }

func segmentNumber(file string) (number uint64, ok bool) {
	digits, ok := strings.CutSuffix(file, segmentSuffix)
	if !ok || len(digits) != 16 {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 16, 64)
	return number, err == nil && number > 0
}

// adopt counts a blob that the index knows, before the first is taken. Error: errDamaged.
func (s *segments) adopt(r secret) error {
	at, length := r.place, r.sealed()
	g := s.all[at.segment]
	if g == nil {
		g = &segment{number: at.segment, named: true}
		if !r.large() {
			g.pages, g.freed, g.holed = newPages(), true, true // as far as is known
		}
	}
	if g.own() != r.large() {
		return errDamaged
	}
	pages, err := g.pagesOf(at.offset, length)
	if err != nil {
		return err
	}
	for i := range pages {
		pages[i]++
	}
	g.blobs++
	g.used = max(g.used, at.offset+length)
	g.size = g.used
	s.all[at.segment] = g
	s.last = max(s.last, at.segment)
	return nil
}

// settle empties segments that no blob is in, and cuts off what is behind the last blob of others. Nothing is added to those.
func (s *segments) settle(found []uint64) error {
	for _, number := range found {
		s.last = max(s.last, number)
		g := s.all[number]
		if g == nil {
			if err := s.clear(&segment{number: number, named: true}); err != nil {
				return err
			}
			continue
		}
		if g.own() {
			continue // it was cut before it was committed
		}
		if err := s.cut(g); err != nil {
			return err
		}
	}
	return nil
}

func (s *segments) cut(g *segment) error {
	file, err := s.root.OpenFile(segmentName(g.number), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil && info.Size() > g.used {
		err = file.Truncate(g.used)
	}
	return errors.Join(err, file.Close())
}

// take finds room for a blob, and makes its caller a user of the segment. Error: of the file system, when there is none.
func (s *segments) take(length int64) (*segment, int64, error) {
	if length > segmentSize {
		return nil, 0, fmt.Errorf("%d bytes are too many for a segment: %w", length, store.ErrFull)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = 0
	if g := s.current; g != nil && (g.failed != nil || g.used+length > segmentSize) {
		s.current = nil
		if g.blobs == 0 {
			s.drop(g)
			if g.users == 0 {
				s.late = append(s.late, g)
			}
		} else {
			g.freed = true // what is behind its last blob, if nothing else
			_ = s.rest(g)  // a file that is closed for it was only read lately
		}
	}
	if s.current == nil {
		g, err := s.next()
		if err != nil {
			return nil, 0, err
		}
		g.pages = newPages()
		s.current = g
	}
	g := s.current
	if g.size > segmentSize { // it was a large blob's
		if err := g.file.Truncate(segmentSize); err != nil {
			return nil, 0, err
		}
		g.size = segmentSize
	}
	for g.used+length > g.size {
		if err := g.grow(length); err != nil {
			return nil, 0, err
		}
	}
	offset := g.used
	pages, err := g.pagesOf(offset, length)
	if err != nil {
		return nil, 0, err
	}
	for i := range pages {
		pages[i]++
	}
	g.used += length
	g.blobs++
	g.users++
	return g, offset, nil
}

// takeOwn is take for a large blob, which gets all of a segment.
func (s *segments) takeOwn() (*segment, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle = 0
	g, err := s.next()
	if err != nil {
		return nil, 0, err
	}
	g.blobs, g.users = 1, 1
	return g, 0, nil
}

// next opens a segment that no blob is in: a spare one, an empty one, or a new one.
func (s *segments) next() (*segment, error) {
	from, flags := &s.spare, os.O_RDWR
	if len(*from) == 0 {
		from = &s.empty
	}
	g := &segment{number: s.last + 1}
	if last := len(*from) - 1; last >= 0 {
		g = (*from)[last]
		*from = (*from)[:last]
		s.bytes -= g.size
	} else {
		s.last++
		flags |= os.O_CREATE | os.O_EXCL
	}
	file, err := s.root.OpenFile(segmentName(g.number), flags, 0o600)
	if err != nil {
		s.late = append(s.late, g)
		return nil, err
	}
	g.file = file
	s.all[g.number] = g
	return g, nil
}

// grow makes the file longer. Zeros are written for blobs of less than a page, so that to sync one is to write it, and
// nothing about the file; larger ones are not worth writing everything twice.
func (g *segment) grow(length int64) error {
	step := min(segmentStep, segmentSize-g.size)
	err := errors.ErrUnsupported
	if length > pageSize {
		err = allocate(g.file, g.size, step)
	}
	if errors.Is(err, errors.ErrUnsupported) {
		_, err = g.file.WriteAt(make([]byte, step), g.size)
	}
	if err != nil {
		return errors.Join(err, g.file.Truncate(g.size))
	}
	g.size += step
	return nil
}

// give takes a blob's room back, of which the key is gone.
func (s *segments) give(at place, length int64) error {
	s.mu.Lock()
	g := s.all[at.segment]
	if g == nil {
		s.mu.Unlock()
		return nil
	}
	pages, err := g.pagesOf(at.offset, length)
	if err != nil {
		s.mu.Unlock()
		return nil //nolint:nilerr // it was not counted either
	}
	for i := range pages {
		pages[i]--
	}
	g.freed = !g.own()
	if g.blobs--; g.blobs == 0 && g == s.current {
		g.used = 0
	} else if g.blobs == 0 {
		s.drop(g)
	}
	over := g.gone && g.users == 0
	s.mu.Unlock()
	if over {
		return s.retire(g)
	}
	return nil
}

// sync makes the blobs of a segment durable. It is for one goroutine: the kernel tells of an error once. After that
// nobody knows what is on disk, so whoever waits for this segment is told of it, and no other will be added.
func (s *segments) sync(g *segment) error {
	if g.failed == nil {
		if err := syncData(g.file); err != nil {
			s.mu.Lock()
			g.failed = fmt.Errorf("syncing ciphertexts: %w", diskError(err))
			s.mu.Unlock()
		}
	}
	return g.failed
}

// leave ends the use of a segment.
func (s *segments) leave(g *segment) error {
	s.mu.Lock()
	g.users--
	err := s.rest(g)
	over := g.gone && g.users == 0
	s.mu.Unlock()
	if over {
		err = errors.Join(err, s.retire(g))
	}
	return err
}

// rest closes what nobody uses, if it need not stay open. Of too many that stay open it closes another: who was just used is
// likely to be used again.
func (s *segments) rest(g *segment) error {
	switch {
	case g.users > 0 || g == s.current || g.file == nil:
		return nil
	case g.gone || g.own():
		return s.shut(g)
	}
	s.resting[g] = true
	if len(s.resting) <= s.mayRest {
		return nil
	}
	for another := range s.resting { // any
		if another != g {
			return s.shut(another)
		}
	}
	return nil
}

// shut closes the file of a segment that nobody uses.
func (s *segments) shut(g *segment) error {
	file := g.file
	g.file = nil
	delete(s.resting, g)
	return file.Close()
}

// drop forgets a segment that no blob is in. Somebody retires it as soon as nobody uses it.
func (s *segments) drop(g *segment) {
	delete(s.all, g.number)
	g.gone = true
	_ = s.rest(g) // what was there is of no use to anybody
}

// retire makes a segment that was dropped a spare one, as it is, if there is room among those.
func (s *segments) retire(g *segment) error {
	s.mu.Lock()
	keep := g.size > 0 && !g.holed && g.failed == nil && s.bytes+g.size <= s.most
	if keep {
		s.bytes += g.size
		s.spare = append(s.spare, &segment{number: g.number, size: g.size, named: g.named})
	}
	s.mu.Unlock()
	if keep {
		return nil
	}
	return s.clear(g)
}

// clear empties a segment, or removes it. What cannot be done is tried again when the next are tidied.
func (s *segments) clear(g *segment) error {
	s.mu.Lock()
	keep := g.failed == nil && len(s.empty) < maxEmpty
	s.mu.Unlock()
	var err error
	if keep {
		var file *os.File
		if file, err = s.root.OpenFile(segmentName(g.number), os.O_WRONLY|os.O_TRUNC, 0); err == nil {
			err = file.Close()
		}
	} else {
		err = s.root.Remove(segmentName(g.number))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		s.late = append(s.late, g)
		return fmt.Errorf("removing ciphertexts: %w", err)
	case keep:
		s.empty = append(s.empty, &segment{number: g.number, named: g.named})
	}
	return nil
}

// takeSpare gives up what no blob is in, so that its caller clears it.
func (s *segments) takeSpare() (spare []*segment) {
	spare, s.spare, s.bytes = s.spare, nil, 0
	if g := s.current; g != nil && g.blobs == 0 && g.users == 0 {
		s.current = nil
		s.drop(g)
		spare = append(spare, g)
	}
	return spare
}

// trim gives back what the current segment has grown by and no blob is in yet.
func (s *segments) trim() error {
	g := s.current
	if g == nil {
		return nil
	}
	size := (g.used + pageSize - 1) / pageSize * pageSize
	if size >= g.size {
		return nil
	}
	if err := g.file.Truncate(size); err != nil {
		return err
	}
	g.size = size
	return nil
}

// withRoom does what needs room on the disk. If that is full, what is not needed just now is given up for it.
func (s *segments) withRoom(write func() error) error {
	err := write()
	if !isFull(err) {
		return err
	}
	s.making.Lock() // whoever comes second waits for what the first one clears
	defer s.making.Unlock()
	s.mu.Lock()
	spare := s.takeSpare()
	trim := s.trim()
	s.mu.Unlock()
	if trim != nil {
		return errors.Join(err, trim)
	}
	for _, g := range spare {
		_ = s.clear(g) // tried again, and told of, when the next are tidied
	}
	return write()
}

// source is a segment to read from.
type source struct {
	*os.File
	segment  *segment
	segments *segments
}

func (f source) close() error { return f.segments.leave(f.segment) }

// source opens a segment for reading; its close ends that.
func (s *segments) source(number uint64) (source, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.all[number]
	if g == nil {
		return source{}, fs.ErrNotExist
	}
	if err := s.use(g); err != nil {
		return source{}, err
	}
	return source{File: g.file, segment: g, segments: s}, nil
}

// use opens a segment, and makes its caller a user.
func (s *segments) use(g *segment) error {
	if g.file == nil {
		file, err := s.root.OpenFile(segmentName(g.number), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		g.file = file
	}
	delete(s.resting, g)
	g.users++
	return nil
}

// tidy gives room back to the file system: what has not been used for a while, and pages that no blob is in.
func (s *segments) tidy() error {
	room, err := roomOf(s.dir)
	s.mu.Lock()
	s.most = room / spareShare
	over := s.late
	s.late = nil
	if s.idle++; s.idle > spareTidyings {
		over = append(over, s.takeSpare()...)
	}
	var freed []*segment
	for _, g := range s.all {
		if g.freed && !s.whole && g != s.current {
			freed = append(freed, g)
		}
	}
	s.mu.Unlock()
	errs := []error{err}
	for _, g := range over {
		errs = append(errs, s.clear(g))
	}
	for _, g := range freed {
		errs = append(errs, s.giveBack(g))
	}
	return errors.Join(errs...)
}

// giveBack gives back the pages of a segment that no blob is in. Nothing will be written there.
func (s *segments) giveBack(g *segment) error {
	s.mu.Lock()
	if g.gone || g == s.current {
		s.mu.Unlock()
		return nil
	}
	g.freed = false
	if err := s.use(g); err != nil {
		s.mu.Unlock()
		return fmt.Errorf("giving room back: %w", err)
	}
	g.holed = true
	pages := slices.Clone(g.pages)
	s.mu.Unlock()

	var err error
	for from := 0; from < len(pages) && err == nil; {
		if pages[from] > 0 {
			from++
			continue
		}
		to := from
		for to < len(pages) && pages[to] == 0 {
			to++
		}
		err = punch(g.file, int64(from)*pageSize, int64(to-from)*pageSize)
		from = to
	}
	if errors.Is(err, errors.ErrUnsupported) {
		s.mu.Lock()
		s.whole = true
		s.mu.Unlock()
		err = nil
	}
	if err = errors.Join(err, s.leave(g)); err != nil {
		return fmt.Errorf("giving room back: %w", err)
	}
	return nil
}

func (s *segments) close() error {
	var errs []error
	for _, g := range s.takeSpare() {
		errs = append(errs, s.clear(g))
	}
	for _, g := range s.all {
		if g.file != nil {
			errs = append(errs, g.file.Close())
		}
	}
	return errors.Join(errs...)
}
