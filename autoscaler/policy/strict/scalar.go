package strict

import (
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"time"

	"go.yaml.in/yaml/v3"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// kind names a node for people.
func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return strconv.Quote(n.Value)
}

// decodeParsed reads what parse makes of a single value; what says how it is written.
func decodeParsed[T any](d *Document, n *yaml.Node, v reflect.Value, path, what string, parse func(string) (T, error)) error {
	t, err := parse(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil {
		return d.failf(n, path, "%s is not a %s", kind(n), what)
	}
	v.Set(reflect.ValueOf(t))
	return nil
}

func parseTime(s string) (time.Time, error) { return time.Parse(time.RFC3339Nano, s) }

// decodeSelf lets a type read itself: a scalar as a JSON string, as quantities and durations want it.
func (d *Document) decodeSelf(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind != yaml.ScalarNode {
		return d.failf(n, path, "must be a single value, not %s", kind(n))
	}
	if err := cluster.WithinReach(n.Value); err != nil {
		return d.fail(n, path, err)
	}
	text, err := json.Marshal(n.Value)
	if err == nil {
		err = v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(text)
	}
	if err != nil {
		return d.failf(n, path, "%q cannot be read: %w", n.Value, err)
	}
	return nil
}

func (d *Document) decodeScalar(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind != yaml.ScalarNode {
		return d.failf(n, path, "must be a single value, not %s", kind(n))
	}
	switch v.Kind() {
	case reflect.String:
		if n.Tag != "!!str" {
			return d.failf(n, path, "must be text; write %q with quotes", n.Value)
		}
		v.SetString(n.Value)
	case reflect.Bool:
		b, err := strconv.ParseBool(n.Value)
		if n.Tag != "!!bool" || err != nil {
			return d.failf(n, path, "%q is not true or false", n.Value)
		}
		v.SetBool(b)
	case reflect.Int, reflect.Int32, reflect.Int64:
		i, err := strconv.ParseInt(n.Value, 10, v.Type().Bits())
		switch {
		case errors.Is(err, strconv.ErrRange):
			return d.failf(n, path, "%q is too large", n.Value)
		case n.Tag != "!!int" || err != nil:
			return d.failf(n, path, "%q is not a whole number", n.Value)
		}
		v.SetInt(i)
	case reflect.Float64:
		f, err := strconv.ParseFloat(n.Value, 64)
		if (n.Tag != "!!int" && n.Tag != "!!float") || err != nil {
			return d.failf(n, path, "%q is not a number", n.Value)
		}
		v.SetFloat(f)
	default:
		return d.failf(n, path, "values of type %s cannot be read", v.Type())
	}
	return nil
}
