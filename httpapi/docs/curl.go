package docs

import (
	"fmt"
	"net/http"
	"strings"
)

// curl makes command lines that ask for an operation.
type curl struct {
	method, path string
	parameters   []parameter
	token        string // the scheme's name
}

func (c curl) text(body []byte) string {
	path, lines := c.path, []string(nil)
	for _, p := range c.parameters {
		switch {
		case p.Example.text == "":
		case p.In == "path":
			path = strings.Replace(path, "{"+p.Name+"}", p.Example.text, 1)
		default:
			lines = append(lines, fmt.Sprintf("-H '%s: %s'", p.Name, p.Example.text))
		}
	}
	switch c.token {
	case "token":
		lines = append(lines, `-H "Authorization: Bearer $HAKANAI_TOKEN"`)
	case "adminToken":
		lines = append(lines, `-H "Authorization: Bearer $HAKANAI_ADMIN_TOKEN"`)
	}
	if body != nil {
		lines = append(lines, "--json '"+string(body)+"'")
	}
	command := "curl"
	switch {
	case c.method == http.MethodHead:
		command += " --head"
	case c.method != http.MethodGet && body == nil:
		command += " -X " + c.method
	}
	return strings.Join(append([]string{command + ` "$HAKANAI_SERVER` + path + `"`}, lines...), " \\\n  ")
}
