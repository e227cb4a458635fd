//go:build linux

// Bench measures what Hakanai costs, beside a server that does as little as a server can, on the same machine, in the same
// run. docs/performance.md tells how it is used and what came of it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/pprof"
	"time"

	"hakanai/commands"
)

func main() {
	if err := start(os.Args[1:], os.Stdout); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "bench: error:", err) // there is nowhere else to say it
		os.Exit(1)
	}
}

// start does what the first argument says. The servers to measure against are this program once more.
func start(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	options := options{sizes: []int{1 << 10, 64 << 10, 1 << 20}}
	flags.IntVar(&options.rounds, "rounds", 5, "how often all is measured")
	flags.DurationVar(&options.time, "time", 1500*time.Millisecond, "how long secrets are created in one round")
	flags.StringVar(&options.only, "only", "", "measure this alone: rates, latency, memory, live, cli, growth, expiry")
	size := flags.Int("kib", 0, "measure rates with secrets of this size alone: 1, 64 or 1024")
	flags.StringVar(&options.store, "store", "", "measure this store alone: valkey or embedded")
	flags.StringVar(&options.profile, "profile", "", "write a CPU profile of the embedded server and of the one on Valkey to `DIRECTORY`")
	output := flags.String("json", "", "write what was measured to `FILE`")
	if len(args) > 0 {
		switch args[0] {
		case "floor":
			return serveFloor(stdout)
		case "disk":
			return serveDisk(stdout, args[1])
		case "profiled":
			return profiled(args[1], args[2:])
		case "compare":
			return compareFiles(stdout, args[1:])
		}
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *size > 0 {
		options.sizes = []int{*size << 10}
	}
	r, err := measure(options)
	if err != nil {
		return err
	}
	if err := r.print(stdout); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(stdout) // the next print says what is wrong
	if err := r.printTargets(stdout); err != nil || *output == "" {
		return err
	}
	return r.write(*output)
}

func compareFiles(stdout io.Writer, paths []string) error {
	if len(paths) != 2 {
		return errors.New("two files are compared: OLD NEW")
	}
	before, err := readResults(paths[0])
	if err != nil {
		return err
	}
	after, err := readResults(paths[1])
	if err != nil {
		return err
	}
	return compare(stdout, before, after)
}

// profiled runs Hakanai in this process, and writes its CPU profile when it ends.
func profiled(path string, args []string) error {
	file, err := os.Create(path) //nolint:gosec // the one that was named
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return err
	}
	status := commands.Main(append([]string{"hakanai"}, args...), os.Stdin, os.Stdout, os.Stderr)
	pprof.StopCPUProfile()
	if err := file.Close(); err != nil {
		return err
	}
	if status != 0 {
		return fmt.Errorf("hakanai ends with %d", status)
	}
	return nil
}
