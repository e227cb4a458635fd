package apitest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// Generator makes values from the description's schemas, and breaks them. The same seed makes the same ones.
type Generator struct {
	*rand.Rand
	description *Description
}

// NewGenerator returns one.
func (d *Description) NewGenerator(seed uint64) *Generator {
	return &Generator{rand.New(rand.NewPCG(seed, seed)), d}
}

// Pick returns one of the values.
func Pick[T any](g *Generator, values ...T) T { return values[g.IntN(len(values))] }

// Value makes a value that a schema allows. name is that of the property, whose texts are more than a schema can say.
func (g *Generator) Value(name string, ref *openapi3.SchemaRef) any {
	schema := ref.Value
	if len(schema.AnyOf) > 0 {
		return g.Value(name, schema.AnyOf[g.mostlyFirst(len(schema.AnyOf))])
	}
	types := schema.Type.Slice()
	switch types[g.mostlyFirst(len(types))] {
	case "object":
		object := make(map[string]any)
		for _, property := range slices.Sorted(maps.Keys(schema.Properties)) {
			if slices.Contains(schema.Required, property) || g.IntN(2) == 0 {
				object[property] = g.Value(property, schema.Properties[property])
			}
		}
		return object
	case "array":
		list := []any{}
		for range g.IntN(4) {
			list = append(list, g.Value(name, schema.Items))
		}
		return list
	case "integer":
		return g.integer(name, schema)
	case "string":
		return g.text(name)
	case "boolean":
		return g.IntN(2) == 0
	default:
		return nil
	}
}

// mostlyFirst chooses one of n, the first more often than all others: these are null.
func (g *Generator) mostlyFirst(n int) int {
	if g.IntN(5) > 0 {
		return 0
	}
	return g.IntN(n)
}

func (g *Generator) integer(name string, schema *openapi3.Schema) int64 {
	least, most := int64(0), int64(1)<<40
	if schema.Min != nil {
		least = int64(*schema.Min)
	}
	if schema.Max != nil {
		most = int64(*schema.Max)
	}
	if name == "expires_in" { // the configuration says the rest
		most = 7 * 24 * 60 * 60
	}
	return Pick(g, least, most, least+g.Int64N(most-least+1))
}

func (g *Generator) text(name string) string {
	switch name {
	case "data":
		return base64.StdEncoding.EncodeToString(g.bytes(1 + g.IntN(Pick(g, 4, 200, 20_000))))
	case "passphrase_hash":
		return hex.EncodeToString(g.bytes(32))
	case "allowed_ips":
		return Pick(g, "127.0.0.1", "0.0.0.0/0", "::/0", "192.0.2.0/24", "2001:db8::1", "::ffff:192.0.2.1", "10.1.2.3/8", "2001:DB8::/32")
	case "allowed_countries":
		return Pick(g, "DE", "FR", "JP", "ZA")
	default:
		return g.OddText()
	}
}

func (g *Generator) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	return b
}

// OddText is a text that people or programs might send where something else is wanted.
func (g *Generator) OddText() string {
	return Pick(g,
		"", " ", "0", "-1", "null", "undefined", "true", "NaN", "[]", "{}", "../../etc/passwd", "%00", "' OR 1=1 --", "<script>alert(1)</script>",
		"儚い", "пароль", "😀", "e\u0301", "\u202e\u2066", "\u0000", "\ufeff", "\\u0000", "QUJD", "QUJD=", "QU==", "QQ=", "QUJ_", "====", "QUJD\n",
		"1.2.3.4/33", "1.2.3.4.5", "::1%eth0", "01.2.3.4", "de", "ZZ", "DEU", strings.Repeat("f", 64), strings.Repeat("F", 64), strings.Repeat("f", 63),
		strings.Repeat("x", 1+g.IntN(3000)), string(g.bytes(1+g.IntN(20))),
	)
}

