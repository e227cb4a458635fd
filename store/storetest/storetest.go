// Package storetest holds the behaviour that every store.Store has, as a suite of tests.
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/netip"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"hakanai/store"
)

// Factory opens an empty store. It is closed by the suite.
type Factory func(t *testing.T) store.Store

// Run runs the suite.
func Run(t *testing.T, open Factory) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s store.Store)
	}{
		{"a committed secret is claimed once, byte for byte, then gone", claimedOnce},
		{"a secret of any size comes back whole", anySize},
		{"an uncommitted draft is invisible and leaves nothing", draftInvisible},
		{"a draft can be used once", draftOnce},
		{"an id in use is not overwritten, nor is a claimed one", idInUse},
		{"looking consumes nothing and tells restrictions, size and life", look},
		{"what never was is not found", unknown},
		{"an expired secret is not found, and is not counted", expired},
		{"a tombstone lives no longer than the secret would have", tombstoneExpires},
		{"a claim without a look consumes what nothing stands before, and nothing else", claimUnseen},
		{"of many claimants at one instant one wins", manyClaimants},
		{"of many secrets each has one winner", manySecrets},
		{"a claim that is undone leaves the secret as it was", undo},
		{"undoing races with claiming, and one still wins", undoRace},
		{"a leased claim is repeatable by its claimant alone", leaseRepeat},
		{"resuming never claims", resumeNeverClaims},
		{"a finished lease is over for its claimant too", leaseFinish},
		{"a lease is ended by its claimant alone, and by nobody before it began", leaseEndsForItsClaimant},
		{"a claim is read from any place", leaseSeek},
		{"a lease is used up by many repeats, and by much that was read", leaseUsedUp},
		{"a secret under a lease counts against its quota", leaseAndQuota},
		{"a lease ends by itself", leaseEnds},
		{"a lease never outlives the secret", leaseWithinLife},
		{"undoing a repeat does not free the secret", leaseUndoRepeat},
		{"a claim that was repeated cannot be undone", leaseUndoRepeated},
		{"a final claim cannot be repeated by its claimant", finalNotRepeatable},
		{"a life of nothing or less is refused", noLife},
		{"tokens are kept by hash, with limit and life", tokens},
		{"the first token is stored once, however many try", firstToken},
		{"a token expires", tokenExpires},
		{"tokens of one kind are not of the other", tokenKinds},
		{"tokens are replaced by one, all of a kind together", tokensReplaced},
		{"an account stores as much as its quota, and what is taken or expires frees its share", quota},
		{"of many commits at one instant no more fit than the quota lets", quotaRace},
		{"restrictions count for the quota, and every secret some, however small", quotaOfSmallSecrets},
		{"guesses are counted before they are made, near and far", guesses},
		{"the last guesses are in reserve for wide networks that have not guessed", guessesReserved},
		{"guesses are heard again when their time is over", guessesAgain},
		{"looks and guesses leave a secret's life as it is", lifeKept},
		{"counts follow creates, claims and undos", counts},
		{"a store that is well says so", check},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			defer func() {
				if err := s.Close(); err != nil {
					t.Errorf("closing: %v", err)
				}
			}()
			test.run(t, s)
		})
	}
}

// Life is how long secrets of tests live that are not about expiry.
const Life = time.Hour

// Create commits a secret with the given ciphertext and life.
func Create(t testing.TB, s store.Store, ciphertext []byte, ttl time.Duration) store.ID {
	t.Helper()
	id := uuid.New()
	if err := TryCreate(s, id, ciphertext, store.Secret{TTL: ttl}); err != nil {
		t.Fatalf("creating: %v", err)
	}
	return id
}

// TryCreate commits a secret and returns the first error.
func TryCreate(s store.Store, id store.ID, ciphertext []byte, secret store.Secret) error {
	d, err := s.Draft(context.Background(), id)
	if err != nil {
		return err
	}
	defer d.Discard()
	if _, err := d.Write(ciphertext); err != nil {
		return err
	}
	return d.Commit(context.Background(), secret)
}

// Take claims a secret for good and returns its ciphertext.
func Take(s store.Store, id store.ID) ([]byte, error) {
	var ciphertext bytes.Buffer
	_, err := TakeTo(&ciphertext, s, id)
	return ciphertext.Bytes(), err
}

// TakeTo claims a secret for good and writes its ciphertext, of n bytes.
func TakeTo(w io.Writer, s store.Store, id store.ID) (n int64, err error) {
	c, err := s.Claim(context.Background(), id, NewClaimant(), 0)
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(w, c)
	return n, errors.Join(err, c.Release())
}

// NewClaimant draws one.
func NewClaimant() (c store.Claimant) {
	rand.Read(c[:]) // never fails
	return c
}

// Bytes draws n random bytes.
func Bytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}

// Report logs what a test has counted, and adds it to the file that $TEST_REPORT names: what a test that passes
// logs is shown to nobody.
func Report(tb testing.TB, format string, args ...any) {
	tb.Helper()
	tb.Logf(format, args...)
	name := os.Getenv("TEST_REPORT")
	if name == "" {
		return
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		tb.Fatal(err)
	}
	_, err = fmt.Fprintf(file, tb.Name()+": "+format+"\n", args...)
	if err := errors.Join(err, file.Close()); err != nil {
		tb.Fatal(err)
	}
}

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error is %v, want %v", err, want)
	}
}

