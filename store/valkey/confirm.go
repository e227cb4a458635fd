//go:build !wait_on_another_connection

package valkey

import (
	"context"

	"github.com/valkey-io/valkey-go"
)

// sendAndWait sends a script and WAIT over one connection, since WAIT waits for what its own connection wrote.
func sendAndWait(
	ctx context.Context, connection valkey.DedicatedClient, _ valkey.Client, script, wait valkey.Completed,
) (answer, confirmed valkey.ValkeyResult) {
	results := connection.DoMulti(ctx, script, wait)
	return results[0], results[1]
}
