package commands

import (
	"runtime"
	"runtime/debug"
)

// spareCollections lets a program that soon ends get to 32 MiB before it looks for what it no longer needs, instead of 4:
// while it works on one secret there is little. From then on all is as it was.
func spareCollections() {
	before := debug.SetGCPercent(800)
	runtime.AddCleanup(new([64]byte), func(percent int) { debug.SetGCPercent(percent) }, before)
}

// headroom is how much a server lets garbage gather, on top of as much as is in use, before it is collected.
const headroom = 16 << 20

// collectRarely gives a server its headroom, until it stops: it has little in use and makes garbage all the time, and
// collected 4 MiB of it many times a second. What counts as in use for that is never written to, so that a system
// provides no memory for it.
func collectRarely() (stop func()) {
	nothing := make([]byte, headroom)
	return func() { runtime.KeepAlive(nothing) }
}
