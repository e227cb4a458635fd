package valkey

import (
	"crypto/sha1" //nolint:gosec // Valkey names scripts by it; it guards nothing
	_ "embed"
	"encoding/hex"
	"strings"
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
	//go:embed scripts/resume.lua
	resumeSource string
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

// reservingCommit is reserve.lua and commit.lua in one step, where all keys are on one server. It returns what the one
// returns that refuses, or done. KEYS and ARGV are those of reserve.lua, then those of commit.lua.
func reservingCommit() script {
	body := func(source string) string { return strings.TrimPrefix(source, "#!lua\n") }
	return newScript("#!lua\n" +
		"local function reserve(KEYS, ARGV)\n" + body(reserveSource) + "end\n" +
		"local function commit(KEYS, ARGV)\n" + body(commitSource) + "end\n" +
		"local reserved = reserve({unpack(KEYS, 1, 2)}, {unpack(ARGV, 1, 4)})\n" +
		"if reserved ~= 'done' then return reserved end\n" +
		"return commit({unpack(KEYS, 3)}, {unpack(ARGV, 5)})\n")
}

type scripts struct {
	append, commit, revoke, look, claim, resume, undo, unread, end, putToken, reserve, release, attempt, forgive script

	reservingCommit script
}

func newScripts() scripts {
	return scripts{
		append:   newScript(appendSource),
		commit:   newScript(commitSource),
		revoke:   newScript(revokeSource),
		look:     newScript(lookSource),
		claim:    newScript(claimSource),
		undo:     newScript(undoSource),
		resume:   newScript(resumeSource),
		unread:   newScript(unreadSource),
		end:      newScript(endSource),
		putToken: newScript(putTokenSource),
		reserve:  newScript(reserveSource),
		release:  newScript(releaseSource),
		attempt:  newScript(attemptSource),
		forgive:  newScript(forgiveSource),

		reservingCommit: reservingCommit(),
	}
}
