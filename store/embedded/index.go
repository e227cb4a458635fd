package embedded

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"hakanai/store"
)

// The buckets of the index. Keys and values:
//
//	meta     "clock" → the highest time seen (8 bytes, ms) · "pepper" → the key of names (32 random bytes)
//	secrets  name (16 bytes) → record
//	tokens   SHA-256 of the token (32 bytes) → encodeToken
//	accounts account (16 bytes) → what its live secrets are charged (8 bytes)
//	guesses  keyed hash of a secret, or of it and a network (16 bytes) → encodeGuesses
//	ends     time (8 bytes, ms) | kind (1 byte) | key → nothing: what ends when, in order of time
var (
	bucketMeta     = []byte("meta")     //nolint:gochecknoglobals // constant
	bucketSecrets  = []byte("secrets")  //nolint:gochecknoglobals // constant
	bucketTokens   = []byte("tokens")   //nolint:gochecknoglobals // constant
	bucketAccounts = []byte("accounts") //nolint:gochecknoglobals // constant
	bucketGuesses  = []byte("guesses")  //nolint:gochecknoglobals // constant
	bucketEnds     = []byte("ends")     //nolint:gochecknoglobals // constant
	keyClock       = []byte("clock")    //nolint:gochecknoglobals // constant
	keyPepper      = []byte("pepper")   //nolint:gochecknoglobals // constant
)

// endKind says what ends.
type endKind byte

const (
	endSecret endKind = 's'
	endLease  endKind = 'l'
	endToken  endKind = 't'
	endGuess  endKind = 'g'
)

// lockWait is how long a start waits for another process to let go of the directory: a restart may overlap.
const lockWait = 2 * time.Second

// index is the bbolt file. Reads go through view, writes through the writer and its transactions.
type index struct {
	db     *bolt.DB
	pepper []byte
}

