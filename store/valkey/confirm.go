//go:build !wait_on_another_connection

package valkey

import (
	"context"

	"github.com/valkey-io/valkey-go"
)

// wait sends commands that wait for what the connection wrote. WAIT and WAITAOF confirm nothing else.
func wait(
	ctx context.Context, connection valkey.DedicatedClient, _ valkey.Client, commands []valkey.Completed,
) []valkey.ValkeyResult {
	return connection.DoMulti(ctx, commands...)
}
