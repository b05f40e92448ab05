package metricsapi

import (
	"encoding/json"
	"io"
	"slices"
	"strconv"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// part is how much of an answer is written at a time.
const part = 32 << 10

// writeJSON writes the list as the library would. Its first write is one byte: that tells the library's writer that more will come, which it
// then packs if there is enough of it.
func (l *podList) writeJSON(w io.Writer, apiVersion string) error {
	if _, err := w.Write([]byte{'{'}); err != nil {
		return err
	}
	b := make([]byte, 0, part+part/2)
	b = append(b, `"kind":"PodMetricsList","apiVersion":`...)
	b = appendString(b, apiVersion)
	b = append(b, `,"metadata":{},"items":[`...)
	asked := l.asked.UTC().AppendFormat(nil, `,"creationTimestamp":"`+time.RFC3339+`"`)
	var keys []string
	for i := range l.rows {
		if i > 0 {
			b = append(b, ',')
		}
		row := &l.rows[i]
		b = append(b, `{"metadata":{"name":`...)
		b = appendString(b, row.pod.Name)
		if row.pod.Namespace != "" {
			b = append(b, `,"namespace":`...)
			b = appendString(b, row.pod.Namespace)
		}
		b = append(b, asked...)
		b, keys = appendLabels(b, keys, row.pod)
		b = append(b, `},"timestamp":"`...)
		b = row.at.UTC().AppendFormat(b, time.RFC3339)
		b = append(b, `","window":"`...)
		b = append(b, row.window.String()...)
		b = append(b, `","containers":[`...)
		for k := range row.used {
			if k > 0 {
				b = append(b, ',')
			}
			b = append(b, `{"name":`...)
			b = appendString(b, row.used[k].Name)
			b = append(b, `,"usage":{"cpu":"`...)
			b = appendNano(b, nanoCores(row.used[k].CPU))
			b = append(b, `","memory":"`...)
			b = appendBytes(b, wholeBytes(row.used[k].Memory))
			b = append(b, `"}}`...)
		}
		b = append(b, ']', '}')
		if len(b) >= part {
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	_, err := w.Write(append(b, "]}\n"...))
	return err
}

// appendLabels appends a pod's labels in order. keys is room for them.
func appendLabels(b []byte, keys []string, p *cluster.Pod) (out []byte, room []string) {
	if len(p.Labels) == 0 {
		return b, keys
	}
	keys = labelKeys(keys, p)
	b = append(b, `,"labels":{`...)
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, k), ':')
		b = appendString(b, p.Labels[k])
	}
	return append(b, '}'), keys
}

// labelKeys are the names of a pod's labels in order. room is what they may take.
func labelKeys(room []string, p *cluster.Pod) []string {
	room = room[:0]
	for k := range p.Labels {
		room = append(room, k)
	}
	slices.Sort(room)
	return room
}

// appendString appends a string in quotes.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			text, _ := json.Marshal(s) // a string can always be
			return append(b, text...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// appendNano appends billionths as Kubernetes writes a decimal quantity.
func appendNano(b []byte, n int64) []byte {
	if n == 0 {
		return append(b, '0')
	}
	suffix := 0
	for n%1000 == 0 {
		n /= 1000
		suffix++
	}
	b = strconv.AppendInt(b, n, 10)
	return append(b, [...]string{"n", "u", "m", "", "k", "M", "G"}[suffix]...)
}

// appendBytes appends an amount that is not negative as Kubernetes writes a binary quantity: one below 1024 is decimal.
func appendBytes(b []byte, n int64) []byte {
	switch {
	case n == 1000:
		return append(b, "1k"...)
	case n < 1024:
		return strconv.AppendInt(b, n, 10)
	}
	suffix := 0
	for n%1024 == 0 {
		n /= 1024
		suffix++
	}
	b = strconv.AppendInt(b, n, 10)
	return append(b, [...]string{"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"}[suffix]...)
}