func openIndex(path string, random io.Reader) (*index, error) {
	x := &index{}
	err := guard(func() error {
		var err error
		x.db, err = bolt.Open(path, 0o600, &bolt.Options{
			Timeout:      lockWait,
			FreelistType: bolt.FreelistMapType,
		})
		if errors.Is(err, bolterrors.ErrTimeout) {
			return store.ErrInUse
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := guard(func() error { return x.db.Update(func(tx *bolt.Tx) error { return x.prepare(tx, random) }) }); err != nil {
		return nil, errors.Join(err, x.db.Close())
	}
	return x, nil
}

// prepare makes what a new index needs.
func (x *index) prepare(tx *bolt.Tx, random io.Reader) error {
	for _, bucket := range [][]byte{bucketMeta, bucketSecrets, bucketTokens, bucketAccounts, bucketGuesses, bucketEnds} {
		if _, err := tx.CreateBucketIfNotExists(bucket); err != nil {
			return err
		}
	}
	meta := tx.Bucket(bucketMeta)
	if pepper := meta.Get(keyPepper); pepper != nil {
		x.pepper = append([]byte(nil), pepper...)
		return nil
	}
	x.pepper = make([]byte, sha256.Size)
	if _, err := io.ReadFull(random, x.pepper); err != nil {
		return fmt.Errorf("drawing a key: %w", err)
	}
	return meta.Put(keyPepper, x.pepper)
}

func (x *index) close() error { return guard(x.db.Close) }

// name is the keyed hash by which a secret is stored.
func (x *index) name(id store.ID) name {
	mac := hmac.New(sha256.New, x.pepper)
	mac.Write(id[:])
	return name(mac.Sum(nil)[:len(name{})])
}

// view runs a read-only transaction.
func (x *index) view(read func(*indexTx) error) error {
	return guard(func() error {
		return x.db.View(func(tx *bolt.Tx) error { return read(newIndexTx(tx)) })
	})
}

// guard turns the panics and memory faults by which bbolt meets a damaged file into errors.
func guard(run func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the index is damaged: %v", p)
		}
	}()
	return run()
}

// clock is the highest time that was seen, or 0 in a new index.
func (x *index) clock() (seen int64, err error) {
	err = x.view(func(tx *indexTx) error {
		if b := tx.meta.Get(keyClock); len(b) == 8 {
			seen = int64(binary.BigEndian.Uint64(b))
		}
		return nil
	})
	return seen, err
}

// count counts the live secrets. It reads all of the index, once at start.
func (x *index) count() (secrets int, err error) {
	err = x.view(func(tx *indexTx) error {
		return tx.secrets.ForEach(func(_, value []byte) error {
			if r, err := decodeRecord(value); err == nil && r.state == live {
				secrets++
			}
			return nil // a damaged record is met where it is used
		})
	})
	return secrets, err
}

// needsBlob tells whether a secret's ciphertext may still be wanted: it is live, or its claimant may come back. A
// damaged record keeps its ciphertext, for whoever repairs it.
func (x *index) needsBlob(n name) (needed bool, err error) {
	err = x.view(func(tx *indexTx) error {
		r, err := tx.record(n)
		needed = err == nil && (r.state == live || r.leaseEnds > 0) || errors.Is(err, errDamaged)
		return nil
	})
	return needed, err
}

// indexTx is one transaction with its buckets at hand.
type indexTx struct {
	meta, secrets, tokens, accounts, guesses, ends *bolt.Bucket
}

func newIndexTx(tx *bolt.Tx) *indexTx {
	return &indexTx{
		meta:     tx.Bucket(bucketMeta),
		secrets:  tx.Bucket(bucketSecrets),
		tokens:   tx.Bucket(bucketTokens),
		accounts: tx.Bucket(bucketAccounts),
		guesses:  tx.Bucket(bucketGuesses),
		ends:     tx.Bucket(bucketEnds),
	}
}

// record reads a secret's record. Errors: store.ErrNotFound, errDamaged.
func (tx *indexTx) record(n name) (record, error) {
	value := tx.secrets.Get(n[:])
	if value == nil {
		return record{}, store.ErrNotFound
	}
	return decodeRecord(value)
}

func (tx *indexTx) putRecord(n name, r record) error {
	value, err := r.encode()
	if err != nil {
		return err
	}
	return tx.secrets.Put(n[:], value)
}

func endKey(at int64, kind endKind, key []byte) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 9+len(key)), uint64(at))
	return append(append(b, byte(kind)), key...)
}

func (tx *indexTx) putEnd(at int64, kind endKind, key []byte) error {
	return tx.ends.Put(endKey(at, kind, key), nil)
}

func (tx *indexTx) removeEnd(at int64, kind endKind, key []byte) error {
	return tx.ends.Delete(endKey(at, kind, key))
}

func (tx *indexTx) putClock(now int64) error {
	return tx.meta.Put(keyClock, binary.BigEndian.AppendUint64(nil, uint64(now)))
}

// used is what the live secrets of an account are charged.
func (tx *indexTx) used(account store.Account) int64 {
	if b := tx.accounts.Get(account[:]); len(b) == 8 {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

// fits tells whether a secret fits its account's quota, 0 for any. Error: store.ErrQuota.
func (tx *indexTx) fits(r record, quota int64) error {
	charge, err := r.charge()
	if err == nil && quota > 0 && tx.used(r.account)+charge > quota {
		err = store.ErrQuota
	}
	return err
}

// charge adds a live secret to what its account uses.
func (tx *indexTx) charge(r record) error { return tx.addCharge(r, 1) }

// discharge takes it off again.
func (tx *indexTx) discharge(r record) error { return tx.addCharge(r, -1) }

func (tx *indexTx) addCharge(r record, times int64) error {
	if r.account == (store.Account{}) {
		return nil
	}
	charge, err := r.charge()
	if err != nil {
		return err
	}
	used := tx.used(r.account) + times*charge
	if used <= 0 {
		return tx.accounts.Delete(r.account[:])
	}
	return tx.accounts.Put(r.account[:], binary.BigEndian.AppendUint64(nil, uint64(used)))
}
