//go:build wait_on_another_connection

package valkey

import (
	"context"

	"github.com/valkey-io/valkey-go"
)

// sendAndWait is wrong: WAIT over another connection confirms nothing. It is what `task prove` shows the tests to find.
func sendAndWait(
	ctx context.Context, connection valkey.DedicatedClient, node valkey.Client, script, wait, role valkey.Completed,
) (answer, confirmed, connected valkey.ValkeyResult) {
	return connection.Do(ctx, script), node.Do(ctx, wait), connection.Do(ctx, role)
}
