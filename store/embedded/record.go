package embedded

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"

	"hakanai/store"
)

// state is where a secret is in its life. After that there is nothing: the record goes when the secret would have.
type state byte

const (
	live    state = 1
	claimed state = 2
)

// record is what the index keeps of a secret. One that is not live is the tombstone that others are told "gone" by.
type record struct {
	state        state
	expires      int64 // the store's time, ms
	size         int64 // of the ciphertext, bytes
	leaseEnds    int64 // the store's time, ms; 0 when there is no lease, or it is over
	repeats      int64 // of the claim, under its lease
	read         int64 // bytes of ciphertext that were read under the lease, or may be just now
	claimant     store.Claimant
	account      store.Account // of a live secret, or one under a lease
	restrictions store.Restrictions
}

const (
	recordVersion = 3
	recordFixed   = 1 + 1 + 5*8 + 32 + 16 // all but restrictions and checksum
	recordSum     = 4
)

var errDamaged = errors.New("the record is damaged")

// encode gives: version, state; expires, size, lease end, repeats, read (8 bytes each, big endian); claimant (32), account
// (16), the restrictions as JSON (or nothing), and a CRC-32C over all of it.
func (r record) encode() ([]byte, error) {
	restrictions, err := r.restrictions.Encode()
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, recordFixed+len(restrictions)+recordSum)
	b = append(b, recordVersion, byte(r.state))
	for _, n := range []int64{r.expires, r.size, r.leaseEnds, r.repeats, r.read} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	b = append(b, r.claimant[:]...)
	b = append(b, r.account[:]...)
	b = append(b, restrictions...)
	return binary.BigEndian.AppendUint32(b, checksum(b)), nil
}

// decodeRecord is the inverse of encode. Error: errDamaged.
func decodeRecord(b []byte) (record, error) {
	if len(b) < recordFixed+recordSum {
		return record{}, errDamaged
	}
	body, sum := b[:len(b)-recordSum], b[len(b)-recordSum:]
	if binary.BigEndian.Uint32(sum) != checksum(body) || body[0] != recordVersion {
		return record{}, errDamaged
	}
	r := record{
		state:     state(body[1]),
		expires:   int64(binary.BigEndian.Uint64(body[2:])),
		size:      int64(binary.BigEndian.Uint64(body[10:])),
		leaseEnds: int64(binary.BigEndian.Uint64(body[18:])),
		repeats:   int64(binary.BigEndian.Uint64(body[26:])),
		read:      int64(binary.BigEndian.Uint64(body[34:])),
		claimant:  store.Claimant(body[42:74]),
		account:   store.Account(body[74:recordFixed]),
	}
	if r.state != live && r.state != claimed || r.size < 0 {
		return record{}, errDamaged
	}
	if restrictions := body[recordFixed:]; len(restrictions) > 0 {
		if err := json.Unmarshal(restrictions, &r.restrictions); err != nil {
			return record{}, errDamaged
		}
	}
	return r, nil
}

// charge is what a live secret's account is charged.
func (r record) charge() (int64, error) { return store.Charge(r.size, r.restrictions) }

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// encodeToken gives kind (1 byte), expiry (ms) and upload size limit (8 bytes each, big endian), and a CRC-32C.
func encodeToken(expires int64, token store.Token) []byte {
	b := binary.BigEndian.AppendUint64([]byte{byte(token.Kind)}, uint64(expires))
	b = binary.BigEndian.AppendUint64(b, uint64(token.UploadSizeLimit))
	return binary.BigEndian.AppendUint32(b, checksum(b))
}

// decodeToken is the inverse of encodeToken; the TTL is not set. Error: errDamaged.
func decodeToken(b []byte) (expires int64, token store.Token, err error) {
	const fixed = 1 + 8 + 8
	if len(b) != fixed+recordSum || binary.BigEndian.Uint32(b[fixed:]) != checksum(b[:fixed]) {
		return 0, token, errDamaged
	}
	token = store.Token{Kind: store.TokenKind(b[0]), UploadSizeLimit: int64(binary.BigEndian.Uint64(b[9:]))}
	return int64(binary.BigEndian.Uint64(b[1:])), token, nil
}

// encodeGuesses gives the end of the window (ms, 8 bytes, big endian), the number of guesses (4), and a CRC-32C.
func encodeGuesses(g guesses) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(g.ends))
	b = binary.BigEndian.AppendUint32(b, uint32(g.n))
	return binary.BigEndian.AppendUint32(b, checksum(b))
}

// decodeGuesses is the inverse of encodeGuesses. Error: errDamaged.
func decodeGuesses(b []byte) (g guesses, err error) {
	const fixed = 8 + 4
	if len(b) != fixed+recordSum || binary.BigEndian.Uint32(b[fixed:]) != checksum(b[:fixed]) {
		return g, errDamaged
	}
	return guesses{n: int(binary.BigEndian.Uint32(b[8:])), ends: int64(binary.BigEndian.Uint64(b))}, nil
}
