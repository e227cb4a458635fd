//go:build unix && !linux

package valkeytest

import "os/exec"

func bound(*exec.Cmd) {}
