package httpapi

import (
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"hakanai/webui"
)

func TestTheDescriptionsPageNeedsNoScriptAndLoadsWhatItSays(t *testing.T) {
	s := newSite(t)
	status, page, h := s.do(http.MethodGet, "/docs", nil, "Accept", "text/html")
	if status != 200 || h.Get("Content-Security-Policy") != contentSecurityPolicy || h.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Errorf("%d %v", status, h)
	}
	if inline := regexp.MustCompile(`(?i)<script|<style|<iframe|<form|\son[a-z]+=|\sstyle=|javascript:|https?://|//[a-z]`).FindString(page); inline != "" {
		t.Errorf("the page holds %q", inline)
	}
	styles := 0
	for _, tag := range regexp.MustCompile(`<(?:link|img)[^>]*>`).FindAllString(page, -1) {
		path := regexp.MustCompile(`(?:href|src)="(/[^"]+)"`).FindStringSubmatch(tag)
		if path == nil {
			t.Errorf("%s loads nothing", tag)
			continue
		}
		status, body, _ := s.do(http.MethodGet, path[1], nil)
		if status != 200 {
			t.Errorf("%s is %d", path[1], status)
		}
		if strings.Contains(tag, "stylesheet") {
			styles++
			sum := sha512.Sum384([]byte(body))
			if !strings.Contains(tag, `integrity="sha384-`+base64.StdEncoding.EncodeToString(sum[:])+`"`) {
				t.Errorf("%s has another hash", tag)
			}
		}
	}
	if styles != 2 {
		t.Errorf("there are %d stylesheets", styles)
	}
}

func TestTheDescriptionsPageHasEverything(t *testing.T) {
	description, err := described()
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	_, page, _ := s.do(http.MethodGet, "/docs", nil)
	ids := make(map[string]int)
	for _, match := range regexp.MustCompile(`\sid="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		ids[match[1]]++
	}
	for path, item := range description.Doc.Paths.Map() {
		if !strings.Contains(page, path+"</code>") {
			t.Errorf("%s is not shown", path)
		}
		for _, operation := range item.Operations() {
			if ids[operation.OperationID] == 0 {
				t.Errorf("%s is not shown", operation.OperationID)
			}
			for status := range operation.Responses.Map() {
				if operation.Tags[0] != "Pages" && !strings.Contains(page, "<dt><code>"+status+"</code></dt>") {
					t.Errorf("%s of %s is not shown", status, operation.OperationID)
				}
			}
		}
	}
	for name, schema := range description.Doc.Components.Schemas {
		if len(schema.Value.Properties) > 0 && ids[name] == 0 {
			t.Errorf("%s is not shown", name)
		}
		for property := range schema.Value.Properties {
			if !strings.Contains(page, "<code>"+property+"</code>") {
				t.Errorf("%s.%s is not shown", name, property)
			}
		}
	}
	for id, n := range ids {
		if n > 1 {
			t.Errorf("%d things are called %s", n, id)
		}
	}
	for _, match := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if ids[match[1]] == 0 {
			t.Errorf("#%s leads nowhere", match[1])
		}
	}
	for _, link := range regexp.MustCompile(`<a[^>]* href="(/[^"]*)"`).FindAllStringSubmatch(page, -1) {
		if status, _, _ := s.do(http.MethodGet, link[1], nil); status != 200 {
			t.Errorf("%s leads to %d", link[1], status)
		}
	}
}

// TestTheDescriptionsPageIsWellBuilt checks what screen readers and keyboards go by.
func TestTheDescriptionsPageIsWellBuilt(t *testing.T) {
	s := newSite(t)
	_, page, _ := s.do(http.MethodGet, "/docs", nil)
	level := 0
	for _, match := range regexp.MustCompile(`<h([1-6])`).FindAllStringSubmatch(page, -1) {
		next, _ := strconv.Atoi(match[1])
		if next > level+1 {
			t.Errorf("a heading of level %d follows one of %d", next, level)
		}
		level = next
	}
	for what, n := range map[string]int{
		"<h1>": 1, "<main ": 1, `<html lang="en">`: 1, "<title>": 1, ` aria-label="`: 4, "<nav": 3, `alt=""`: 1, "<img": 1, "{{": 0, "ZgotmplZ": 0, "<no value>": 0,
	} {
		if got := strings.Count(page, what); got != n {
			t.Errorf("%s is there %d times, want %d", what, got, n)
		}
	}
	if scrolling, reachable := strings.Count(page, "<pre"), len(regexp.MustCompile(`<pre[^>]* tabindex="0"`).FindAllString(page, -1)); scrolling != reachable {
		t.Errorf("of %d examples the keyboard reaches %d", scrolling, reachable)
	}
	var open []string
	for _, tag := range regexp.MustCompile(`<(/?)([a-z][a-z0-9]*)[^>]*?(/?)>`).FindAllStringSubmatch(page, -1) {
		switch {
		case tag[3] == "/" || slices.Contains([]string{"link", "meta", "img"}, tag[2]):
		case tag[1] == "":
			open = append(open, tag[2])
		case len(open) == 0 || open[len(open)-1] != tag[2]:
			t.Fatalf("</%s> closes %v", tag[2], open)
		default:
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		t.Errorf("%v is not closed", open)
	}
}

// TestTheColoursCanBeRead computes contrasts as WCAG 2.1 does, of the light and the dark ones. 4.5 is what small text needs.
func TestTheColoursCanBeRead(t *testing.T) {
	style, err := fs.ReadFile(webui.Files(), strings.TrimPrefix(asset(t, ".css"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	light := colours(t, string(style), `:root\{`)
	dark := maps.Clone(light)
	maps.Copy(dark, colours(t, string(style), `:root\[data-theme="?dark"?\]\{`))
	for theme, c := range map[string]map[string]float64{"light": light, "dark": dark} {
		for _, text := range []string{"ink", "soft", "accent"} {
			for _, ground := range []string{"paper", "sheet"} {
				ratio := (max(c[text], c[ground]) + 0.05) / (min(c[text], c[ground]) + 0.05)
				if ratio < 4.5 {
					t.Errorf("%s: %s on %s has a contrast of %.2f", theme, text, ground, ratio)
				}
			}
		}
	}
}

// colours are the relative luminances of a rule's colours, by name.
func colours(t *testing.T, style, rule string) map[string]float64 {
	t.Helper()
	match := regexp.MustCompile(rule + `([^}]*)\}`).FindStringSubmatch(style)
	if match == nil {
		t.Fatalf("there is no rule %s", rule)
	}
	found := make(map[string]float64)
	for _, colour := range regexp.MustCompile(`--([a-z-]+): ?#([0-9a-f]{6})`).FindAllStringSubmatch(match[1], -1) {
		var luminance float64
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			value, err := strconv.ParseUint(colour[2][2*i:2*i+2], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			linear := float64(value) / 255
			if linear <= 0.04045 {
				linear /= 12.92
			} else {
				linear = math.Pow((linear+0.055)/1.055, 2.4)
			}
			luminance += weight * linear
		}
		found[colour[1]] = luminance
	}
	if len(found) < 5 {
		t.Fatal(fmt.Sprint("there are only ", found))
	}
	return found
}
