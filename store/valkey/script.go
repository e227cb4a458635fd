package valkey

import (
	"crypto/sha1" //nolint:gosec // Valkey names scripts by it; it guards nothing
	_ "embed"
	"encoding/hex"
)

// What happens on the Valkey side in one step. Each file says what it is given and what it returns.
var (
	//go:embed scripts/append.lua
	appendSource string
	//go:embed scripts/commit.lua
	commitSource string
	//go:embed scripts/revoke.lua
	revokeSource string
	//go:embed scripts/look.lua
	lookSource string
	//go:embed scripts/claim.lua
	claimSource string
	//go:embed scripts/undo.lua
	undoSource string
	//go:embed scripts/unread.lua
	unreadSource string
	//go:embed scripts/end.lua
	endSource string
	//go:embed scripts/put_token.lua
	putTokenSource string
	//go:embed scripts/reserve.lua
	reserveSource string
	//go:embed scripts/release.lua
	releaseSource string
	//go:embed scripts/attempt.lua
	attemptSource string
	//go:embed scripts/forgive.lua
	forgiveSource string
)

// script is a source, and the name that Valkey knows it by once it has seen it.
type script struct{ source, sha1 string }

func newScript(source string) script {
	sum := sha1.Sum([]byte(source)) //nolint:gosec // see the import
	return script{source, hex.EncodeToString(sum[:])}
}

type scripts struct {
	append, commit, revoke, look, claim, undo, unread, end, putToken, reserve, release, attempt, forgive script
}

func newScripts() scripts {
	return scripts{
		append:   newScript(appendSource),
		commit:   newScript(commitSource),
		revoke:   newScript(revokeSource),
		look:     newScript(lookSource),
		claim:    newScript(claimSource),
		undo:     newScript(undoSource),
		unread:   newScript(unreadSource),
		end:      newScript(endSource),
		putToken: newScript(putTokenSource),
		reserve:  newScript(reserveSource),
		release:  newScript(releaseSource),
		attempt:  newScript(attemptSource),
		forgive:  newScript(forgiveSource),
	}
}
