// Hakanai shares a secret once. This file starts the program; see package commands for what it does.
package main

import (
	"os"

	"hakanai/commands"
)

func main() {
	os.Exit(commands.Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
}
