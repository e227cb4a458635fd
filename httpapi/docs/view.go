package docs

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// view is what page.html shows.
type view struct {
	Site

	Summary, Description string
	EveryAnswer          []viewField
	Groups               []viewGroup
	Shapes               []viewShape
}

type viewGroup struct {
	ID, Name, Description string
	Brief                 bool
	Operations            []viewOperation
}

type viewOperation struct {
	ID, HeadID           string // HeadID: HEAD is answered alike
	Method, Path         string
	Summary, Description string
	Parameters           []viewField
	Body                 *viewShape
	Examples             []viewExample
	Answers              []viewAnswer
}

type viewField struct {
	Name, Type, Shape, Description string
	Required                       bool
}

type viewShape struct {
	Name, Description string
	Fields            []viewField
}

type viewExample struct{ Summary, Text string }

type viewAnswer struct {
	Status, Text, Description, Shape string
	Headers                          []viewField
	Example                          string
}

func (d *description) view() view {
	v := view{Summary: d.Info.Summary, Description: d.Info.Description}
	for _, h := range d.CommonHeaders {
		v.EveryAnswer = append(v.EveryAnswer, d.headerField(h.Name, h.Value))
	}
	for _, tag := range d.Tags {
		v.Groups = append(v.Groups, viewGroup{
			ID: strings.ReplaceAll(strings.ToLower(tag.Name), " ", "-"), Name: tag.Name, Description: tag.Description, Brief: tag.Brief, Operations: d.operations(tag.Name),
		})
	}
	for _, s := range d.Components.Schemas {
		if len(s.Value.Properties) > 0 && !v.hasBody(s.Name) {
			v.Shapes = append(v.Shapes, d.shape(s.Name, s.Value))
		}
	}
	return v
}

// hasBody tells whether a shape is shown as an operation's body.
func (v view) hasBody(shape string) bool {
	return slices.ContainsFunc(v.Groups, func(g viewGroup) bool {
		return slices.ContainsFunc(g.Operations, func(o viewOperation) bool { return o.Body != nil && o.Body.Name == shape })
	})
}

func (d *description) headerField(name string, h header) viewField {
	h = d.header(h)
	return viewField{Name: name, Type: h.Schema.values(), Description: h.Description}
}

// operations are those of a tag. A HEAD that is answered like the GET is named with that.
func (d *description) operations(tag string) (list []viewOperation) {
	for _, path := range d.Paths {
		item := path.Value
		for _, o := range []struct {
			method string
			*operation
		}{
			{http.MethodGet, item.Get}, {http.MethodPost, item.Post}, {http.MethodHead, item.Head}, {http.MethodDelete, item.Delete},
			{http.MethodOptions, item.Options},
		} {
			switch {
			case o.operation == nil || !slices.Contains(o.Tags, tag):
			case o.method == http.MethodHead && o.Summary == item.Get.Summary:
				list[len(list)-1].HeadID = o.ID
			default:
				list = append(list, d.operation(o.method, path.Name, item.Parameters, o.operation))
			}
		}
	}
	return list
}

func (d *description) operation(method, path string, common []parameter, o *operation) viewOperation {
	view := viewOperation{ID: o.ID, Method: method, Path: path, Summary: o.Summary, Description: o.Description}
	optional := slices.ContainsFunc(o.Security, func(schemes ordered[[]string]) bool { return len(schemes) == 0 })
	for _, schemes := range o.Security {
		for _, scheme := range schemes {
			view.Parameters = append(view.Parameters, viewField{
				Name: "Authorization", Type: "Bearer <token>", Required: !optional,
				Description: d.Components.SecuritySchemes[scheme.Name].Description,
			})
		}
	}
	parameters := slices.Concat(common, o.Parameters)
	for i, p := range parameters {
		p = d.parameter(p)
		parameters[i] = p
		view.Parameters = append(view.Parameters, viewField{
			Name: p.Name, Type: d.typeText(p.Schema), Description: p.Description, Required: p.Required,
		})
	}
	call := curl{method: method, path: path, parameters: parameters}
	if len(o.Security) > 0 && len(o.Security[0]) > 0 {
		call.token = o.Security[0][0].Name
	}
	for _, content := range o.RequestBody.Content {
		body := d.shape(content.Value.Schema.name(), d.schema(content.Value.Schema))
		view.Body = &body
		for _, e := range content.Value.Examples {
			view.Examples = append(view.Examples, viewExample{e.Value.Summary, call.text(e.Value.Value.json)})
		}
	}
	if view.Body == nil {
		view.Examples = []viewExample{{Text: call.text(nil)}}
	}
	for _, r := range o.Responses {
		view.Answers = append(view.Answers, d.answer(r.Name, d.response(r.Value)))
	}
	slices.SortFunc(view.Answers, func(a, b viewAnswer) int { return strings.Compare(a.Status, b.Status) })
	return view
}

func (d *description) answer(status string, r response) viewAnswer {
	code, _ := strconv.Atoi(status) // what is no number has no text
	view := viewAnswer{Status: status, Text: http.StatusText(code), Description: r.Description}
	for _, h := range r.Headers {
		common := func(e named[header]) bool { return e.Name == h.Name && e.Value.Ref == h.Value.Ref }
		if !slices.ContainsFunc(d.CommonHeaders, common) {
			view.Headers = append(view.Headers, d.headerField(h.Name, h.Value))
		}
	}
	if code >= http.StatusBadRequest {
		return view // errors are all alike
	}
	for _, content := range r.Content {
		if shape := d.schema(content.Value.Schema); len(shape.Properties) > 0 && content.Value.Schema.Ref != "" {
			view.Shape = content.Value.Schema.name()
		}
		if view.Example == "" {
			view.Example = content.Value.example().indented()
		}
	}
	return view
}

func (d *description) shape(name string, s schema) viewShape {
	shape := viewShape{Name: name, Description: s.Description}
	for _, p := range s.Properties {
		field := viewField{
			Name: p.Name, Type: d.typeText(p.Value), Description: p.Value.Description, Required: slices.Contains(s.Required, p.Name),
		}
		of := p.Value
		if len(of.AnyOf) > 0 {
			of = of.AnyOf[0]
		}
		switch resolved := d.schema(of); {
		case of.Ref != "" && len(resolved.Properties) > 0:
			field.Shape = of.name()
		case field.Description == "":
			field.Description = resolved.Description
		}
		shape.Fields = append(shape.Fields, field)
		if of.Ref == "" {
			for _, inner := range d.shape("", of).Fields { // a shape without a name is shown with its parent's
				inner.Name = p.Name + "." + inner.Name
				shape.Fields = append(shape.Fields, inner)
			}
		}
	}
	return shape
}

// typeText says in a few words what values a schema allows.
func (d *description) typeText(s schema) string {
	if s = d.schema(s); len(s.AnyOf) > 0 {
		return d.typeText(s.AnyOf[0])
	}
	text := strings.Join(s.Type, " or ")
	if text == "string" {
		return "" // as most are
	}
	if s.Items != nil {
		text = strings.Replace(text, "array", "list", 1)
	}
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		text += fmt.Sprintf(", %d to %d", *s.Minimum, *s.Maximum)
	case s.Minimum != nil:
		text += fmt.Sprintf(", %d at least", *s.Minimum)
	case s.MaxItems > 0:
		text += fmt.Sprintf(", %d at most", s.MaxItems)
	}
	return text
}
