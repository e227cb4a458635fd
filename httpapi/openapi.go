package httpapi

import (
	"bytes"
	"crypto/sha512"
	_ "embed" // for openapi.yaml
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html/template"
	"regexp"
	"strings"

	"hakanai/httpapi/docs"
)

// openAPI is the API's one description, written by hand. Programs get it as JSON, people as a page, and the tests hold
// the server to it.
//
//go:embed openapi.yaml
var openAPI []byte

// addDescription adds the description to the files, for programs and for people. It is made once, and the same on every
// server. It is part of the program: if it cannot be read, that is broken.
func (p pages) addDescription() {
	description, err := docs.JSON(openAPI)
	if err != nil {
		panic(err)
	}
	p.files["/openapi.json"] = newPageFile(description, contentType(".json"))

	hash := sha512.Sum384(docs.Style)
	path := "/" + hashedDir + "docs-" + hex.EncodeToString(hash[:4]) + ".css"
	style := newPageFile(docs.Style, contentType(".css"))
	style.cacheControl = immutable
	p.files[path] = style

	page, err := docs.Page(openAPI, docs.Site{
		Head: p.headTags() + template.HTML(fmt.Sprintf( //nolint:gosec // a part of the program
			"\n    <link rel=\"stylesheet\" crossorigin href=\"%s\" integrity=\"sha384-%s\" />",
			path, base64.StdEncoding.EncodeToString(hash[:]))),
		Icon: p.icon(),
	})
	if err != nil {
		panic(err)
	}
	p.files["/docs"] = newPageFile(page, contentType(".html"))
}

// headTags are the tags by which the other pages load their stylesheet and icons.
func (p pages) headTags() template.HTML {
	tags := regexp.MustCompile(`<link [^>]*>`).FindAll(p.page.body, -1)
	return template.HTML(bytes.Join(tags, []byte("\n    "))) //nolint:gosec // a part of the program
}

func (p pages) icon() string {
	for path := range p.files {
		if strings.HasPrefix(path, "/"+hashedDir+"icon-") {
			return path
		}
	}
	return ""
}
