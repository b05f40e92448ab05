package influx

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Decision is the measurement of the autoscaler's decisions; the other measurements are called as their levels.
const Decision = "decision"

// Names of tags.
const (
	TagCluster      = "cluster"
	TagNode         = "node"
	TagNamespace    = "namespace"
	TagWorkloadKind = "workload_kind"
	TagWorkload     = "workload"
	TagPod          = "pod"
	TagContainer    = "container"
)

// Tags returns the tags that a measurement of schema v1 can have, in the order in which they are written (by name); nil for
// an unknown one.
func Tags(measurement string) []string {
	if measurement == Decision {
		measurement = metric.Workload.String()
	}
	for _, l := range metric.Levels() {
		if l.String() == measurement {
			return append([]string{TagCluster}, identity.Names(l)...)
		}
	}
	return nil
}

// Measurements returns the measurements that hold samples, smallest level first: all but decision.
func Measurements() []string {
	var out []string
	for _, l := range metric.Levels() {
		out = append(out, l.String())
	}
	return out
}

// Fields returns the fields of a level in order of the catalogue: values are the gauges and the rates, counters the
// counters themselves.
func Fields(l metric.Level) (values, counters []string) {
	for i := range metric.Rows() {
		r := metric.Get(metric.ID(i))
		switch {
		case !r.Has(l):
		case r.Kind == metric.Counter:
			counters = append(counters, r.Field)
			if r.Rate != "" {
				values = append(values, r.Rate)
			}
		default:
			values = append(values, r.Field)
		}
	}
	return values, counters
}

// MaxTag is the most bytes of a tag's value. Seven of them stay under the 65,535 bytes that InfluxDB lets a series key have.
const MaxTag = 4096

// TagValue is how a label's value is written as a tag's, and so what a reader has to ask for. Line protocol has no way to
// write a line break, nor a backslash before a comma, space or equals sign or at the end: those are written as Unicode's
// picture of them (U+240A for a line break, U+FF3C for such a backslash), as are all control characters. Bytes that are
// not UTF-8 become U+FFFD. A value longer than MaxTag is cut and ends in a hash of the whole, so that different values stay different.
func TagValue(v string) string {
	if plain(v) {
		return v
	}
	v = strings.ToValidUTF8(v, "\uFFFD")
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c < 0x20:
			b.WriteRune(0x2400 + rune(c))
		case c == 0x7f:
			b.WriteRune(0x2421)
		case c == '\\' && (i+1 == len(v) || v[i+1] == ',' || v[i+1] == ' ' || v[i+1] == '='):
			b.WriteRune(0xFF3C)
		default:
			b.WriteByte(c)
		}
	}
	return cut(b.String())
}

// cut shortens a value that is too long.
func cut(v string) string {
	if len(v) <= MaxTag {
		return v
	}
	h := hash(v)
	end := MaxTag - 20
	for end > 0 && !utf8.RuneStart(v[end]) {
		end--
	}
	if v[end-1] == '\\' {
		end--
	}
	return fmt.Sprintf("%s…%016x", v[:end], h)
}

// hash is 64-bit FNV-1a.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// plain says whether TagValue leaves a value as it is, for the common case.
func plain(v string) bool {
	if len(v) > MaxTag {
		return false
	}
	for i := 0; i < len(v); i++ {
		if c := v[i]; c < 0x20 || c >= 0x7f || c == '\\' {
			return false
		}
	}
	return true
}

// LabelValue is the label's value that was written as the tag's value v: the reverse of TagValue, except for what was cut or
// was not UTF-8.
func LabelValue(v string) string {
	for i := 0; i < len(v); i++ {
		if v[i] == 0xe2 || v[i] == 0xef { // the first byte of a picture, and of U+FF3C
			return pictures(v)
		}
	}
	return v
}

func pictures(v string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 0x2400 && r < 0x2420:
			return r - 0x2400
		case r == 0x2421:
			return 0x7f
		case r == 0xFF3C:
			return '\\'
		}
		return r
	}, v)
}

// appendTag appends a tag's value, mapped by TagValue, with line protocol's escapes.
func appendTag(dst []byte, v string) []byte {
	for i := 0; i < len(v); i++ {
		if c := v[i]; c == ',' || c == ' ' || c == '=' {
			dst = append(dst, '\\')
		}
		dst = append(dst, v[i])
	}
	return dst
}

// appendString appends a string field's value with its quotes. Line breaks are mapped as in TagValue, since a line must stay one.
func appendString(dst []byte, v string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(v); i++ {
		switch c := v[i]; {
		case c < 0x20:
			dst = utf8.AppendRune(dst, 0x2400+rune(c))
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
