package strict

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// maxNodes bounds what one document may hold, aliases followed.
const maxNodes = 1 << 18

// Decode reads the document into the struct that into points to, by its json tags. Fields that are left out keep what
// into holds. Times are RFC 3339, durations as Go writes them; types with UnmarshalJSON read themselves.
func (d *Document) Decode(into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("cannot decode into %T: not a pointer to a struct", into)
	}
	d.nodes, d.budget = map[string]*yaml.Node{}, maxNodes
	return d.decode(d.root, v.Elem(), "")
}

// At makes an error about a field that Decode has read; for a field that was left out the position is that of the nearest
// part of its path that is there.
func (d *Document) At(field string, err error) error {
	for path := field; ; {
		if n, ok := d.nodes[path]; ok {
			return d.fail(n, field, err)
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return d.fail(d.root, field, err)
		}
		path = path[:i]
	}
}

func (d *Document) fail(n *yaml.Node, field string, err error) error {
	column := n.Column
	if n.Line == 1 {
		column += d.column
	}
	return &Error{Document: d.Number, Line: d.Line + n.Line - 1, Column: column, Field: field, Err: err}
}

func (d *Document) failf(n *yaml.Node, field, format string, args ...any) error {
	return d.fail(n, field, fmt.Errorf(format, args...))
}

var (
	timeType     = reflect.TypeFor[time.Time]()
	durationType = reflect.TypeFor[time.Duration]()
	jsonType     = reflect.TypeFor[json.Unmarshaler]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// decode reads a node into v, which can be set.
func (d *Document) decode(n *yaml.Node, v reflect.Value, path string) error {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if d.budget--; d.budget < 0 {
		return d.failf(n, path, "the document holds more than %d values", maxNodes)
	}
	d.nodes[path] = n
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return d.decode(n, v.Elem(), path)
	}
	switch t := v.Type(); {
	case t == timeType:
		return decodeParsed(d, n, v, path, "time as in RFC 3339, such as 2026-01-01T00:10:00Z", parseTime)
	case t == durationType:
		return decodeParsed(d, n, v, path, "duration such as 30s or 5m", time.ParseDuration)
	case reflect.PointerTo(t).Implements(jsonType):
		return d.decodeSelf(n, v, path)
	case reflect.PointerTo(t).Implements(textType):
		return d.failf(n, path, "values of type %s cannot be read", t)
	}
	switch v.Kind() {
	case reflect.Struct:
		return d.decodeStruct(n, v, path)
	case reflect.Slice:
		return d.decodeSlice(n, v, path)
	case reflect.Map:
		return d.decodeMap(n, v, path)
	}
	return d.decodeScalar(n, v, path)
}

// decodeStruct reads a mapping by json tags.
func (d *Document) decodeStruct(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind != yaml.MappingNode {
		return d.failf(n, path, "must be a mapping, not %s", kind(n))
	}
	return d.pairs(n, path, func(key, value *yaml.Node, at string) error {
		f, ok := field(v, key.Value)
		if !ok {
			return d.failf(key, path, "unknown field %q", key.Value)
		}
		return d.decode(value, f, at)
	})
}

// pairs goes through the fields of a mapping and refuses repeated ones.
func (d *Document) pairs(n *yaml.Node, path string, each func(key, value *yaml.Node, at string) error) error {
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			return d.failf(key, path, "names of fields must be plain text")
		}
		if seen[key.Value] {
			return d.failf(key, path, "field %q is given twice", key.Value)
		}
		seen[key.Value] = true
		at := key.Value
		if path != "" {
			at = path + "." + key.Value
		}
		if err := each(key, value, at); err != nil {
			return err
		}
	}
	return nil
}

// field finds the field of a struct by its json name, in embedded structs too.
func field(v reflect.Value, name string) (reflect.Value, bool) {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case !f.IsExported() || tag == "-":
		case f.Anonymous && tag == "" && f.Type.Kind() == reflect.Struct:
			if found, ok := field(v.Field(i), name); ok {
				return found, true
			}
		case tag == name:
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func (d *Document) decodeSlice(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind != yaml.SequenceNode {
		return d.failf(n, path, "must be a list, not %s", kind(n))
	}
	out := reflect.MakeSlice(v.Type(), 0, min(len(n.Content), 1024))
	for i, item := range n.Content {
		e := reflect.New(v.Type().Elem()).Elem()
		if err := d.decode(item, e, fmt.Sprintf("%s[%d]", path, i)); err != nil {
			return err
		}
		out = reflect.Append(out, e)
	}
	v.Set(out)
	return nil
}

func (d *Document) decodeMap(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind != yaml.MappingNode {
		return d.failf(n, path, "must be a mapping, not %s", kind(n))
	}
	v.Set(reflect.MakeMap(v.Type()))
	return d.pairs(n, path, func(key, value *yaml.Node, at string) error {
		if value.Kind == yaml.ScalarNode && value.Tag == "!!null" {
			return d.failf(value, at, "has no value: give one, or leave it out") // it would be there, as zero
		}
		e := reflect.New(v.Type().Elem()).Elem()
		if err := d.decode(value, e, at); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(key.Value).Convert(v.Type().Key()), e)
		return nil
	})
}
