package valkey

import (
	"context"
	"encoding/base64"
	"strconv"
	"time"

	"hakanai/store"
)

// reservation is a secret's share of its account's quota. Accounts are in slots of their own, so it is reserved before
// the commit and released after the claim; what a crash leaves in between is released when the secret's life is over.
type reservation struct {
	account string // "": there is none
	member  string
	size    int64
}

func newReservation(account, name string, size int64) reservation {
	return reservation{account, name + ":" + strconv.FormatInt(size, 10), size}
}

// accountName is how an account is written; "" when there is none to write.
func accountName(account store.Account) string {
	if account == (store.Account{}) {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(account[:])
}

// reserve takes the share. Error: store.ErrQuota.
func (s *Store) reserve(ctx context.Context, share reservation, life time.Duration, quota int64) error {
	if share.account == "" {
		return nil
	}
	r, err := s.run(ctx, call{
		script: s.scripts.reserve,
		keys:   accountKeys(share.account),
		args: []string{
			share.member, strconv.FormatInt(share.size, 10), milliseconds(life), strconv.FormatInt(quota, 10),
		},
	})
	if err == nil && r.status == "over" {
		err = store.ErrQuota
	}
	return err
}

// release gives the share back. What cannot be given back now comes back by itself, when the secret would have expired.
func (s *Store) release(ctx context.Context, share reservation) {
	if share.account == "" {
		return
	}
	_, _ = s.run(ctx, call{
		script: s.scripts.release,
		keys:   accountKeys(share.account),
		args:   []string{share.member, strconv.FormatInt(share.size, 10)},
	})
}
