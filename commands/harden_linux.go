package commands

import (
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// harden keeps keys and plain text out of core dumps, and out of the reach of other processes of the same user. Where
// the system refuses, the program runs as programs usually do.
func harden() {
	debug.SetTraceback("none")
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