func wantTaken(t *testing.T, s store.Store, id store.ID, want []byte) {
	t.Helper()
	got, err := Take(s, id)
	if err != nil {
		t.Fatalf("taking: %v", err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("took %d bytes that are not the %d stored", len(got), len(want))
	}
}

// Eventually waits until a condition holds, for things that a store does by itself.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for range 600 {
		if condition() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("not within 30 s: %s", what)
}

func claimedOnce(t *testing.T, s store.Store) {
	want := Bytes(1000)
	id := Create(t, s, want, Life)
	wantTaken(t, s, id, want)
	for range 3 {
		_, err := Take(s, id)
		wantErr(t, err, store.ErrGone)
	}
	_, err := s.Look(context.Background(), id)
	wantErr(t, err, store.ErrGone)
}

func anySize(t *testing.T, s store.Store) {
	for _, size := range []int{1, 15, 16, 4095, 32<<10 - 1, 32 << 10, 32<<10 + 1, 64 << 10, 1<<20 + 7, 5 << 20} {
		want := Bytes(size)
		id := uuid.New()
		d, err := s.Draft(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		for rest, step := want, 1; len(rest) > 0; step = step*3 + 1 { // in pieces of all sizes
			n := min(step, len(rest))
			if _, err := d.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if err := d.Commit(context.Background(), store.Secret{TTL: Life}); err != nil {
			t.Fatal(err)
		}
		c, err := s.Claim(context.Background(), id, NewClaimant(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if c.Size() != int64(size) {
			t.Errorf("size is %d, want %d", c.Size(), size)
		}
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes came back as %d others (%v)", size, len(got), err)
		}
		if err := c.Release(); err != nil {
			t.Error(err)
		}
	}
}

func draftInvisible(t *testing.T, s store.Store) {
	id := uuid.New()
	d, err := s.Draft(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(Bytes(100_000)); err != nil {
		t.Fatal(err)
	}
	_, err = Take(s, id)
	wantErr(t, err, store.ErrNotFound)
	d.Discard()
	d.Discard()
	_, err = s.Look(context.Background(), id)
	wantErr(t, err, store.ErrNotFound)
	if n, _ := s.Count(context.Background()); n.Secrets != 0 {
		t.Errorf("%d secrets are counted", n.Secrets)
	}
	if err := TryCreate(s, id, []byte("x"), store.Secret{TTL: Life}); err != nil {
		t.Errorf("the id of a discarded draft cannot be used: %v", err)
	}
}

func draftOnce(t *testing.T, s store.Store) {
	id := uuid.New()
	d, err := s.Draft(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write([]byte("once")); err != nil {
		t.Fatal(err)
	}
	if err := d.Commit(context.Background(), store.Secret{TTL: Life}); err != nil {
		t.Fatal(err)
	}
	d.Discard() // after a commit: nothing
	if err := d.Commit(context.Background(), store.Secret{TTL: Life}); err == nil {
		t.Error("a second commit succeeded")
	}
	wantTaken(t, s, id, []byte("once"))
}

func idInUse(t *testing.T, s store.Store) {
	id := Create(t, s, []byte("first"), Life)
	wantErr(t, TryCreate(s, id, []byte("second"), store.Secret{TTL: Life}), store.ErrExists)
	wantTaken(t, s, id, []byte("first"))
	wantErr(t, TryCreate(s, id, []byte("third"), store.Secret{TTL: Life}), store.ErrExists)
	_, err := Take(s, id)
	wantErr(t, err, store.ErrGone)
}

func look(t *testing.T, s store.Store) {
	want := store.Restrictions{
		Networks:   []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")},
		Countries:  []string{"DE", "JP"},
		ASNs:       []uint32{0, 13335, 4294967295},
		Passphrase: Bytes(32),
	}
	id := uuid.New()
	if err := TryCreate(s, id, []byte("12345"), store.Secret{TTL: Life, Restrictions: want}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		got, err := s.Look(context.Background(), id)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Restrictions, want) {
			t.Errorf("restrictions are %v, want %v", got.Restrictions, want)
		}
		if got.TTL <= Life-time.Minute || got.TTL > Life || got.Size != 5 {
			t.Errorf("life is %s and size %d, want %s and 5", got.TTL, got.Size, Life)
		}
	}
	wantTaken(t, s, id, []byte("12345"))
}

func unknown(t *testing.T, s store.Store) {
	_, err := s.Look(context.Background(), uuid.New())
	wantErr(t, err, store.ErrNotFound)
	_, err = Take(s, uuid.New())
	wantErr(t, err, store.ErrNotFound)
}

func expired(t *testing.T, s store.Store) {
	id := Create(t, s, []byte("short"), 10*time.Millisecond)
	keep := Create(t, s, []byte("long"), Life)
	Eventually(t, "the secret expires", func() bool {
		_, err := s.Look(context.Background(), id)
		return errors.Is(err, store.ErrNotFound)
	})
	_, err := Take(s, id)
	wantErr(t, err, store.ErrNotFound)
	Eventually(t, "it is not counted", func() bool {
		n, err := s.Count(context.Background())
		return err == nil && n.Secrets == 1
	})
	wantTaken(t, s, keep, []byte("long"))
}

func tombstoneExpires(t *testing.T, s store.Store) {
	id := Create(t, s, []byte("short"), 4*time.Second)
	wantTaken(t, s, id, []byte("short"))
	_, err := Take(s, id)
	wantErr(t, err, store.ErrGone)
	Eventually(t, "the tombstone goes", func() bool {
		_, err := Take(s, id)
		return errors.Is(err, store.ErrNotFound)
	})
}

// race lets n goroutines claim one secret at the same instant, and returns how many won; the others must be told gone,
// though a store that cannot hear so many at once may ask them to come back.
func race(t *testing.T, s store.Store, id store.ID, n int) int64 {
	t.Helper()
	var start, done sync.WaitGroup
	var won atomic.Int64
	start.Add(1)
	for range n {
		done.Go(func() {
			start.Wait()
			claim, err := s.Claim(context.Background(), id, NewClaimant(), 0)
			for most := 1000; errors.Is(err, store.ErrDown); most = min(2*most, 10_000) {
				time.Sleep(time.Duration(200+mathrand.IntN(most)) * time.Millisecond)
				claim, err = s.Claim(context.Background(), id, NewClaimant(), 0)
			}
			switch {
			case err == nil:
				won.Add(1)
				if err := claim.Release(); err != nil && !errors.Is(err, store.ErrDown) {
					t.Error(err)
				}
			case !errors.Is(err, store.ErrGone):
				t.Errorf("a loser got %v", err)
			}
		})
	}
	start.Done()
	done.Wait()
	return won.Load()
}

func manyClaimants(t *testing.T, s store.Store) {
	if won := race(t, s, Create(t, s, Bytes(100), Life), 10_000); won != 1 {
		t.Errorf("%d won", won)
	}
}

func manySecrets(t *testing.T, s store.Store) {
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 60 {
				if won := race(t, s, Create(t, s, Bytes(100), Life), 4); won != 1 {
					t.Errorf("%d won", won)
				}
			}
		})
	}
	all.Wait()
}

func claimUnseen(t *testing.T, s store.Store) {
	ctx, want := context.Background(), Bytes(1000)
	_, err := s.ClaimUnseen(ctx, uuid.New(), NewClaimant(), 0, 1000)
	wantErr(t, err, store.ErrNotFound)

	large := Create(t, s, want, Life)
	_, err = s.ClaimUnseen(ctx, large, NewClaimant(), 0, 999)
	wantErr(t, err, store.ErrLook)
	wantTaken(t, s, large, want)

	restricted := uuid.New()
	if err := TryCreate(s, restricted, want, store.Secret{TTL: Life, Restrictions: store.Restrictions{ASNs: []uint32{1}}}); err != nil {
		t.Fatal(err)
	}
	_, err = s.ClaimUnseen(ctx, restricted, NewClaimant(), time.Minute, 1000)
	wantErr(t, err, store.ErrLook)
	wantTaken(t, s, restricted, want)
	_, err = s.ClaimUnseen(ctx, restricted, NewClaimant(), time.Minute, 1000)
	wantErr(t, err, store.ErrGone)

	id := Create(t, s, want, Life)
	var all sync.WaitGroup
	var won atomic.Int64
	for range 16 {
		all.Go(func() {
			c, err := s.ClaimUnseen(ctx, id, NewClaimant(), time.Minute, 1000)
			if err != nil {
				wantErr(t, err, store.ErrGone)
				return
			}
			won.Add(1)
			if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) || c.Lease() <= 0 {
				t.Errorf("%d bytes come, under a lease of %s (%v)", len(got), c.Lease(), err)
			}
			if err := c.Release(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d have won", won.Load())
	}
}

func undo(t *testing.T, s store.Store) {
	want := Bytes(100_000)
	id, restrictions := uuid.New(), store.Restrictions{Countries: []string{"DE"}, Passphrase: Bytes(32)}
	if err := TryCreate(s, id, want, store.Secret{TTL: Life, Restrictions: restrictions}); err != nil {
		t.Fatal(err)
	}
	for _, lease := range []time.Duration{0, time.Minute, 0} {
		c, err := s.Claim(context.Background(), id, NewClaimant(), lease)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Take(s, id)
		wantErr(t, err, store.ErrGone)
		if err := c.Undo(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := c.Release(); err != nil {
			t.Errorf("releasing after undoing: %v", err)
		}
	}
	if got, err := s.Look(context.Background(), id); err != nil || got.TTL > Life || !reflect.DeepEqual(got.Restrictions, restrictions) {
		t.Errorf("after undoing: %+v, %v", got, err)
	}
	wantTaken(t, s, id, want)
}

func undoRace(t *testing.T, s store.Store) {
	id := Create(t, s, []byte("contended"), Life)
	var all sync.WaitGroup
	var won atomic.Int64
	for i := range 16 {
		all.Go(func() {
			for range 50 {
				c, err := s.Claim(context.Background(), id, NewClaimant(), 0)
				if errors.Is(err, store.ErrGone) {
					continue
				}
				if err != nil {
					t.Errorf("claiming: %v", err)
					return
				}
				if i != 0 {
					if err := c.Undo(context.Background()); err != nil {
						t.Errorf("undoing: %v", err)
					}
					continue
				}
				won.Add(1)
				if err := c.Release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if won.Load() == 0 { // the one who does not undo may have come too seldom: now nobody disturbs
		wantTaken(t, s, id, []byte("contended"))
		won.Add(1)
	}
	if won.Load() != 1 {
		t.Errorf("%d won", won.Load())
	}
}

// claimOrResume makes a claim with a lease of a minute, or repeats it.
func claimOrResume(s store.Store, id store.ID, claimant store.Claimant, first bool, from int64) (store.Claim, error) {
	if first {
		return s.Claim(context.Background(), id, claimant, time.Minute)
	}
	return s.Resume(context.Background(), id, claimant, from)
}

func resumeNeverClaims(t *testing.T, s store.Store) {
	ctx, claimant := context.Background(), NewClaimant()
	_, err := s.Resume(ctx, uuid.New(), claimant, 0)
	wantErr(t, err, store.ErrNotFound)
	id := Create(t, s, []byte("nobody has it"), Life)
	for range 3 {
		_, err = s.Resume(ctx, id, claimant, 0)
		wantErr(t, err, store.ErrNotFound)
		c, err := s.Claim(ctx, id, NewClaimant(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Resume(ctx, id, claimant, 0)
		wantErr(t, err, store.ErrGone)
		if err := c.Undo(ctx); err != nil {
			t.Fatal(err)
		}
	}
	wantTaken(t, s, id, []byte("nobody has it"))
	_, err = s.Resume(ctx, id, claimant, 0)
	wantErr(t, err, store.ErrGone)
}

func leaseRepeat(t *testing.T, s store.Store) {
	want := Bytes(70_000)
	id := Create(t, s, want, Life)
	claimant := NewClaimant()
	for i := range 3 {
		c, err := claimOrResume(s, id, claimant, i == 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		_, err = Take(s, id)
		wantErr(t, err, store.ErrGone)
		_, err = s.Claim(context.Background(), id, claimant, time.Minute)
		wantErr(t, err, store.ErrGone)
		_, err = s.Resume(context.Background(), id, NewClaimant(), 0)
		wantErr(t, err, store.ErrGone)
		if err := c.Release(); err != nil {
			t.Error(err)
		}
	}
}

func leaseFinish(t *testing.T, s store.Store) {
	id := Create(t, s, []byte("leased"), Life)
	claimant := NewClaimant()
	c, err := s.Claim(context.Background(), id, claimant, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	if err := s.End(context.Background(), id, claimant); err != nil {
		t.Fatal(err)
	}
	_, err = s.Resume(context.Background(), id, claimant, 0)
	wantErr(t, err, store.ErrGone)
	wantErr(t, s.End(context.Background(), id, claimant), store.ErrGone)
}

func leaseEndsForItsClaimant(t *testing.T, s store.Store) {
	ctx, claimant := context.Background(), NewClaimant()
	wantErr(t, s.End(ctx, uuid.New(), claimant), store.ErrNotFound)
	id := Create(t, s, []byte("leased"), Life)
	wantErr(t, s.End(ctx, id, claimant), store.ErrNotFound) // it is nobody's yet, and stays
	c, err := s.Claim(ctx, id, claimant, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, s.End(ctx, id, NewClaimant()), store.ErrGone)
	if got, err := io.ReadAll(c); err != nil || string(got) != "leased" {
		t.Errorf("%q, %v", got, err)
	}
	if err := errors.Join(c.Release(), s.End(ctx, id, claimant)); err != nil {
		t.Fatal(err)
	}
	final := Create(t, s, []byte("final"), Life)
	c, err = s.Claim(ctx, final, claimant, 0)
	if err != nil {
		t.Fatal(err)
	}
	wantErr(t, s.End(ctx, final, claimant), store.ErrGone)
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
}

func leaseSeek(t *testing.T, s store.Store) {
	for _, size := range []int{1, 100, 16 << 10, 32 << 10, 70_000, 128 << 10, 300_000} {
		want := Bytes(size)
		id, claimant := Create(t, s, want, Life), NewClaimant()
		for i, offset := range []int{0, 1, size / 2, size - 1, size, 32 << 10, 128 << 10, 200_000} {
			if offset > size {
				continue
			}
			c, err := claimOrResume(s, id, claimant, i == 0, int64(offset))
			if err != nil {
				t.Fatal(err)
			}
			if c.First() != (i == 0) || c.Lease() <= 0 || c.Lease() > time.Minute || c.Size() != int64(size) {
				t.Errorf("first is %t, the lease is %s, the size is %d", c.First(), c.Lease(), c.Size())
			}
			if err := c.SeekTo(int64(size) + 1); err == nil {
				t.Error("there is something after the end")
			}
			if err := c.SeekTo(int64(offset)); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want[offset:]) {
				t.Errorf("from %d of %d: %d bytes, %v", offset, size, len(got), err)
			}
			if err := c.Release(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func leaseUsedUp(t *testing.T, s store.Store) {
	ctx, claimant := context.Background(), NewClaimant()
	read := func(id store.ID, first bool, from, n int64) error {
		c, err := claimOrResume(s, id, claimant, first, from)
		if err != nil {
			return err
		}
		_, err = io.CopyN(io.Discard, c, n)
		return errors.Join(err, c.Release())
	}
	const size = 1 << 20
	want := func(id store.ID, last error) {
		t.Helper()
		wantErr(t, last, store.ErrUsedUp)
		_, err := s.Resume(ctx, id, claimant, 0)
		wantErr(t, err, store.ErrUsedUp)
		_, err = Take(s, id)
		wantErr(t, err, store.ErrGone)
	}
	often := Create(t, s, Bytes(10), Life)
	for i := range store.MaxRepeats + 1 {
		if err := read(often, i == 0, 0, 10); err != nil {
			t.Fatalf("repeat %d: %v", i, err)
		}
	}
	want(often, read(often, false, 0, 10))

	much := Create(t, s, Bytes(size), Life)
	for i := range int(store.MaxRead(size) / size) {
		if err := read(much, i == 0, 0, size); err != nil {
			t.Fatalf("reading it %d times: %v", i+1, err)
		}
	}
	want(much, read(much, false, 0, size))

	parts := Create(t, s, Bytes(size), Life) // what was not asked for, or not read, does not count
	for i := range store.MaxRepeats {
		from, n := int64(0), int64(1000)
		if i%2 == 1 {
			from, n = -500, 1000
		}
		if err := read(parts, i == 0, from, n); err != nil {
			t.Fatalf("part %d: %v", i, err)
		}
	}
}

func leaseAndQuota(t *testing.T, s store.Store) {
	ctx, account := context.Background(), store.Account{7}
	charge, err := store.Charge(1000, store.Restrictions{})
	if err != nil {
		t.Fatal(err)
	}
	secret := store.Secret{TTL: Life, Account: account, Quota: charge}
	put := func() (store.ID, error) {
		id := uuid.New()
		return id, TryCreate(s, id, Bytes(1000), secret)
	}
	id, err := put()
	if err != nil {
		t.Fatal(err)
	}
	claimant := NewClaimant()
	claim := func(id store.ID, lease time.Duration) {
		t.Helper()
		c, err := s.Claim(ctx, id, claimant, lease)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Release(); err != nil {
			t.Fatal(err)
		}
	}
	claim(id, time.Minute)
	_, err = put()
	wantErr(t, err, store.ErrQuota) // its ciphertext is still there
	if err := s.End(ctx, id, claimant); err != nil {
		t.Fatal(err)
	}
	id, err = put()
	if err != nil {
		t.Fatal(err)
	}
	claim(id, 300*time.Millisecond)
	Eventually(t, "the end of the lease frees its share", func() bool {
		id, err = put()
		return err == nil
	})
	c, err := s.Claim(ctx, id, claimant, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Undo(ctx); err != nil {
		t.Fatal(err)
	}
	_, err = put()
	wantErr(t, err, store.ErrQuota)
	const lease = 2 * time.Second
	c, err = s.Claim(ctx, id, claimant, lease)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Undo(ctx); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * lease)
	_, err = put() // an undone claim has taken nothing off
	wantErr(t, err, store.ErrQuota)
	claim(id, 0)
	Eventually(t, "a final claim frees its share", func() bool {
		_, err := put()
		return err == nil
	})
}

func leaseEnds(t *testing.T, s store.Store) {
	id := Create(t, s, []byte("leased"), Life)
	claimant := NewClaimant()
	c, err := s.Claim(context.Background(), id, claimant, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "the lease ends", func() bool {
		c, err := s.Resume(context.Background(), id, claimant, 0)
		if err == nil {
			err = c.Release()
		}
		return errors.Is(err, store.ErrGone)
	})
	_, err = Take(s, id)
	wantErr(t, err, store.ErrGone)
}

func leaseWithinLife(t *testing.T, s store.Store) {
	id := Create(t, s, []byte("short"), 3*time.Second)
	claimant := NewClaimant()
	c, err := s.Claim(context.Background(), id, claimant, Life)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "the secret's end ends the lease", func() bool {
		c, err := s.Resume(context.Background(), id, claimant, 0)
		if err == nil {
			err = c.Release()
		}
		return errors.Is(err, store.ErrNotFound)
	})
}

func leaseUndoRepeat(t *testing.T, s store.Store) {
	id := Create(t, s, []byte("leased"), Life)
	claimant := NewClaimant()
	first, err := s.Claim(context.Background(), id, claimant, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	repeat, err := s.Resume(context.Background(), id, claimant, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := repeat.Undo(context.Background()); err != nil {
		t.Fatal(err)
	}
	_, err = Take(s, id)
	wantErr(t, err, store.ErrGone)
	if err := errors.Join(first.Release(), s.End(context.Background(), id, claimant)); err != nil {
		t.Fatal(err)
	}
}

func leaseUndoRepeated(t *testing.T, s store.Store) {
	id := Create(t, s, []byte("leased"), Life)
	claimant := NewClaimant()
	first, err := s.Claim(context.Background(), id, claimant, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	repeat, err := s.Resume(context.Background(), id, claimant, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(repeat); err != nil || string(got) != "leased" {
		t.Errorf("%q, %v", got, err)
	}
	wantErr(t, first.Undo(context.Background()), store.ErrGone)
	_, err = Take(s, id)
	wantErr(t, err, store.ErrGone)
	if err := errors.Join(repeat.Release(), s.End(context.Background(), id, claimant)); err != nil {
		t.Fatal(err)
	}
}

func finalNotRepeatable(t *testing.T, s store.Store) {
	id := Create(t, s, []byte("final"), Life)
	claimant := NewClaimant()
	c, err := s.Claim(context.Background(), id, claimant, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Resume(context.Background(), id, claimant, 0)
	wantErr(t, err, store.ErrGone)
	if err := c.Release(); err != nil {
		t.Fatal(err)
	}
}

func noLife(t *testing.T, s store.Store) {
	for _, ttl := range []time.Duration{0, -time.Second, time.Microsecond} {
		id := uuid.New()
		if err := TryCreate(s, id, []byte("x"), store.Secret{TTL: ttl}); err == nil {
			t.Errorf("a secret was stored for %s", ttl)
		}
		_, err := Take(s, id)
		wantErr(t, err, store.ErrNotFound)
		if err := s.PutToken(context.Background(), store.TokenHash{1}, store.Token{Kind: store.UserToken, TTL: ttl}); err == nil {
			t.Errorf("a token was stored for %s", ttl)
		}
	}
}

func tokens(t *testing.T, s store.Store) {
	ctx := context.Background()
	hash := store.TokenHash(Bytes(32))
	_, err := s.Token(ctx, store.UserToken, hash)
	wantErr(t, err, store.ErrNoToken)
	for _, limit := range []int64{0, 12345} { // the second replaces the first
		if err := s.PutToken(ctx, hash, store.Token{Kind: store.UserToken, TTL: Life, UploadSizeLimit: limit}); err != nil {
			t.Fatal(err)
		}
		got, err := s.Token(ctx, store.UserToken, hash)
		if err != nil {
			t.Fatal(err)
		}
		if got.UploadSizeLimit != limit || got.TTL > Life || got.TTL < Life-time.Minute {
			t.Errorf("token is %+v", got)
		}
		if n, err := s.Count(ctx); err != nil || n.Tokens != 1 {
			t.Errorf("%d tokens are counted, %v", n.Tokens, err)
		}
	}
}

func tokenKinds(t *testing.T, s store.Store) {
	ctx := context.Background()
	user, admin := store.TokenHash(Bytes(32)), store.TokenHash(Bytes(32))
	for hash, kind := range map[store.TokenHash]store.TokenKind{user: store.UserToken, admin: store.AdminToken} {
		stored, err := s.PutFirstToken(ctx, hash, store.Token{Kind: kind, TTL: Life})
		if err != nil || !stored {
			t.Errorf("the first token of kind %c is not stored: %v", kind, err)
		}
	}
	for _, c := range []struct {
		kind store.TokenKind
		hash store.TokenHash
		want error
	}{
		{store.UserToken, user, nil},
		{store.AdminToken, admin, nil},
		{store.UserToken, admin, store.ErrNoToken},
		{store.AdminToken, user, store.ErrNoToken},
	} {
		if _, err := s.Token(ctx, c.kind, c.hash); !errors.Is(err, c.want) {
			t.Errorf("as a token of kind %c it is %v, want %v", c.kind, err, c.want)
		}
	}
	if n, err := s.Count(ctx); err != nil || n.Tokens != 1 {
		t.Errorf("%d tokens of users are counted, %v", n.Tokens, err)
	}
}

func tokensReplaced(t *testing.T, s store.Store) {
	ctx := context.Background()
	var old [5]store.TokenHash
	for i := range old {
		old[i] = store.TokenHash(Bytes(32))
		if err := s.PutToken(ctx, old[i], store.Token{Kind: store.UserToken, TTL: Life}); err != nil {
			t.Fatal(err)
		}
	}
	admin, fresh := store.TokenHash(Bytes(32)), store.TokenHash(Bytes(32))
	if err := s.PutToken(ctx, admin, store.Token{Kind: store.AdminToken, TTL: Life}); err != nil {
		t.Fatal(err)
	}
	if err := s.ReplaceTokens(ctx, fresh, store.Token{Kind: store.UserToken, TTL: Life}); err != nil {
		t.Fatal(err)
	}
	for _, hash := range old {
		_, err := s.Token(ctx, store.UserToken, hash)
		wantErr(t, err, store.ErrNoToken)
	}
	if _, err := s.Token(ctx, store.UserToken, fresh); err != nil {
		t.Error(err)
	}
	if _, err := s.Token(ctx, store.AdminToken, admin); err != nil {
		t.Errorf("a token of the other kind has gone: %v", err)
	}
	if n, err := s.Count(ctx); err != nil || n.Tokens != 1 {
		t.Errorf("%d tokens are counted, %v", n.Tokens, err)
	}
}

// accounted is a secret of an account with a quota that fits so many bytes in so many secrets.
func accounted(account store.Account, bytes, secrets int64, ttl time.Duration) store.Secret {
	return store.Secret{TTL: ttl, Account: account, Quota: bytes + secrets*store.Overhead}
}

func quota(t *testing.T, s store.Store) {
	account, other := store.Account(Bytes(16)), store.Account(Bytes(16))
	create := func(account store.Account, size int, ttl time.Duration) (store.ID, error) {
		id := uuid.New()
		return id, TryCreate(s, id, Bytes(size), accounted(account, 100_000, 2, ttl))
	}
	a, err := create(account, 60_000, Life)
	if err != nil {
		t.Fatal(err)
	}
	b, err := create(account, 40_000, Life) // exactly what is left
	if err != nil {
		t.Fatal(err)
	}
	refused, err := create(account, 1, Life)
	wantErr(t, err, store.ErrQuota)
	_, err = Take(s, refused)
	wantErr(t, err, store.ErrNotFound)
	if _, err := create(other, 100_000, Life); err != nil {
		t.Errorf("another account is refused: %v", err)
	}
	Create(t, s, Bytes(200_000), Life) // without an account

	if _, err := Take(s, a); err != nil {
		t.Fatal(err)
	}
	_, err = create(account, 60_001, Life)
	wantErr(t, err, store.ErrQuota)
	if a, err = create(account, 60_000, time.Second); err != nil {
		t.Errorf("what was taken has not freed its share: %v", err)
	}
	Eventually(t, "what has expired frees its share", func() bool {
		_, err := create(account, 60_000, Life)
		return err == nil
	})
	_, err = Take(s, a)
	wantErr(t, err, store.ErrNotFound)

	claim, err := s.Claim(context.Background(), b, NewClaimant(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := claim.Undo(context.Background()); err != nil {
		t.Fatal(err)
	}
	_, err = create(account, 1, Life)
	wantErr(t, err, store.ErrQuota)
	if _, err := Take(s, b); err != nil {
		t.Fatal(err)
	}
	_, err = create(account, 40_001, Life)
	wantErr(t, err, store.ErrQuota)
	if _, err := create(account, 40_000, Life); err != nil {
		t.Errorf("what was undone and taken has not freed its share: %v", err)
	}
}

func quotaOfSmallSecrets(t *testing.T, s store.Store) {
	account := store.Account(Bytes(16))
	create := func(restrictions store.Restrictions) (store.ID, error) {
		id, secret := uuid.New(), accounted(account, 100, 10, Life)
		secret.Restrictions = restrictions
		return id, TryCreate(s, id, Bytes(1), secret)
	}
	var ids []store.ID
	for id, err := create(store.Restrictions{}); err == nil; id, err = create(store.Restrictions{}) {
		ids = append(ids, id)
	}
	if len(ids) != 10 {
		t.Errorf("%d secrets of one byte fitted, want 10", len(ids))
	}
	for _, id := range ids {
		if _, err := Take(s, id); err != nil {
			t.Error(err)
		}
	}
	restrictions := store.Restrictions{ASNs: make([]uint32, store.Overhead)} // "0," each
	ids = nil
	for id, err := create(restrictions); err == nil; id, err = create(restrictions) {
		ids = append(ids, id)
	}
	if len(ids) != 3 {
		t.Errorf("%d secrets with restrictions of 8 KiB fitted, want 3", len(ids))
	}
	for _, id := range ids {
		if _, err := Take(s, id); err != nil {
			t.Error(err)
		}
	}
	for range 10 { // all is free again, to the last byte
		if _, err := create(store.Restrictions{}); err != nil {
			t.Errorf("what was taken has not freed its share: %v", err)
		}
	}
}

func quotaRace(t *testing.T, s store.Store) {
	account := store.Account(Bytes(16))
	for range 3 {
		var all sync.WaitGroup
		var mu sync.Mutex
		var ids []store.ID
		for range 64 {
			all.Go(func() {
				id := uuid.New()
				switch err := TryCreate(s, id, Bytes(1000), accounted(account, 20_000, 20, Life)); {
				case err == nil:
					mu.Lock()
					ids = append(ids, id)
					mu.Unlock()
				case !errors.Is(err, store.ErrQuota):
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(ids) != 20 {
			t.Fatalf("%d secrets fitted, want 20", len(ids))
		}
		for _, id := range ids { // and all is free again
			all.Go(func() {
				if _, err := Take(s, id); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
}

// origin is where guesses from a network come from: a /16 of IPv4 and a /32 of IPv6 are wide.
func origin(t *testing.T, network string) store.Origin {
	t.Helper()
	near := netip.MustParsePrefix(network)
	bits := 32
	if near.Addr().Is4() {
		bits = 16
	}
	wide, err := near.Addr().Prefix(bits)
	if err != nil {
		t.Fatal(err)
	}
	return store.Origin{Near: near, Wide: wide}
}

// heard makes many guesses at once, and tells how many of them are heard.
func heard(t *testing.T, s store.Store, id store.ID, network string, guesses int, limits store.AttemptLimits) (heard int64) {
	t.Helper()
	var all sync.WaitGroup
	var n atomic.Int64
	from := origin(t, network)
	for range guesses {
		all.Go(func() {
			wait, err := s.Attempt(context.Background(), id, from, limits)
			if err != nil {
				t.Error(err)
			}
			if wait == 0 {
				n.Add(1)
			} else if wait > max(limits.AllWindow, limits.NearWindow) {
				t.Errorf("the wait is %s", wait)
			}
		})
	}
	all.Wait()
	return n.Load()
}

func guesses(t *testing.T, s store.Store) {
	ctx := context.Background()
	id := Create(t, s, []byte("guarded"), Life)
	limits := store.AttemptLimits{Near: 5, NearWindow: time.Minute, All: 12, AllWindow: time.Hour}
	want := func(what string, id store.ID, network string, want int64) {
		t.Helper()
		if got := heard(t, s, id, network, 200, limits); got != want {
			t.Errorf("%s: %d guesses are heard, want %d", what, got, want)
		}
	}
	want("from one network", id, "192.0.2.0/24", 5)
	want("from another", id, "2001:db8::/56", 5)
	want("from a third", id, "198.51.100.0/24", 2)
	want("from a fourth", id, "203.0.113.0/24", 0)
	want("at another secret", uuid.New(), "192.0.2.0/24", 5)
	for range 3 {
		if err := s.Forgive(ctx, id, origin(t, "192.0.2.0/24")); err != nil {
			t.Fatal(err)
		}
	}
	want("after three right ones", id, "192.0.2.0/24", 3)
	if got, err := Take(s, id); err != nil || string(got) != "guarded" {
		t.Errorf("the guesses have cost the secret: %q, %v", got, err)
	}
	limits.All = 0
	want("with no bound on all, from a fifth", id, "203.0.114.0/24", 5)
}

func guessesReserved(t *testing.T, s store.Store) {
	id := uuid.New()
	limits := store.AttemptLimits{Near: 5, NearWindow: time.Minute, All: 20, Reserve: 10, AllWindow: time.Hour}
	want := func(what, network string, want int64) {
		t.Helper()
		if got := heard(t, s, id, network, 50, limits); got != want {
			t.Errorf("%s: %d guesses are heard, want %d", what, got, want)
		}
	}
	want("from a network", "198.51.100.0/24", 5)
	want("from its neighbour", "198.51.101.0/24", 5)
	want("from a third in the same wide network, of the reserve", "198.51.102.0/24", 0)
	want("from elsewhere, once of the reserve", "192.0.2.0/24", 1)
	want("from its neighbour", "192.0.3.0/24", 0)
	if err := s.Forgive(context.Background(), id, origin(t, "192.0.2.0/24")); err != nil {
		t.Fatal(err)
	}
	want("from elsewhere, since the first was right", "192.0.2.0/24", 1)
	for i := range 8 {
		want("from another wide network", fmt.Sprintf("2001:db%d::/56", i), 1)
	}
	want("the last of the reserve", "2001:dc0::/56", 1)
	want("beyond it", "2001:dc1::/56", 0)
	want("from nobody knows where, beyond it", "203.0.113.0/24", 0)
}

func guessesAgain(t *testing.T, s store.Store) {
	ctx := context.Background()
	id, from := uuid.New(), origin(t, "192.0.2.0/24")
	limits := store.AttemptLimits{
		Near: 1, NearWindow: 100 * time.Millisecond, All: 3, Reserve: 1, AllWindow: 700 * time.Millisecond,
	}
	if wait, err := s.Attempt(ctx, id, from, limits); err != nil || wait != 0 {
		t.Fatalf("the first guess waits %s, %v", wait, err)
	}
	for range 3 { // first the network's window ends, then the secret's, and what the wide network has guessed with it
		Eventually(t, "guesses are heard again", func() bool {
			wait, err := s.Attempt(ctx, id, from, limits)
			if err != nil || wait < 0 {
				t.Fatal(wait, err)
			}
			return wait == 0
		})
	}
}

func lifeKept(t *testing.T, s store.Store) {
	ctx := context.Background()
	id, restrictions := uuid.New(), store.Restrictions{Passphrase: Bytes(32), Countries: []string{"DE"}}
	if err := TryCreate(s, id, Bytes(100), store.Secret{TTL: Life, Restrictions: restrictions}); err != nil {
		t.Fatal(err)
	}
	// end is when the secret expires, as far as the time that a look takes leaves it certain.
	end := func() (earliest, latest time.Time) {
		before := time.Now()
		secret, err := s.Look(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		const unit = time.Millisecond
		return before.Add(secret.TTL - unit), time.Now().Add(secret.TTL + unit)
	}
	earliest, latest := end()
	limits := store.AttemptLimits{Near: 1000, NearWindow: time.Minute, All: 10_000, AllWindow: time.Hour}
	from := origin(t, "192.0.2.0/24")
	for range 1000 {
		if _, err := s.Look(ctx, id); err != nil {
			t.Fatal(err)
		}
		if wait, err := s.Attempt(ctx, id, from, limits); err != nil || wait > 0 {
			t.Fatal(wait, err)
		}
	}
	if from, to := end(); from.After(latest.Add(5*time.Millisecond)) || to.Before(earliest.Add(-5*time.Millisecond)) {
		t.Errorf("the secret ended between %s and %s, and ends between %s and %s now", earliest, latest, from, to)
	}
}

func firstToken(t *testing.T, s store.Store) {
	var all sync.WaitGroup
	var stored atomic.Int64
	for range 32 {
		all.Go(func() {
			ok, err := s.PutFirstToken(context.Background(), store.TokenHash(Bytes(32)), store.Token{Kind: store.UserToken, TTL: Life})
			if err != nil {
				t.Error(err)
			}
			if ok {
				stored.Add(1)
			}
		})
	}
	all.Wait()
	if n, err := s.Count(context.Background()); err != nil || stored.Load() != 1 || n.Tokens != 1 {
		t.Errorf("%d were stored, %d counted, %v", stored.Load(), n.Tokens, err)
	}
	again := store.TokenHash(Bytes(32)) // by whom the first answer has not reached
	for range 2 {
		if ok, err := s.PutFirstToken(context.Background(), again, store.Token{Kind: store.AdminToken, TTL: Life}); err != nil || !ok {
			t.Errorf("the same first token is not stored again: %v", err)
		}
	}
}

func tokenExpires(t *testing.T, s store.Store) {
	ctx := context.Background()
	hash := store.TokenHash(Bytes(32))
	if err := s.PutToken(ctx, hash, store.Token{Kind: store.UserToken, TTL: 10 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	Eventually(t, "the token expires", func() bool {
		_, err := s.Token(ctx, store.UserToken, hash)
		return errors.Is(err, store.ErrNoToken)
	})
	if ok, err := s.PutFirstToken(ctx, store.TokenHash(Bytes(32)), store.Token{Kind: store.UserToken, TTL: Life}); err != nil || !ok {
		t.Errorf("after the only token has expired there can be no first one: %v", err)
	}
	Eventually(t, "it is not counted", func() bool {
		n, err := s.Count(ctx)
		return err == nil && n.Tokens == 1
	})
}

func counts(t *testing.T, s store.Store) {
	want := func(n int) {
		t.Helper()
		if got, err := s.Count(context.Background()); err != nil || got.Secrets != n {
			t.Errorf("%d secrets are counted, want %d (%v)", got.Secrets, n, err)
		}
	}
	want(0)
	a := Create(t, s, []byte("a"), Life)
	Create(t, s, []byte("b"), Life)
	want(2)
	c, err := s.Claim(context.Background(), a, NewClaimant(), 0)
	if err != nil {
		t.Fatal(err)
	}
	want(1)
	if err := c.Undo(context.Background()); err != nil {
		t.Fatal(err)
	}
	want(2)
	wantTaken(t, s, a, []byte("a"))
	want(1)
}

func check(t *testing.T, s store.Store) {
	if err := s.Check(context.Background()); err != nil {
		t.Error(err)
	}
	if s.String() == "" {
		t.Error("the store has no description")
	}
}
