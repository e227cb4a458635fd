// Package webui holds the web pages, built from the TypeScript beside it, as files of the program. The pages are the same
// on every server: what differs from one to another they ask for. They load nothing but these files.
package webui

import (
	"embed"
	"io/fs"
)

//go:embed dist
var dist embed.FS

// Files returns the built pages: index.html, which is every page, what it loads in assets/ under names that hold a hash
// of the content, and what browsers ask for by name.
func Files() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name is valid
	}
	return files
}
