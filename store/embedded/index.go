package embedded

import (
	"bytes"
	"container/heap"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"sync"

	"hakanai/store"
)

// The index is one file of records, each in a place of its own, which is overwritten when it changes:
//
//	magic (8 bytes) | the key of names (32, random) | CRC-32C of both (4) | zeros to 4 KiB | record | record | …
//
// The first record is the time. In memory is where the others are, and what ends when; what they say is read from the file
// when it is needed. A change is durable after sync. The file grows before anything is put where it has grown; so what
// changes a record, a claim above all, needs no room on the disk.
const (
	indexMagic   = "hakanai5"
	indexHeader  = 4 << 10
	clockNumber  = 0
	indexGrowth  = 1024 // records
	keptForGuess = 1024 // places that secrets and tokens leave free, so that guesses are counted on a full disk
)

// index is the file, and the memory. Whoever reads holds mu for reading; the writer alone changes anything, and holds mu
// while it does.
type index struct {
	file   *os.File
	pepper []byte // the key of names

	mu       sync.RWMutex
	places   uint32   // records that the file has room for
	free     []uint32 // those where there is none
	secrets  map[name]uint32
	tokens   map[store.TokenHash]uint32
	guesses  map[guessKey]uint32
	accounts map[store.Account]int64 // what their live secrets are charged
	ends     ends
	failed   error // of a write: nobody knows what is in the file then
}

// end says when to look at a record again: what it is of ends then, unless it has changed since.
type end struct {
	at     int64 // the store's time, ms
	number uint32
}

// ends is a heap, the first end first.
type ends []end

func (e ends) Len() int           { return len(e) }
func (e ends) Less(i, j int) bool { return e[i].at < e[j].at }
func (e ends) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *ends) Push(x any)        { *e = append(*e, x.(end)) }
func (e *ends) Pop() any {
	last := len(*e) - 1
	x := (*e)[last]
	*e = (*e)[:last]
	return x
}

// openIndex opens the file, locks it, and makes it whole if it is new. Error: store.ErrInUse.
func openIndex(path string, random io.Reader) (*index, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // the operator names the directory
	if err != nil {
		return nil, err
	}
	x := &index{
		file:    file,
		secrets: make(map[name]uint32), tokens: make(map[store.TokenHash]uint32), guesses: make(map[guessKey]uint32),
		accounts: make(map[store.Account]int64),
	}
	if err := x.open(random); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return x, nil
}

func (x *index) open(random io.Reader) error {
	if err := lock(x.file); err != nil {
		return err
	}
	info, err := x.file.Stat()
	if err != nil {
		return err
	}
	if x.places = uint32(max(info.Size()-indexHeader, 0) / recordSize); info.Size() > 0 {
		err = x.readHeader()
	}
	if info.Size() == 0 || errors.Is(err, errNoHeader) && x.neverUsed() {
		return diskError(x.create(random))
	}
	if err == nil && x.places <= clockNumber {
		err = errCutOff
	}
	return err
}

// neverUsed tells whether there are no records but the time's: then a crash has cut off the file's making.
func (x *index) neverUsed() bool {
	rest := make([]byte, indexGrowth*recordSize)
	if x.places > indexGrowth {
		return false
	}
	n, err := x.file.ReadAt(rest, recordOffset(clockNumber+1))
	return errors.Is(err, io.EOF) && len(bytes.Trim(rest[:n], "\x00")) == 0
}

// create makes the file. The header is last: where it is, there is the rest.
func (x *index) create(random io.Reader) error {
	if err := x.createRecords(); err != nil {
		return errors.Join(err, x.file.Truncate(0))
	}
	header := make([]byte, 0, len(indexMagic)+sha256.Size+recordSum)
	header = append(header, indexMagic...)
	x.pepper = make([]byte, sha256.Size)
	if _, err := io.ReadFull(random, x.pepper); err != nil {
		return fmt.Errorf("drawing a key: %w", err)
	}
	header = append(header, x.pepper...)
	header = appendSum(header)
	if _, err := x.file.WriteAt(header, 0); err != nil {
		return err
	}
	return x.file.Sync()
}

