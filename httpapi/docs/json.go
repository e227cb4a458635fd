// Package docs makes of an OpenAPI description, written in YAML, what programs and people read.
package docs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"
)

// JSON is a description in JSON, in the order in which it is written.
func JSON(description []byte) ([]byte, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(description, &document); err != nil {
		return nil, fmt.Errorf("reading the API's description: %w", err)
	}
	var b bytes.Buffer
	err := writeJSON(&b, &document)
	return b.Bytes(), err
}

// writeJSON writes what a node of YAML stands for.
func writeJSON(b *bytes.Buffer, node *yaml.Node) error {
	switch node.Kind {
	case yaml.DocumentNode:
		return writeJSON(b, node.Content[0])
	case yaml.AliasNode:
		return writeJSON(b, node.Alias)
	case yaml.MappingNode:
		separator := byte('{')
		for _, m := range members(node) {
			b.WriteByte(separator)
			separator = ','
			if err := writeValue(b, m.name); err != nil {
				return err
			}
			b.WriteByte(':')
			if err := writeJSON(b, m.value); err != nil {
				return err
			}
		}
		if separator == '{' {
			b.WriteByte('{')
		}
		b.WriteByte('}')
		return nil
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, item := range node.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeJSON(b, item); err != nil {
				return err
			}
		}
		b.WriteByte(']')
		return nil
	default:
		var value any
		if err := node.Decode(&value); err != nil {
			return fmt.Errorf("line %d: %w", node.Line, err)
		}
		return writeValue(b, value)
	}
}

func writeValue(b *bytes.Buffer, value any) error {
	encoder := json.NewEncoder(b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the line's end
	return nil
}

// member is one entry of a mapping.
type member struct {
	name  string
	value *yaml.Node
}

// members lists a mapping's entries in order. What is merged into it (<<) comes where that is written, and is replaced by
// what is written after it.
func members(node *yaml.Node) (list []member) {
	switch node.Kind {
	case yaml.AliasNode:
		return members(node.Alias)
	case yaml.SequenceNode: // several that are merged: the first counts
		for _, item := range slices.Backward(node.Content) {
			list = append(list, members(item)...)
		}
		return list
	}
	add := func(m member) {
		for i := range list {
			if list[i].name == m.name {
				list[i] = m
				return
			}
		}
		list = append(list, m)
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Tag != "!!merge" {
			add(member{key.Value, value})
			continue
		}
		for _, m := range members(value) {
			add(m)
		}
	}
	return list
}

// ordered is a mapping whose order is kept.
type ordered[T any] []named[T]

type named[T any] struct {
	Name  string
	Value T
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (o *ordered[T]) UnmarshalYAML(node *yaml.Node) error {
	for _, m := range members(node) {
		entry := named[T]{Name: m.name}
		if err := m.value.Decode(&entry.Value); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		*o = append(*o, entry)
	}
	return nil
}
