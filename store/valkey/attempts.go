package valkey

import (
	"context"
	"strconv"
	"time"

	"hakanai/store"
)

// attemptLife is for how long an attempt is known by its nonce: longer than its answer is waited for, and than most
// times that Valkey is away.
const attemptLife = time.Minute

// Attempt implements store.Store. Replicas confirm it, so that a failover forgets no guess. One that was not answered is
// taken back: it was not made.
func (s *Store) Attempt(
	ctx context.Context, id store.ID, from store.Origin, limits store.AttemptLimits,
) (wait time.Duration, err error) {
	nonce, err := s.nonce()
	if err != nil {
		return 0, err
	}
	keys := keysOf(id).attemptKeys(id, from, nonce)
	r, err := s.run(ctx, call{
		script: s.scripts.attempt,
		keys:   keys,
		args: []string{
			strconv.Itoa(limits.All), strconv.Itoa(limits.Reserve), milliseconds(limits.AllWindow),
			strconv.Itoa(limits.Near), milliseconds(limits.NearWindow), milliseconds(attemptLife),
		},
		durable: true,
	})
	if err != nil {
		if mayHaveHappened(err) {
			s.repairs.add(repair{call: s.forgiving(keys), until: time.Now().Add(attemptLife)})
		}
		return 0, err
	}
	if r.status == "done" {
		return 0, nil
	}
	if len(r.values) != 1 {
		return 0, errOddReply
	}
	left, err := r.values[0].AsInt64()
	return time.Duration(left) * time.Millisecond, err
}

// Forgive implements store.Store.
func (s *Store) Forgive(ctx context.Context, id store.ID, from store.Origin) error {
	_, err := s.run(ctx, s.forgiving(keysOf(id).attemptKeys(id, from, "")))
	return err
}

func (s *Store) forgiving(keys []string) call { return call{script: s.scripts.forgive, keys: keys} }
