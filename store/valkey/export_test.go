package valkey

import (
	"context"

	"github.com/valkey-io/valkey-go"
)

// The names of scripts, by which tests find their calls.
var (
	AppendScript   = newScripts().append.sha1
	AttemptScript  = newScripts().attempt.sha1
	ClaimScript    = newScripts().claim.sha1
	CommitScript   = newScripts().commit.sha1
	PutTokenScript = newScripts().putToken.sha1
	ReserveScript  = newScripts().reservingCommit.sha1 // on one server
	UndoScript     = newScripts().undo.sha1
)

// FetchPiece reads a piece of ciphertext as a claim does.
func FetchPiece(ctx context.Context, client valkey.Client, key, field string) ([]byte, error) {
	p := new(pieces).take()
	err := p.fetch(ctx, client, key, field)
	return p.bytes, err
}

// ClientOptions are those of a DSN's client.
func (d *DSN) ClientOptions() valkey.ClientOption { return d.options() }
