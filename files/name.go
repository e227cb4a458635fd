package files

import (
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxName is the length of a file's name in bytes, with room for the suffix of a name that is taken.
	maxName = 200
	// noName stands for a name of which nothing is left.
	noName = "secret"
)

// SafeName makes of a sender's file name one that can be used here: its last part alone, without what steers a
// terminal, hides a file, changes the direction of writing, cannot be seen, or means a device or stream on Windows.
func SafeName(name string) string {
	if i := strings.LastIndexAny(name, `/\`); i >= 0 {
		name = name[i+1:]
	}
	name = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) ||
			strings.ContainsRune(`<>:"|?*`, r) {
			return '_'
		}
		return r
	}, name)
	name = strings.TrimRight(name, " .")
	name = strings.TrimLeft(name, " ")
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "-") {
		name = "_" + name[1:]
	}
	name = shorten(name)
	if isReserved(name) {
		name = shorten("_" + name)
	}
	if strings.Trim(name, "_") == "" {
		return noName
	}
	return name
}

// shorten cuts the middle out of a name that is too long, and keeps its extension.
func shorten(name string) string {
	if len(name) <= maxName {
		return name
	}
	extension := filepath.Ext(name)
	if len(extension) > maxName/4 {
		extension = ""
	}
	stem := name[:maxName-len(extension)]
	for !utf8.ValidString(stem) {
		stem = stem[:len(stem)-1]
	}
	return strings.TrimRight(stem, " .") + extension
}

// isReserved tells whether Windows takes a name for a device, whatever its extension.
func isReserved(name string) bool {
	stem, _, _ := strings.Cut(name, ".")
	switch stem = strings.ToUpper(strings.TrimRight(stem, " ")); stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$":
		return true
	}
	port, found := strings.CutPrefix(stem, "COM")
	if !found {
		port, found = strings.CutPrefix(stem, "LPT")
	}
	return found && utf8.RuneCountInString(port) == 1 && strings.Contains("0123456789¹²³", port)
}
