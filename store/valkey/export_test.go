package valkey

// The names of scripts, by which tests find their calls.
var (
	ClaimScript   = newScripts().claim.sha1
	CommitScript  = newScripts().commit.sha1
	AttemptScript = newScripts().attempt.sha1
	ReserveScript = newScripts().reserve.sha1
)
