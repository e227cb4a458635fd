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
	name    string // of the secret
}

// accountName is how an account is written; "" when there is none to write.
func accountName(account store.Account) string {
	if account == (store.Account{}) {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(account[:])
}

func (s *Store) reserving(share reservation, size int64, secret store.Secret) (call, error) {
	charge, err := store.Charge(size, secret.Restrictions)
	return call{
		script: s.scripts.reserve,
		keys:   accountKeys(share.account),
		args: []string{
			share.name, strconv.FormatInt(charge, 10), milliseconds(secret.TTL), strconv.FormatInt(secret.Quota, 10),
		},
	}, err
}

// reserve takes the share of a secret of some size. Error: store.ErrQuota.
func (s *Store) reserve(ctx context.Context, share reservation, size int64, secret store.Secret) error {
	if share.account == "" {
		return nil
	}
	reserving, err := s.reserving(share, size, secret)
	if err != nil {
		return err
	}
	_, err = s.runReserving(ctx, reserving)
	if mayHaveHappened(err) {
		s.repairs.add(repair{call: s.releasing(share, 0), until: time.Now().Add(min(secret.TTL, draftLife))})
	}
	return err
}

// runReserving runs a script that reserves, until it has made room of all that has ended. Error: store.ErrQuota.
func (s *Store) runReserving(ctx context.Context, reserving call) (reply, error) {
	for {
		switch r, err := s.run(ctx, reserving); {
		case err != nil || r.status != "over" && r.status != "more":
			return r, err
		case r.status == "over":
			return r, store.ErrQuota
		}
	}
}

// release gives the share back, later if that is not 0. What cannot be given back now comes back by itself, when the secret
// would have expired.
func (s *Store) release(ctx context.Context, share reservation, later time.Duration) {
	if share.account == "" {
		return
	}
	_, _ = s.run(ctx, s.releasing(share, later))
}

func (s *Store) releasing(share reservation, later time.Duration) call {
	return call{
		script: s.scripts.release, keys: accountKeys(share.account), args: []string{share.name, milliseconds(later)},
	}
}