// odd is any JSON value but the one that is wanted.
func (g *Generator) odd() any {
	if g.IntN(8) == 0 {
		return nil // which Go's decoders take for almost anything
	}
	return Pick[any](g,
		true, false, g.OddText(), []any{}, []any{nil}, []any{g.OddText()}, []any{1, "x"}, map[string]any{}, map[string]any{"x": nil}, map[string]any{"error": 1},
		0, -1, 1, 60, 1<<31, json.Number("9223372036854775807"), json.Number("9223372036854775808"), json.Number("-9223372036854775809"), json.Number("18446744073709551616"),
		json.Number("1.5"), json.Number("60.0"), json.Number("1e3"), json.Number("-0"), json.Number("1e400"), json.Number("1"+strings.Repeat("0", 400)), 4294967296,
	)
}

// Body makes the JSON of a request's body, changed as often as changes says, and tells whether the description allows it.
func (g *Generator) Body(schema *openapi3.SchemaRef, changes int) (text []byte, allowed bool) {
	value := g.Value("", schema)
	for range changes {
		value = g.change(value)
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // it is made of nothing else
	}
	if changes > 0 && g.IntN(3) == 0 {
		text = g.garble(text)
	}
	return text, g.allowed(schema, text)
}

// change puts an odd value somewhere in a value, takes something away, or adds it. It mostly goes where values are nested.
func (g *Generator) change(value any) any {
	switch value := value.(type) {
	case map[string]any:
		keys := slices.Sorted(maps.Keys(value))
		nested := slices.DeleteFunc(slices.Clone(keys), func(key string) bool {
			switch value[key].(type) {
			case map[string]any, []any:
				return false
			}
			return true
		})
		switch at := g.IntN(10); {
		case at < 5 && len(nested) > 0:
			key := Pick(g, nested...)
			value[key] = g.change(value[key])
		case at < 7 && len(keys) > 0:
			value[Pick(g, keys...)] = g.odd()
		case at < 8 && len(keys) > 0:
			delete(value, Pick(g, keys...))
		case at < 9:
			value[Pick(g, "x", "", "Data", "DATA", "passphrase", "expires_at", "allowed_ip", "restrictions", "ttl_seconds", "ﬁ", g.OddText())] = g.odd()
		default:
			return g.odd()
		}
		return value
	case []any:
		switch {
		case len(value) > 0 && g.IntN(2) == 0:
			value[g.IntN(len(value))] = g.odd()
			return value
		case g.IntN(8) == 0:
			return slices.Repeat([]any{Pick[any](g, "192.0.2.1", "DE", 64512)}, 300)
		default:
			return append(value, g.odd())
		}
	default:
		return g.odd()
	}
}

// garble makes something of a JSON text that mostly is none, or says a thing twice.
func (g *Generator) garble(text []byte) []byte {
	switch g.IntN(9) {
	case 0:
		return text[:g.IntN(len(text))]
	case 1:
		return append(text, Pick(g, "x", "{}", ",", "\x00", "]", "}")...)
	case 2:
		return append([]byte(Pick(g, "\ufeff", "x", "[", "\x00", ")]}',\n")), text...)
	case 3:
		at := g.IntN(len(text))
		text[at] = byte(g.Uint32())
		return text
	case 4:
		return bytes.ReplaceAll(text, []byte(`"`), []byte(`'`))
	case 5:
		return bytes.Replace(text, []byte(`{`), []byte(`{"data":"QUJD","ttl_seconds":60,"data":"QUJD","ttl_seconds":60,`), 1)
	case 6:
		return []byte(strings.Repeat(`{"x":`, 200) + "1" + strings.Repeat("}", 200))
	case 7:
		return g.bytes(g.IntN(300))
	default:
		return bytes.ReplaceAll(text, []byte(`:`), []byte(` : `))
	}
}

// allowed tells whether the description allows a body: JSON in which no field is there twice, and that the schema allows.
func (g *Generator) allowed(schema *openapi3.SchemaRef, text []byte) bool {
	value, err := jsonValue(text)
	return err == nil && !repeats(json.NewDecoder(bytes.NewReader(text))) && g.description.valid(schema, false, value) == nil
}

// repeats tells whether a field of the object that a decoder comes to is there twice.
func repeats(decoder *json.Decoder) bool {
	if first, err := decoder.Token(); err != nil || first != json.Delim('{') {
		return false
	}
	seen := make(map[any]bool)
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil || seen[key] {
			return err == nil
		}
		seen[key] = true
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return false
		}
		if repeats(json.NewDecoder(bytes.NewReader(value))) && key == "restrictions" {
			return true
		}
	}
	return false
}
