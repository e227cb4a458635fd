//go:build !wait_on_another_connection

package valkey

import (
	"context"

	"github.com/valkey-io/valkey-go"
)

// sendAndWait sends a script and WAIT over one connection, since WAIT waits for what its own connection wrote, and then
// ROLE.
func sendAndWait(
	ctx context.Context, connection valkey.DedicatedClient, _ valkey.Client, script, wait, role valkey.Completed,
) (answer, confirmed, connected valkey.ValkeyResult) {
	results := connection.DoMulti(ctx, script, wait, role)
	return results[0], results[1], results[2]
}
