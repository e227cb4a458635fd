//go:build !linux

package commands

import "runtime/debug"

// harden keeps keys and plain text out of the traces of a crash.
func harden() { debug.SetTraceback("none") }
