//go:build wait_on_another_connection

package valkey

import (
	"context"

	"github.com/valkey-io/valkey-go"
)

// wait is wrong: WAIT over another connection confirms nothing. It is what `task prove` shows the tests to find.
func wait(
	ctx context.Context, _ valkey.DedicatedClient, node valkey.Client, commands []valkey.Completed,
) []valkey.ValkeyResult {
	return node.DoMulti(ctx, commands...)
}
