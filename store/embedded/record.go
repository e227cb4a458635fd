package embedded

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"hakanai/store"
)

// A record is 256 bytes in the index: what is known of a secret, of a token, or of guesses, or the store's time. Records
// lie at multiples of their size, so that each is within one sector of a disk, and is written whole or not at all.
//
//	kind (1 byte) | version (1) | fields, integers big endian | zeros | CRC-32C of all that, and of the record's number (4)
//
// A place where there is no record is zeros.
const (
	recordSize    = 256
	recordVersion = 4
	recordSum     = 4
)

// kind says what a record is of.
type kind byte

const (
	noRecord    kind = 0
	ofSecret    kind = 's'
	ofToken     kind = 't'
	ofGuesses   kind = 'g'
	ofTheClock  kind = 'c'
	recordStart      = 2 // of its fields
)

var errDamaged = errors.New("the record is damaged")

// raw is a record as it is in the file.
type raw [recordSize]byte

// kind is what the record says of itself. It may be damaged.
func (b *raw) kind() kind { return kind(b[0]) }

// seal adds what all records have.
func (b *raw) seal(k kind, number uint32) {
	b[0], b[1] = byte(k), recordVersion
	binary.BigEndian.PutUint32(b[recordSize-recordSum:], b.sum(number))
}

// open tells where the fields begin. Error: errDamaged, for a record of another kind as well.
func (b *raw) open(k kind, number uint32) (*fields, error) {
	if b.kind() != k || b[1] != recordVersion || binary.BigEndian.Uint32(b[recordSize-recordSum:]) != b.sum(number) {
		return nil, errDamaged
	}
	return &fields{rest: b[recordStart : recordSize-recordSum]}, nil
}

func (b *raw) sum(number uint32) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	var place [4]byte
	binary.BigEndian.PutUint32(place[:], number)
	return crc32.Update(crc32.Checksum(b[:recordSize-recordSum], table), table, place[:])
}

// fields are written, and read, one after the other.
type fields struct{ rest []byte }

func (f *fields) put(b ...byte) { f.rest = f.rest[copy(f.rest, b):] }

func (f *fields) putInt(n int64) {
	binary.BigEndian.PutUint64(f.rest, uint64(n))
	f.rest = f.rest[8:]
}

func (f *fields) get(into []byte) { f.rest = f.rest[copy(into, f.rest):] }

func (f *fields) getByte() (b byte) {
	b, f.rest = f.rest[0], f.rest[1:]
	return b
}

func (f *fields) getInt() (n int64) {
	n, f.rest = int64(binary.BigEndian.Uint64(f.rest)), f.rest[8:]
	return n
}

// state is where a secret is in its life. After that there is nothing: the record goes when the secret would have.
type state byte

const (
	live    state = 1
	claimed state = 2
)

// secret is what the index keeps of one. One that is not live is the tombstone that others are told "gone" by.
type secret struct {
	state     state
	name      name
	expires   int64 // the store's time, ms
	size      int64 // of the ciphertext, bytes
	leaseEnds int64 // the store's time, ms; 0 when there is no lease, or it is over
	repeats   int64 // of the claim, under its lease
	read      int64 // bytes of ciphertext that were read under the lease, or may be just now
	claimant  store.Claimant
	account   store.Account // of a live secret, or one under a lease
	key       key           // of its blob; zero when nobody may read it any more
	place     place         // of its blob
}

// readable tells whether the blob may still be wanted, and the secret owns it.
func (s secret) readable() bool { return s.key != key{} }

// same tells whether two records are of one secret, and not of two that had the same id one after the other.
func (s secret) same(other secret) bool { return s.expires == other.expires && s.place == other.place }

// charge is what the account is charged.
func (s secret) charge() int64 { return store.ChargeEncoded(s.size, int(s.place.restrictions)) }

func (s secret) encode(number uint32) (b raw) {
	f := fields{rest: b[recordStart : recordSize-recordSum]}
	f.put(byte(s.state))
	f.put(s.name[:]...)
	for _, n := range []int64{
		s.expires, s.size, s.leaseEnds, s.repeats, s.read, int64(s.place.segment), s.place.offset, s.place.restrictions,
	} {
		f.putInt(n)
	}
	f.put(s.claimant[:]...)
	f.put(s.account[:]...)
	f.put(s.key[:]...)
	b.seal(ofSecret, number)
	return b
}

// decodeSecret is the inverse of encode. Error: errDamaged.
func decodeSecret(b *raw, number uint32) (s secret, err error) {
	f, err := b.open(ofSecret, number)
	if err != nil {
		return s, err
	}
	s.state = state(f.getByte())
	f.get(s.name[:])
	var segment int64
	for _, n := range []*int64{
		&s.expires, &s.size, &s.leaseEnds, &s.repeats, &s.read, &segment, &s.place.offset, &s.place.restrictions,
	} {
		*n = f.getInt()
	}
	f.get(s.claimant[:])
	f.get(s.account[:])
	f.get(s.key[:])
	s.place.segment = uint64(segment)
	if s.state != live && s.state != claimed || s.size < 0 || s.place.offset < 0 || s.place.restrictions < 0 {
		return secret{}, errDamaged
	}
	return s, nil
}

// token is what the index keeps of a token; its TTL is not set.
type token struct {
	hash    store.TokenHash
	expires int64 // the store's time, ms
	store.Token
}

func (t token) encode(number uint32) (b raw) {
	f := fields{rest: b[recordStart : recordSize-recordSum]}
	f.put(t.hash[:]...)
	f.putInt(t.expires)
	f.put(byte(t.Kind))
	f.putInt(t.UploadSizeLimit)
	b.seal(ofToken, number)
	return b
}

// decodeToken is the inverse of encode. Error: errDamaged.
func decodeToken(b *raw, number uint32) (t token, err error) {
	f, err := b.open(ofToken, number)
	if err != nil {
		return t, err
	}
	f.get(t.hash[:])
	t.expires = f.getInt()
	t.Kind = store.TokenKind(f.getByte())
	t.UploadSizeLimit = f.getInt()
	return t, nil
}

func (g guesses) encode(number uint32) (b raw) {
	f := fields{rest: b[recordStart : recordSize-recordSum]}
	f.put(g.key[:]...)
	f.putInt(g.ends)
	f.putInt(g.n)
	b.seal(ofGuesses, number)
	return b
}

// decodeGuesses is the inverse of encode. Error: errDamaged.
func decodeGuesses(b *raw, number uint32) (g guesses, err error) {
	f, err := b.open(ofGuesses, number)
	if err != nil {
		return g, err
	}
	f.get(g.key[:])
	g.ends, g.n = f.getInt(), f.getInt()
	return g, nil
}

// encodeClock gives the record of the highest time that was seen, in ms, and of how many places for records there are.
func encodeClock(now int64, places uint32) (b raw) {
	f := fields{rest: b[recordStart : recordSize-recordSum]}
	f.putInt(now)
	f.putInt(int64(places))
	b.seal(ofTheClock, clockNumber)
	return b
}

// decodeClock is the inverse of encodeClock. Error: errDamaged.
func decodeClock(b *raw) (now int64, places uint32, err error) {
	f, err := b.open(ofTheClock, clockNumber)
	if err != nil {
		return 0, 0, err
	}
	return f.getInt(), uint32(f.getInt()), nil
}

// damagedName is the name in a secret's record that is damaged, if it is not the name that is.
func damagedName(b *raw) (n name) {
	copy(n[:], b[recordStart+1:])
	return n
}
