package metricsapi

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// message appends protobuf's fields, as the library's generated code orders and writes them: those that are empty as well, but for labels.
type message struct {
	b    []byte
	keys []string // room for those of labels
}

// text appends a string.
func (m *message) text(tag byte, s string) {
	m.b = binary.AppendUvarint(append(m.b, tag), uint64(len(s)))
	m.b = append(m.b, s...)
}

// number appends a whole number.
func (m *message) number(tag byte, v int64) {
	m.b = binary.AppendUvarint(append(m.b, tag), uint64(v)) //nolint:gosec // protobuf writes a negative number as the unsigned one of the same bits
}

// begin begins a message within, which ends where end is called with what begin returned. Its length gets one byte, which is enough for nearly all.
func (m *message) begin(tag byte) (from int) {
	m.b = append(m.b, tag, 0)
	return len(m.b)
}

func (m *message) end(from int) {
	n := len(m.b) - from
	if more := sizeOf(n) - 1; more > 0 {
		m.b = append(m.b, make([]byte, more)...)
		copy(m.b[from+more:], m.b[from:from+n])
	}
	binary.PutUvarint(m.b[from-1:], uint64(n))
}

// sizeOf is how many bytes a length takes.
func sizeOf(n int) int { return (bits.Len(uint(n)|1) + 6) / 7 } //nolint:gosec // a length is not negative

// time appends a time in whole seconds, and the fraction that is never written.
func (m *message) time(tag byte, t time.Time) {
	from := m.begin(tag)
	if !t.IsZero() {
		m.number(0x08, t.Unix())
		m.number(0x10, 0)
	}
	m.end(from)
}

// quantity appends one entry of a map from resources to quantities, whose value appended writes.
func (m *message) quantity(name corev1.ResourceName, appended func([]byte, int64) []byte, v int64) {
	entry := m.begin(0x12)
	m.text(0x0a, string(name))
	value := m.begin(0x12)
	text := m.begin(0x0a)
	m.b = appended(m.b, v)
	m.end(text)
	m.end(value)
	m.end(entry)
}

// pod appends one pod of a list.
func (m *message) pod(asked time.Time, row *podRow) {
	item := m.begin(0x12)
	meta := m.begin(0x0a)
	m.text(0x0a, row.pod.Name)
	m.text(0x12, "") // what it was generated from
	m.text(0x1a, row.pod.Namespace)
	m.text(0x22, "") // a link to itself
	m.text(0x2a, "") // the UID and the version are the pod's, not its metrics'
	m.text(0x32, "")
	m.number(0x38, 0)
	m.time(0x42, asked)
	m.keys = labelKeys(m.keys, row.pod)
	for _, k := range m.keys {
		label := m.begin(0x5a)
		m.text(0x0a, k)
		m.text(0x12, row.pod.Labels[k])
		m.end(label)
	}
	m.end(meta)
	m.time(0x12, row.at)
	window := m.begin(0x1a)
	m.number(0x08, int64(row.window))
	m.end(window)
	for i := range row.used {
		c := m.begin(0x22)
		m.text(0x0a, row.used[i].Name)
		m.quantity(corev1.ResourceCPU, appendNano, nanoCores(row.used[i].CPU))
		m.quantity(corev1.ResourceMemory, appendBytes, wholeBytes(row.used[i].Memory))
		m.end(c)
	}
	m.end(item)
}

// field is how many bytes a field of n bytes takes, with its tag and length.
func field(n int) int { return 1 + sizeOf(n) + n }

// sizeOfTime is how many bytes message.time writes within its field.
func sizeOfTime(t time.Time) int {
	if t.IsZero() {
		return 0
	}
	return 1 + varint(t.Unix()) + 2
}

func varint(v int64) int { return (bits.Len64(uint64(v)|1) + 6) / 7 } //nolint:gosec // as message.number has it

// sizeOfPod is how many bytes message.pod appends.
func sizeOfPod(asked time.Time, row *podRow) int {
	meta := field(len(row.pod.Name)) + 2 + field(len(row.pod.Namespace)) + 8 + field(sizeOfTime(asked))
	for k, v := range row.pod.Labels {
		meta += field(field(len(k)) + field(len(v)))
	}
	n := field(meta) + field(sizeOfTime(row.at)) + field(1+varint(int64(row.window)))
	quantity := func(name corev1.ResourceName, text []byte) int {
		return field(field(len(name)) + field(field(len(text))))
	}
	var text [24]byte
	for i := range row.used {
		n += field(field(len(row.used[i].Name)) + quantity(corev1.ResourceCPU, appendNano(text[:0], nanoCores(row.used[i].CPU))) +
			quantity(corev1.ResourceMemory, appendBytes(text[:0], wholeBytes(row.used[i].Memory))))
	}
	return field(n)
}

// writeProto writes the list as the library would. The length of all of it comes first, and is reckoned: that is cheaper than to keep megabytes. The
// first write is short, as that of JSON is.
func (l *podList) writeProto(w io.Writer, apiVersion string) error {
	m := message{b: make([]byte, 0, part+part/2)}
	const listMeta = "\x0a\x06\x0a\x00\x12\x00\x1a\x00" // without link, version or continuation
	left := len(listMeta)
	for i := range l.rows {
		left += sizeOfPod(l.asked, &l.rows[i])
	}
	if _, err := io.WriteString(w, "k8s\x00"); err != nil {
		return err
	}
	kind := m.begin(0x0a)
	m.text(0x0a, apiVersion)
	m.text(0x12, "PodMetricsList")
	m.end(kind)
	m.b = binary.AppendUvarint(append(m.b, 0x12), uint64(left))
	from := len(m.b)
	m.b = append(m.b, listMeta...)
	for i := range l.rows {
		m.pod(l.asked, &l.rows[i])
		if len(m.b) >= part {
			if _, err := w.Write(m.b); err != nil {
				return err
			}
			left -= len(m.b) - from
			m.b, from = m.b[:0], 0
		}
	}
	if left -= len(m.b) - from; left != 0 {
		return fmt.Errorf("cannot write a list of %d pods as protobuf: it is of another length than was reckoned, by %d bytes", len(l.rows), left)
	}
	m.text(0x1a, "") // neither packed nor of another type
	m.text(0x22, "")
	_, err := w.Write(m.b)
	return err
}
