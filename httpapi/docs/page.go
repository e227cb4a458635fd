package docs

import (
	"bytes"
	_ "embed" // for the page's parts
	"html/template"
	"strings"
)

//go:embed page.html
var pageHTML string

// Style is the page's stylesheet, which comes after the site's own.
//
//go:embed page.css
var Style []byte

// Site is what a page has of the site that it is on.
type Site struct {
	Head template.HTML // tags that load stylesheets and icons
	Icon string        // the path of a picture
}

// Page shows a description, in YAML, to people, in HTML that needs no script.
func Page(text []byte, site Site) ([]byte, error) {
	d, err := readDescription(text)
	if err != nil {
		return nil, err
	}
	view := d.view()
	view.Site = site
	page, err := template.New("page").Funcs(template.FuncMap{"prose": prose}).Parse(pageHTML)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = page.Execute(&b, view)
	return b.Bytes(), err
}

// prose is a text of paragraphs with `code` in it: the part of Markdown that the description keeps to.
func prose(text string) (paragraphs [][]proseSpan) {
	for _, paragraph := range strings.Split(strings.TrimSpace(text), "\n\n") {
		var spans []proseSpan
		for i, piece := range strings.Split(paragraph, "`") {
			spans = append(spans, proseSpan{piece, i%2 == 1})
		}
		paragraphs = append(paragraphs, spans)
	}
	return paragraphs
}

type proseSpan struct {
	Text string
	Code bool
}
