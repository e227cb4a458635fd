// Package apitest holds a server to its description: what was asked and what was answered are compared with an OpenAPI
// document, and whatever that does not say is an error.
package apitest

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Description is an OpenAPI document. It is safe for concurrent use.
type Description struct {
	Doc *openapi3.T

	components any // as they stand in the document

	mu      sync.Mutex
	schemas map[schemaKey]*jsonschema.Schema
}

type schemaKey struct {
	schema *openapi3.Schema
	strict bool
}

// Load reads a document, and checks that it is one and that its examples are what it says of them.
func Load(document []byte) (*Description, error) {
	doc, err := openapi3.NewLoader().LoadFromData(document)
	if err != nil {
		return nil, fmt.Errorf("reading the description: %w", err)
	}
	if err := doc.Validate(context.Background(), openapi3.EnableExamplesValidation(), openapi3.EnableMultiError()); err != nil {
		return nil, fmt.Errorf("the description is not valid: %w", err)
	}
	var raw struct {
		Components any `json:"components"`
	}
	if err := json.Unmarshal(document, &raw); err != nil {
		return nil, err
	}
	return &Description{Doc: doc, components: raw.Components, schemas: make(map[schemaKey]*jsonschema.Schema)}, nil
}

// Exchange is a request and its answer.
type Exchange struct {
	Method string
	Target string // path and query, as they were sent
	Header http.Header
	Body   []byte // nil if it is not known

	Status       int
	AnswerHeader http.Header
	Answer       []byte
	Cut          bool // the answer's body is not whole
}

// Find returns the documented path that a request's target means, or nil. Only the plain spelling of a path is one.
func (d *Description) Find(target string) (template string, item *openapi3.PathItem, id string) {
	u, err := url.ParseRequestURI(target)
	if err != nil || u.RawPath != "" || path.Clean(u.Path) != u.Path {
		return "", nil, ""
	}
	if item := d.Doc.Paths.Value(u.Path); item != nil {
		return u.Path, item, ""
	}
	dir, last := path.Split(u.Path)
	for template, item := range d.Doc.Paths.Map() {
		if before, _, ok := strings.Cut(template, "{"); ok && before == dir && last != "" {
			return template, item, last
		}
	}
	return "", nil, ""
}

