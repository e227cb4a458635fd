package httpapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"hakanai/httpapi/api"
	"hakanai/httpapi/docs"
)

func TestTheDescriptionIsOneAndItsExamplesAreTrueToIt(t *testing.T) {
	if _, err := described(); err != nil {
		t.Fatal(err)
	}
}

// TestRoutesAndDescriptionAreTheSame compares paths and methods, of which neither may have more.
func TestRoutesAndDescriptionAreTheSame(t *testing.T) {
	description, err := described()
	if err != nil {
		t.Fatal(err)
	}
	s := newFullSite(t)
	routes := make(map[string]bool)
	for _, pattern := range s.server.mux.patterns {
		switch {
		case pattern == "/", slices.Contains(undescribed, pattern):
		case strings.HasPrefix(pattern, "/"+hashedDir):
			routes["/"+hashedDir+"{file}"] = true
		default:
			routes[strings.TrimSuffix(pattern, "{$}")] = true
		}
	}
	for path, item := range description.Doc.Paths.Map() {
		if !routes[path] {
			t.Errorf("%s is described, and is no route", path)
		}
		delete(routes, path)
		target := strings.NewReplacer("{id}", "00000000-0000-4000-8000-000000000000", "/assets/{file}", asset(t, ".css")).Replace(path)
		methods := make(map[string]bool)
		for _, agent := range []string{"hakanai-test", "Mozilla/5.0"} {
			_, _, h := s.do("QUERY", target, nil, "User-Agent", agent)
			for _, method := range strings.Split(h.Get("Allow"), ", ") {
				methods[method] = true
			}
		}
		operations := item.Operations()
		delete(operations, http.MethodOptions) // which is answered before, and only where origins are listed
		got, want := slices.Sorted(maps.Keys(methods)), slices.Sorted(maps.Keys(operations))
		if !slices.Equal(got, want) {
			t.Errorf("%s answers %s, and %s are described", path, got, want)
		}
	}
	for path := range routes {
		t.Errorf("%s is a route, and is not described", path)
	}
}

// TestOneNameForOneThing compares the fields of the description's shapes with those of the Go types.
func TestOneNameForOneThing(t *testing.T) {
	description, err := described()
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []any{
		api.CreateResponse{}, api.ErrorResponse{}, api.Restrictions{}, api.Config{}, api.Features{}, api.Limits{}, api.TokenRequest{}, api.TokenResponse{},
	} {
		name := reflect.TypeOf(value).Name()
		schema := description.Doc.Components.Schemas[name]
		if schema == nil {
			t.Errorf("there is no %s", name)
			continue
		}
		compareFields(t, name, reflect.TypeOf(value), schema.Value)
	}
}

func compareFields(t *testing.T, name string, goType reflect.Type, schema *openapi3.Schema) {
	t.Helper()
	var fields, required []string
	for i := range goType.NumField() {
		field := goType.Field(i)
		tag, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		fields = append(fields, tag)
		if options != "omitempty" {
			required = append(required, tag)
		}
		if property := schema.Properties[tag]; property != nil && field.Type.Kind() == reflect.Struct {
			compareFields(t, name+"."+tag, field.Type, property.Value)
		}
	}
	slices.Sort(fields)
	slices.Sort(required)
	if got := slices.Sorted(maps.Keys(schema.Properties)); !slices.Equal(got, fields) {
		t.Errorf("%s has %v, and in Go %v", name, got, fields)
	}
	if got := slices.Sorted(slices.Values(schema.Required)); !slices.Equal(got, required) {
		t.Errorf("%s requires %v, and in Go %v", name, got, required)
	}
}

func TestTheDescriptionIsServed(t *testing.T) {
	s := newSite(t)
	want, err := docs.JSON(openAPI)
	if err != nil || !json.Valid(want) {
		t.Fatal(err)
	}
	status, body, h := s.do(http.MethodGet, "/openapi.json", nil)
	if status != 200 || body != string(want) || h.Get("Content-Type") != "application/json" {
		t.Errorf("%d, %d bytes, %v", status, len(body), h)
	}
}
