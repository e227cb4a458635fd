package docs

import (
	"html/template"
	"strings"
	"testing"
)

func TestJSONKeepsTheOrderAndMergesInPlace(t *testing.T) {
	for yaml, want := range map[string]string{
		"b: 1\na: [x, null, true, 1.5, '2']": `{"b":1,"a":["x",null,true,1.5,"2"]}`,
		"{}":                                 `{}`,
		"[]":                                 `[]`,
		"x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3, c: 4}\nz: *x":      `{"x":{"a":1,"b":2},"y":{"a":1,"b":3,"c":4},"z":{"a":1,"b":2}}`,
		"x: &x {a: 1}\ny: &y {a: 2, b: 2}\nz: {<<: [*x, *y]}":     `{"x":{"a":1},"y":{"a":2,"b":2},"z":{"a":1,"b":2}}`,
		"t: \"<a href='x'>\\n\"\nu: |\n  one\n  two\n'200': '<<'": `{"t":"<a href='x'>\n","u":"one\ntwo\n","200":"<<"}`,
	} {
		got, err := JSON([]byte(yaml))
		if err != nil || string(got) != want {
			t.Errorf("%q becomes %s, want %s (%v)", yaml, got, want, err)
		}
	}
	if _, err := JSON([]byte("{")); err == nil {
		t.Error("what is no YAML is read")
	}
}

func TestThePageEscapesWhatItShows(t *testing.T) {
	page, err := Page([]byte("info: {description: 'a < b & `<script>`'}\n"), Site{Head: template.HTML("<link>")})
	if err != nil || !strings.Contains(string(page), "a &lt; b &amp; <code>&lt;script&gt;</code>") || !strings.Contains(string(page), "<link>") {
		t.Errorf("%s (%v)", page, err)
	}
}
