package commands

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"hakanai/httpapi"
	"hakanai/store"
)

// introduction is a token that a new store gets, and what is printed with it. The token is drawn once: a store that did
// not answer may have it already, and takes the same one again.
type introduction struct {
	token string
	hash  store.TokenHash
	kind  store.TokenKind
	text  string // with the token
}

// introduceAgain is how often a store that cannot take its first tokens is asked to.
const introduceAgain = 500 * time.Millisecond

// introduce makes the first tokens of a new store, and shows them: on standard error, and never in the log, since logs
// are kept and passed on. What a store cannot take yet is tried again in the background, until the function returned is
// called.
func (p *program) introduce(
	ctx context.Context, log zerolog.Logger, secrets store.Store, address string, admin bool,
) (stop func(), err error) {
	first, err := introductions(address, admin)
	if err != nil {
		return nil, err
	}
	left, last := p.introduceAll(ctx, log, secrets, first, nil)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(introduceAgain)
		defer ticker.Stop()
		for len(left) > 0 {
			select {
			case <-ticker.C:
				left, last = p.introduceAll(ctx, log, secrets, left, last)
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-done }, nil
}

// introductions draws what a new store gets.
func introductions(address string, admin bool) (all []introduction, err error) {
	user := introduction{kind: store.UserToken}
	if user.token, user.hash, err = httpapi.NewToken(rand.Reader); err != nil {
		return nil, err
	}
	user.text = fmt.Sprintf(`
Here is a token that may create secrets, good for 30 days. It is shown this once:

    %s

To try it:

    echo "the wifi password" | HAKANAI_TOKEN=%s hakanai send --server %s

`, user.token, user.token, address)
	if !admin {
		return []introduction{user}, nil
	}
	other := introduction{kind: store.AdminToken}
	if other.token, other.hash, err = httpapi.NewToken(rand.Reader); err != nil {
		return nil, err
	}
	other.text = fmt.Sprintf(`
Here is the admin token, for hakanai token. It is shown this once:

    %s

`, other.token)
	return []introduction{user, other}, nil
}

// introduceAll stores and shows what the store takes, and returns what is left, and why: what is not news is not logged
// again.
func (p *program) introduceAll(
	ctx context.Context, log zerolog.Logger, secrets store.Store, all []introduction, last error,
) (left []introduction, why error) {
	for _, first := range all {
		stored, err := secrets.PutFirstToken(ctx, first.hash, httpapi.DefaultToken(first.kind))
		if stored && err == nil {
			_, _ = fmt.Fprint(p.err, first.text)
		}
		if err == nil {
			continue
		}
		left, why = append(left, first), err
		known := errors.Is(err, store.ErrDown) || ctx.Err() != nil // a store that is down has said so itself
		if !known && (last == nil || err.Error() != last.Error()) {
			log.Error().Err(err).Msg("the first token could not be stored: trying again")
		}
	}
	return left, why
}
