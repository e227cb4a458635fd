package docs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// description is what the page shows of a description (OpenAPI 3.1), in the order in which it is written.
type description struct {
	Info struct {
		Summary, Description string
	}
	CommonHeaders ordered[header] `yaml:"x-compressed-answer"` // which has all of those of every answer
	Tags          []tag
	Paths         ordered[pathItem]
	Components    struct {
		SecuritySchemes map[string]struct{ Description string } `yaml:"securitySchemes"`
		Parameters      map[string]parameter
		Headers         map[string]header
		Responses       map[string]response
		Schemas         ordered[schema]
	}
}

type reference struct {
	Ref string `yaml:"$ref"`
}

// name is the last part of a reference: what it is called among its kind.
func (r reference) name() string { return r.Ref[strings.LastIndexByte(r.Ref, '/')+1:] }

type tag struct {
	Name, Description string
	Brief             bool `yaml:"x-brief"` // a line for each path is enough
}

type pathItem struct {
	Parameters                       []parameter
	Get, Head, Post, Delete, Options *operation
}

type operation struct {
	ID                   string `yaml:"operationId"`
	Tags                 []string
	Summary, Description string
	Security             []ordered[[]string]
	Parameters           []parameter
	RequestBody          struct{ Content ordered[media] } `yaml:"requestBody"`
	Responses            ordered[response]
}

type parameter struct {
	reference             `yaml:",inline"`
	Name, In, Description string
	Required              bool
	Schema                schema
	Example               literal
}

type header struct {
	reference   `yaml:",inline"`
	Description string
	Schema      schema
}

type response struct {
	reference   `yaml:",inline"`
	Description string
	Headers     ordered[header]
	Content     ordered[media]
}

type media struct {
	Schema   schema
	Example  literal
	Examples ordered[example]
}

type example struct {
	Summary string
	Value   literal
}

type schema struct {
	reference        `yaml:",inline"`
	Description      string
	Type             names
	Const            literal
	Enum             []literal
	Minimum, Maximum *int64
	MaxItems         int `yaml:"maxItems"`
	Items            *schema
	AnyOf            []schema `yaml:"anyOf"`
	Required         []string
	Properties       ordered[schema]
}

// names are one name, or a list of them.
type names []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (n *names) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.SequenceNode {
		return node.Decode((*[]string)(n))
	}
	*n = names{node.Value}
	return nil
}

// literal is a value as it stands in the description.
type literal struct {
	text string // of what is no list or mapping
	json []byte
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (l *literal) UnmarshalYAML(node *yaml.Node) error {
	var b bytes.Buffer
	err := writeJSON(&b, node)
	l.text, l.json = node.Value, b.Bytes()
	return err
}

// indented is the value as an example for people: a text as it is, all else as JSON.
func (l literal) indented() string {
	var b bytes.Buffer
	if l.text != "" || json.Indent(&b, l.json, "", "  ") != nil {
		return strings.TrimSuffix(l.text, "\n")
	}
	return b.String()
}

// example is the first one.
func (m media) example() literal {
	if len(m.Examples) > 0 {
		return m.Examples[0].Value.Value
	}
	return m.Example
}

// values are those that the schema names, if it does.
func (s schema) values() string {
	if s.Const.text != "" {
		return s.Const.text
	}
	var texts []string
	for _, value := range s.Enum {
		texts = append(texts, value.text)
	}
	return strings.Join(texts, " | ")
}

func readDescription(text []byte) (d description, err error) {
	if err := yaml.Unmarshal(text, &d); err != nil {
		return d, fmt.Errorf("reading the API's description: %w", err)
	}
	return d, nil
}

// parameter and response follow a reference, where it is one.

func (d *description) parameter(p parameter) parameter {
	if p.Ref != "" {
		return d.Components.Parameters[p.name()]
	}
	return p
}

func (d *description) response(r response) response {
	if r.Ref != "" {
		return d.Components.Responses[r.name()]
	}
	return r
}

func (d *description) header(h header) header {
	if h.Ref != "" {
		return d.Components.Headers[h.name()]
	}
	return h
}

func (d *description) schema(s schema) schema {
	for _, known := range d.Components.Schemas {
		if s.Ref != "" && known.Name == s.name() {
			return known.Value
		}
	}
	return s
}
