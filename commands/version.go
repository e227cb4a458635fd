package commands

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// release is the version of the program, which Go takes from git: a tag, or what comes after one.
func release() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}

// version is the release with the commit that it was made from, and the Go that made it.
func version() string {
	commit, changed := "unknown", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			switch {
			case setting.Key == "vcs.revision":
				commit = setting.Value
			case setting.Key == "vcs.modified" && setting.Value == "true":
				changed = ", changed"
			}
		}
	}
	return fmt.Sprintf("%s (commit %s%s, %s)", release(), commit, changed, runtime.Version())
}
