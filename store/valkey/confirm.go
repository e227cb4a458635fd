//go:build !wait_on_another_connection

package valkey

import (
	"context"

	"github.com/valkey-io/valkey-go"
)

// sendAndWait sends a script, and over the same connection what waits for its confirmation, since WAIT waits for what its
// own connection wrote.
func sendAndWait(
	ctx context.Context, connection valkey.DedicatedClient, _ valkey.Client, script valkey.Completed, waits []valkey.Completed,
) (answer valkey.ValkeyResult, waited []valkey.ValkeyResult) {
	results := connection.DoMulti(ctx, append([]valkey.Completed{script}, waits...)...)
	return results[0], results[1:]
}
