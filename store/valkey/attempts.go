package valkey

import (
	"context"
	"net/netip"
	"strconv"
	"time"

	"hakanai/store"
)

// Attempt implements store.Store.
func (s *Store) Attempt(
	ctx context.Context, id store.ID, from netip.Prefix, limits store.AttemptLimits,
) (wait time.Duration, err error) {
	r, err := s.run(ctx, call{
		script: s.scripts.attempt,
		keys:   keysOf(id).attemptKeys(from),
		args: []string{
			strconv.Itoa(limits.All), milliseconds(limits.AllWindow),
			strconv.Itoa(limits.Near), milliseconds(limits.NearWindow),
		},
	})
	if err != nil || r.status == "done" {
		return 0, err
	}
	if len(r.values) != 1 {
		return 0, errOddReply
	}
	left, err := r.values[0].AsInt64()
	return time.Duration(left) * time.Millisecond, err
}

// Forgive implements store.Store.
func (s *Store) Forgive(ctx context.Context, id store.ID, from netip.Prefix) error {
	_, err := s.run(ctx, call{script: s.scripts.forgive, keys: keysOf(id).attemptKeys(from)})
	return err
}
