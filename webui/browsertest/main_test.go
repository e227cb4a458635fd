//go:build unix

// Package browsertest uses the web pages as people do: in a real browser, Chromium, against the real program.
//
// Every test has a server and a browser profile of its own. Whatever a test is about, it fails if a page talks to another
// host, complains in the console, breaks the content security policy, sets a cookie, or leaves behind what it should not:
// see watch_test.go.
package browsertest

import (
	"flag"
	"fmt"
	"os"
	"testing"
)

// atOnce is how many tests run at a time: each of them keeps a browser and a server busy.
const atOnce = 2

// scratch is where the program and the browser's profile are.
var scratch string

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", fmt.Sprint(atOnce)); err != nil {
		panic(err)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "hakanai-browsertest"); err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	defer closeBrowser()
	return m.Run()
}
