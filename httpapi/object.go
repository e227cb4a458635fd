package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
)

var errObject = errors.New("not an object of these fields, each once at most")

// readObject reads a JSON object into a struct, and nothing that leaves a doubt about what was meant: a field that is
// not known, one that is there twice, or spelled in other letters (encoding/json takes all three).
func readObject(raw []byte, value any, fields []string) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if first, err := decoder.Token(); err != nil || first != json.Delim('{') {
		return errObject
	}
	left := slices.Clone(fields)
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return errObject
		}
		i := slices.IndexFunc(left, func(field string) bool { return key == field })
		if i < 0 {
			return errObject
		}
		left = slices.Delete(left, i, i+1)
		var field json.RawMessage
		if err := decoder.Decode(&field); err != nil {
			return errObject
		}
	}
	return json.Unmarshal(raw, value) // which refuses what may follow, too
}
