package valkeytest

import (
	"os/exec"
	"syscall"
)

// bound makes the system end a process with the test's, however that ends.
func bound(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
