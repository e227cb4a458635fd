package commands

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// release is the version of the program, which Go takes from git: a tag, or what comes after one.
func release() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}

// released is the day of the commit that the program was made from, or "" if nobody knows.
func released() string {
	day, _, _ := strings.Cut(setting("vcs.time"), "T")
	return day
}

// version is the release with the commit that it was made from, and the Go that made it.
func version() string {
	commit, changed := setting("vcs.revision"), ""
	if commit == "" {
		commit = "unknown"
	}
	if setting("vcs.modified") == "true" {
		changed = ", changed"
	}
	return fmt.Sprintf("%s (commit %s%s, %s)", release(), commit, changed, runtime.Version())
}

// setting is one of those that the program was built with.
func setting(key string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, setting := range info.Settings {
		if setting.Key == key {
			return setting.Value
		}
	}
	return ""
}