func (x *index) createRecords() error {
	if err := x.file.Truncate(0); err != nil {
		return err
	}
	x.places = indexGrowth
	if _, err := x.file.WriteAt(make([]byte, indexHeader+indexGrowth*recordSize), 0); err != nil {
		return err
	}
	if err := x.putClock(0); err != nil {
		return err
	}
	return x.file.Sync()
}

var (
	errNoHeader = errors.New("the index has no header")
	errCutOff   = errors.New("the index was cut off")
)

func (x *index) readHeader() error {
	const length = len(indexMagic) + sha256.Size + recordSum
	header := make([]byte, length)
	if _, err := x.file.ReadAt(header, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if len(bytes.Trim(header, "\x00")) == 0 {
		return errNoHeader
	}
	if string(header) != string(appendSum(header[:length-recordSum:length-recordSum])) || string(header[:len(indexMagic)]) != indexMagic {
		return errors.New("the index is damaged, or was not made by this program")
	}
	x.pepper = header[len(indexMagic) : length-recordSum]
	return nil
}

func (x *index) close() error { return x.file.Close() }

// load reads all records, once at start, and tells of each secret. It returns how many are damaged: they are met where
// they are used. What is read need not be on the disk: an earlier process may have ended before it was synced, or because
// it could not be. So it is written again and synced, before anything is done because of it.
func (x *index) load(each func(secret)) (seen int64, damaged int, err error) {
	const most = 4096
	buffer := make([]byte, most*recordSize)
	for first := uint32(0); first < x.places; first += most {
		some := buffer[:min(most, x.places-first)*recordSize]
		if _, err := x.file.ReadAt(some, recordOffset(first)); err != nil {
			return 0, 0, err
		}
		if _, err := x.file.WriteAt(some, recordOffset(first)); err != nil {
			return 0, 0, diskError(err)
		}
		for i := uint32(0); len(some) > 0; i, some = i+1, some[recordSize:] {
			record := (*raw)(some)
			if first+i == clockNumber {
				places := uint32(0)
				if seen, places, err = decodeClock(record); err != nil {
					damaged++
				}
				if places > x.places {
					return 0, 0, errCutOff
				}
				continue
			}
			if !x.loadOne(record, first+i, each) {
				damaged++
			}
		}
	}
	heap.Init(&x.ends)
	return seen, damaged, diskError(x.sync())
}

// loadOne puts into memory where a record is. It tells whether the record is whole. A crash can leave two of one name, the
// removed one and what came after it: the later counts.
func (x *index) loadOne(record *raw, number uint32, each func(secret)) bool {
	var err error
	switch {
	case *record == (raw{}):
		x.free = append(x.free, number)
	case record.kind() == ofToken:
		var t token
		if t, err = decodeToken(record, number); err == nil {
			if old, err := x.token(t.hash); err != nil || old.expires < t.expires {
				x.tokens[t.hash] = number
			}
			x.ends = append(x.ends, end{t.expires, number})
		}
	case record.kind() == ofGuesses:
		var g guesses
		if g, err = decodeGuesses(record, number); err == nil {
			if old, err := x.guessesOf(g.key, 0); err != nil || old.ends < g.ends {
				x.guesses[g.key] = number
			}
			x.ends = append(x.ends, end{g.ends, number})
		}
	default:
		var s secret
		if s, err = decodeSecret(record, number); err != nil {
			if n := damagedName(record); x.secrets[n] == 0 {
				x.secrets[n] = number
			}
			break
		}
		if old, _, err := x.secret(s.name); err != nil || old.expires < s.expires {
			x.secrets[s.name] = number
		}
		x.ends = append(x.ends, end{s.expires, number})
		if s.leaseEnds > 0 {
			x.ends = append(x.ends, end{s.leaseEnds, number})
		}
		if s.readable() {
			x.charge(s, 1)
		}
		each(s)
	}
	return err == nil
}

// name is the keyed hash by which a secret is stored.
func (x *index) name(id store.ID) name {
	mac := hmac.New(sha256.New, x.pepper)
	mac.Write(id[:])
	return name(mac.Sum(nil)[:len(name{})])
}

// view runs what only reads.
func (x *index) view(read func() error) error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return read()
}

// What follows is for whoever holds mu.

func recordOffset(number uint32) int64 { return indexHeader + int64(number)*recordSize }

func (x *index) read(number uint32) (record raw, err error) {
	if _, err := x.file.ReadAt(record[:], recordOffset(number)); err != nil {
		return record, fmt.Errorf("reading the index: %w", err)
	}
	return record, nil
}

