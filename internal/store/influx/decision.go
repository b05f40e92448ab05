package influx

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// Fields of the measurement decision. Texts are mapped as tag values are (see [LabelValue]); FieldDetail is the
// detail, read by [DecodeDetail].
const (
	FieldAPIVersion = "api_version" // of the target
	FieldAction     = "action"
	FieldFrom       = "from"
	FieldTo         = "to"
	FieldReason     = "reason"
	FieldMessage    = "message"
	FieldDetail     = "detail"
	// FieldTime is the decision's exact time, Unix nanoseconds as text: a point's time has milliseconds only.
	FieldTime = "time_exact"
)

// maxText is the most bytes of a text field: InfluxDB keeps strings up to 64 KiB.
const maxText = 60 << 10

// EncodeDecision appends a decision's line with its line break. It refuses a decision without a target or a usable time. A detail
// that is too long is left out, a message cut.
func EncodeDecision(dst []byte, name string, d cluster.Decision) ([]byte, error) {
	t := d.Time.UnixMilli()
	if t <= 0 || d.Time.Year() > 2200 {
		return dst, fmt.Errorf("cannot write decision about %q: time %q is out of range", d.Name, d.Time)
	}
	dst = append(dst, Decision...)
	for _, x := range [...]struct{ name, v string }{{TagCluster, name}, {TagNamespace, d.Namespace}, {TagWorkload, d.Name}, {TagWorkloadKind, d.Kind}} {
		if x.v != "" {
			dst = append(append(append(dst, ','), x.name...), '=')
			dst = appendTag(dst, TagValue(x.v))
		}
	}
	dst = append(dst, " from="...)
	dst = strconv.AppendInt(dst, int64(d.From), 10)
	dst = append(dst, ",to="...)
	dst = strconv.AppendInt(dst, int64(d.To), 10)
	text := func(name, v string) {
		if v == "" {
			return
		}
		if len(v) > maxText {
			v = v[:maxText]
		}
		dst = append(append(append(dst, ','), name...), '=')
		dst = appendString(dst, strings.ToValidUTF8(v, "\uFFFD"))
	}
	text(FieldAPIVersion, d.APIVersion)
	text(FieldAction, d.Action)
	text(FieldReason, d.Reason)
	text(FieldMessage, d.Message)
	if ns := d.Time.UnixNano() % 1e6; ns != 0 {
		text(FieldTime, strconv.FormatInt(d.Time.UnixNano(), 10))
	}
	if n := base64.StdEncoding.EncodedLen(len(d.Detail)); n > 0 && n <= maxText {
		text(FieldDetail, encodeDetail(d.Detail))
	}
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, t, 10)
	return append(dst, '\n'), nil
}

// base64Mark stands before a detail that is written in base64.
const base64Mark = "base64:"

// encodeDetail writes JSON in one line as it is, so that it can be read in the database, and everything else in base64.
func encodeDetail(d []byte) string {
	s := string(d)
	simple := utf8.ValidString(s) && !strings.HasPrefix(s, base64Mark)
	for i := 0; simple && i < len(s); i++ {
		simple = s[i] >= 0x20
	}
	if simple {
		return s
	}
	return base64Mark + base64.StdEncoding.EncodeToString(d)
}

// DecodeDetail is the detail that was written as the field's value v, byte by byte.
func DecodeDetail(v string) ([]byte, error) {
	rest, ok := strings.CutPrefix(v, base64Mark)
	if !ok {
		if v == "" {
			return nil, nil
		}
		return []byte(v), nil
	}
	d, err := base64.StdEncoding.DecodeString(rest)
	if err != nil {
		return nil, fmt.Errorf("cannot decode the detail of a decision: %w", err)
	}
	return d, nil
}
