// Hakanai shares a secret once. This file starts the program; see package commands for what it does.
package main

import (
	"os"

	_ "golang.org/x/crypto/x509roots/fallback" // authorities for TLS where the system has none, as in the container image

	"hakanai/commands"
)

func main() {
	os.Exit(commands.Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
}