// secret reads a secret's record. Errors: store.ErrNotFound, errDamaged.
func (x *index) secret(n name) (s secret, number uint32, err error) {
	number, found := x.secrets[n]
	if !found {
		return s, 0, store.ErrNotFound
	}
	record, err := x.read(number)
	if err == nil {
		s, err = decodeSecret(&record, number)
	}
	if err == nil && s.name != n {
		err = errDamaged
	}
	return s, number, err
}

// token reads a token's record. Errors: store.ErrNoToken, errDamaged.
func (x *index) token(hash store.TokenHash) (t token, err error) {
	number, found := x.tokens[hash]
	if !found {
		return t, store.ErrNoToken
	}
	record, err := x.read(number)
	if err == nil {
		t, err = decodeToken(&record, number)
	}
	if err == nil && t.hash != hash {
		err = errDamaged
	}
	return t, err
}

// guessesOf reads a counter whose window has not ended, or the zero value.
func (x *index) guessesOf(key guessKey, now int64) (g guesses, err error) {
	number, found := x.guesses[key]
	if !found {
		return guesses{key: key}, nil
	}
	record, err := x.read(number)
	if err == nil {
		g, err = decodeGuesses(&record, number)
	}
	if g.ends <= now {
		g = guesses{key: key}
	}
	return g, err
}

// used is what the live secrets of an account are charged.
func (x *index) used(account store.Account) int64 { return x.accounts[account] }

// charge adds a secret to what its account uses, or takes it off again.
func (x *index) charge(s secret, times int64) {
	if s.account == (store.Account{}) {
		return
	}
	if used := x.accounts[s.account] + times*s.charge(); used > 0 {
		x.accounts[s.account] = used
	} else {
		delete(x.accounts, s.account)
	}
}

// What follows changes the index, and is for the writer.

// write puts a record in its place. An error is the index' end: see failed.
func (x *index) write(number uint32, record raw) error {
	if x.failed == nil {
		if _, err := x.file.WriteAt(record[:], recordOffset(number)); err != nil {
			x.failed = fmt.Errorf("writing the index: %w", err)
		}
	}
	return x.failed
}

// sync makes all that was written durable. The kernel tells of an error once: after that, nothing more is written.
func (x *index) sync() error {
	if x.failed == nil {
		if err := syncData(x.file); err != nil {
			x.failed = fmt.Errorf("syncing the index: %w", err)
		}
	}
	return x.failed
}

// grow makes room for so many records more than are kept free. It is called while nothing waits to be synced: if it fails,
// all is as before.
func (x *index) grow(records int) error {
	for len(x.free) < records+keptForGuess {
		zeros := make([]byte, indexGrowth*recordSize)
		_, err := x.file.WriteAt(zeros, recordOffset(x.places))
		if err == nil {
			err = syncData(x.file)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("making room in the index: %w", diskError(err)), x.file.Truncate(recordOffset(x.places)))
		}
		x.mu.Lock()
		for range indexGrowth {
			x.free = append(x.free, x.places)
			x.places++
		}
		x.mu.Unlock()
	}
	return nil
}

// place takes a free place, and leaves so many. Error: store.ErrFull.
func (x *index) place(leave int) (uint32, error) {
	last := len(x.free) - 1
	if last < leave {
		return 0, fmt.Errorf("the index has no room: %w", store.ErrFull)
	}
	number := x.free[last]
	x.free = x.free[:last]
	return number, nil
}

func (x *index) putEnd(at int64, number uint32) { heap.Push(&x.ends, end{at, number}) }

// addSecret puts a new one. Error: store.ErrFull.
func (x *index) addSecret(s secret) error {
	number, err := x.place(keptForGuess)
	if err != nil {
		return err
	}
	x.secrets[s.name] = number
	x.putEnd(s.expires, number)
	return x.write(number, s.encode(number))
}

func (x *index) putClock(now int64) error { return x.write(clockNumber, encodeClock(now, x.places)) }

// remove takes a record's place back.
func (x *index) remove(number uint32) error {
	x.free = append(x.free, number)
	return x.write(number, raw{})
}

func appendSum(b []byte) []byte {
	sum := crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
	return append(b, byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum))
}
