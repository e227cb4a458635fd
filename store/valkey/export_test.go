package valkey

// The names of scripts, by which tests find their calls.
var (
	AppendScript   = newScripts().append.sha1
	AttemptScript  = newScripts().attempt.sha1
	ClaimScript    = newScripts().claim.sha1
	CommitScript   = newScripts().commit.sha1
	PutTokenScript = newScripts().putToken.sha1
	ReserveScript  = newScripts().reservingCommit.sha1 // on one server
	UndoScript     = newScripts().undo.sha1
)
