//go:build wait_on_another_connection

package valkey

import (
	"context"

	"github.com/valkey-io/valkey-go"
)

// sendAndWait is wrong: WAIT over another connection confirms nothing. It is what `task prove` shows the tests to find.
func sendAndWait(
	ctx context.Context, connection valkey.DedicatedClient, node valkey.Client, script valkey.Completed, waits []valkey.Completed,
) (answer valkey.ValkeyResult, waited []valkey.ValkeyResult) {
	return connection.Do(ctx, script), node.DoMulti(ctx, waits...)
}