// Check tells what of an exchange is not described: an answer, or that a request was accepted which should not be one.
func (d *Description) Check(e Exchange) error {
	answers := d.answers(e)
	var faults []error
	for _, answer := range answers {
		fault := d.checkAnswer(e, answer)
		if fault == nil {
			faults = nil
			break
		}
		faults = append(faults, fault)
	}
	if len(answers) == 0 {
		faults = append(faults, errors.New("this status is not described"))
	}
	if e.Status < http.StatusBadRequest && e.Body != nil {
		if err := d.CheckRequest(e); err != nil {
			faults = append(faults, fmt.Errorf("it should not have been accepted: %w", err))
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%s %.100s: %d: %w", e.Method, e.Target, e.Status, errors.Join(faults...))
	}
	return nil
}

// answers are the descriptions of which an answer must meet one.
func (d *Description) answers(e Exchange) (answers []*openapi3.Response) {
	common := d.Doc.Components.Responses
	if e.Status == http.StatusInternalServerError { // any request may meet a defect
		return []*openapi3.Response{common["Broken"].Value}
	}
	_, item, _ := d.Find(e.Target)
	if item == nil {
		if e.Status == http.StatusNotFound {
			answers = append(answers, common["NothingHere"].Value)
		}
		return answers
	}
	if operation := item.Operations()[e.Method]; operation != nil {
		if answer := operation.Responses.Value(fmt.Sprint(e.Status)); answer != nil {
			answers = append(answers, answer.Value)
		}
		return answers
	}
	switch e.Status {
	case http.StatusMethodNotAllowed:
		answers = append(answers, common["MethodNotAllowed"].Value)
	case http.StatusNotFound: // where the path itself may be missing
		for _, operation := range item.Operations() {
			if answer := operation.Responses.Value("404"); answer != nil && answer.Value == common["NothingHere"].Value {
				return append(answers, answer.Value)
			}
		}
	}
	return answers
}

func (d *Description) checkAnswer(e Exchange, answer *openapi3.Response) error {
	var faults []error
	for name, values := range e.AnswerHeader {
		switch name {
		case "Content-Type", "Content-Length", "Date", "Connection", "Transfer-Encoding":
			continue // HTTP's own; the type is checked below
		}
		header := findHeader(answer.Headers, name)
		if header == nil {
			faults = append(faults, fmt.Errorf("the header %s is not described", name))
			continue
		}
		if err := d.valid(header.Schema, false, strings.Join(values, ", ")); err != nil {
			faults = append(faults, fmt.Errorf("the header %s: %w", name, err))
		}
	}
	for name, header := range answer.Headers {
		if header.Value.Required && e.AnswerHeader.Get(name) == "" {
			faults = append(faults, fmt.Errorf("the header %s is missing", name))
		}
	}
	if err := d.checkBody(e, answer.Content); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

func findHeader(headers openapi3.Headers, name string) *openapi3.Header {
	for described, header := range headers {
		if strings.EqualFold(described, name) {
			return header.Value
		}
	}
	return nil
}

func (d *Description) checkBody(e Exchange, content openapi3.Content) error {
	contentType := e.AnswerHeader.Get("Content-Type")
	if len(content) == 0 {
		if contentType != "" || len(e.Answer) > 0 {
			return fmt.Errorf("there should be no body, and it is %s of %d bytes", contentType, len(e.Answer))
		}
		return nil
	}
	media := content[contentType]
	switch {
	case media == nil:
		return fmt.Errorf("the type %q is not described", contentType)
	case e.Method == http.MethodHead:
		if len(e.Answer) > 0 {
			return errors.New("a HEAD is answered with a body")
		}
		return nil
	case e.Cut || media.Schema == nil:
		return nil
	}
	body, err := plainBody(e)
	if err != nil {
		return err
	}
	var value any = string(body)
	if strings.HasSuffix(contentType, "json") {
		if value, err = jsonValue(body); err != nil {
			return err
		}
	}
	if err := d.valid(media.Schema, true, value); err != nil {
		return fmt.Errorf("the body: %w", err)
	}
	return nil
}

func plainBody(e Exchange) ([]byte, error) {
	if e.AnswerHeader.Get("Content-Encoding") != "gzip" {
		return e.Answer, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(e.Answer))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// CheckRequest tells what of a request is not described.
func (d *Description) CheckRequest(e Exchange) error {
	_, item, last := d.Find(e.Target)
	if item == nil {
		return errors.New("the path is not described")
	}
	operation := item.Operations()[e.Method]
	if operation == nil {
		return errors.New("the method is not described")
	}
	for _, ref := range slices.Concat(item.Parameters, operation.Parameters) {
		parameter, value := ref.Value, last
		if parameter.In == "header" {
			value = e.Header.Get(parameter.Name)
		}
		if value == "" && !parameter.Required {
			continue
		}
		if err := d.valid(parameter.Schema, false, value); err != nil {
			return fmt.Errorf("%s: %w", parameter.Name, err)
		}
	}
	if operation.RequestBody == nil {
		return nil
	}
	body, err := jsonValue(e.Body)
	if err != nil {
		return err
	}
	return d.valid(operation.RequestBody.Value.Content["application/json"].Schema, false, body)
}

// jsonValue reads JSON (RFC 8259), which is UTF-8.
func jsonValue(text []byte) (any, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("the body is not UTF-8")
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("the body is not JSON: %w", err)
	}
	return value, nil
}

// valid checks a value against a schema. Strictly, objects have no properties but those that are described.
func (d *Description) valid(schema *openapi3.SchemaRef, strict bool, value any) error {
	if schema == nil {
		return nil
	}
	compiled, err := d.compile(schema, strict)
	if err != nil {
		return err
	}
	return compiled.Validate(value)
}

func (d *Description) compile(schema *openapi3.SchemaRef, strict bool) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := schemaKey{schema.Value, strict}
	if compiled := d.schemas[key]; compiled != nil {
		return compiled, nil
	}
	raw, err := json.Marshal(schema)
	if err != nil {
		return nil, err
	}
	components, err := json.Marshal(d.components)
	if err != nil {
		return nil, err
	}
	resource, err := jsonschema.UnmarshalJSON(strings.NewReader(
		fmt.Sprintf(`{"allOf": [%s], "components": %s}`, raw, components))) // so that references find their schemas
	if err != nil {
		return nil, err
	}
	if strict {
		closeObjects(resource)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("schema.json", resource); err != nil {
		return nil, err
	}
	compiled, err := compiler.Compile("schema.json")
	if err != nil {
		return nil, fmt.Errorf("a schema of the description: %w", err)
	}
	d.schemas[key] = compiled
	return compiled, nil
}

// closeObjects lets schemas of objects allow no other properties, unless they say that they do.
func closeObjects(node any) {
	switch node := node.(type) {
	case map[string]any:
		_, properties := node["properties"].(map[string]any)
		if _, said := node["additionalProperties"]; properties && !said {
			node["additionalProperties"] = false
		}
		for _, child := range node {
			closeObjects(child)
		}
	case []any:
		for _, child := range node {
			closeObjects(child)
		}
	}
}
