package decisions

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"strconv"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/disk"
	"plimsoll.dev/plimsoll/internal/store"
)

// record is the object of a line.
type record struct {
	cluster.Decision
	Detail   json.RawMessage `json:"detail,omitempty"`
	Detail64 string          `json:"detail64,omitempty"` // base64, when the detail is not JSON on one line
}

// crcLength is the length of a line without its object and line break.
const crcLength = 9

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// encode appends a decision's line to buf. The detail's bytes are kept as they are.
func encode(buf []byte, d *cluster.Decision) ([]byte, error) {
	plain := *d
	plain.Detail = nil
	object, err := json.Marshal(plain)
	if err != nil {
		return nil, err
	}
	if len(d.Detail) > 0 {
		object = object[:len(object)-1] // the closing brace
		if json.Valid(d.Detail) && !bytes.ContainsAny(d.Detail, "\r\n") && len(bytes.TrimSpace(d.Detail)) == len(d.Detail) {
			object = append(append(object, `,"detail":`...), d.Detail...)
		} else {
			object = append(object, `,"detail64":"`...)
			object = append(base64.StdEncoding.AppendEncode(object, d.Detail), '"')
		}
		object = append(object, '}')
	}
	if len(object) > segmentBytes/2 {
		return nil, fmt.Errorf("decision of %d bytes is longer than the %d that are kept: %w", len(object), segmentBytes/2, store.ErrTooLarge)
	}
	buf = fmt.Appendf(buf, "%08x ", crc32.Checksum(object, castagnoli()))
	return append(append(buf, object...), '\n'), nil
}

// decode reads a line without its line break.
func decode(line []byte) (*cluster.Decision, error) {
	if len(line) < crcLength+2 || line[crcLength-1] != ' ' {
		return nil, errors.New("not a decision")
	}
	want, err := strconv.ParseUint(string(line[:crcLength-1]), 16, 32)
	if err != nil {
		return nil, fmt.Errorf("not a checksum: %w", err)
	}
	object := line[crcLength:]
	if got := crc32.Checksum(object, castagnoli()); got != uint32(want) {
		return nil, fmt.Errorf("checksum is %08x, not %08x", got, want)
	}
	var r record
	if err := json.Unmarshal(object, &r); err != nil {
		return nil, err
	}
	d := r.Decision
	d.Detail = r.Detail
	if r.Detail64 != "" {
		if d.Detail, err = base64.StdEncoding.DecodeString(r.Detail64); err != nil {
			return nil, err
		}
	}
	return &d, nil
}

// scan gives every decision in data to each until it says false. It returns how many bytes of data are
// whole lines, not counting broken ones at the end, and how many lines before that are damaged.
func scan(data []byte, each func(*cluster.Decision) bool) (good, damaged int) {
	broken := 0 // damaged lines since the last good one
	for pos := 0; pos < len(data); {
		n := bytes.IndexByte(data[pos:], '\n')
		if n < 0 {
			break
		}
		d, err := decode(data[pos : pos+n])
		pos += n + 1
		if err != nil {
			broken++
			continue
		}
		good, damaged, broken = pos, damaged+broken, 0
		if !each(d) {
			break
		}
	}
	return good, damaged
}

// Decisions returns the newest decisions that q asks for, newest first; of one moment, the last appended first.
func (l *Log) Decisions(ctx context.Context, q store.DecisionQuery) ([]cluster.Decision, error) {
	out, err := l.query(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("cannot read decisions: %w", err)
	}
	return out, nil
}

func (l *Log) query(ctx context.Context, q store.DecisionQuery) ([]cluster.Decision, error) {
	limit, err := q.Check()
	if err != nil {
		return nil, err
	}
	segments, err := l.candidates(&q)
	if err != nil {
		return nil, err
	}
	var out []cluster.Decision
	for _, s := range segments {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(out) == limit && s.last.Before(out[limit-1].Time) {
			break // this one and all further ones are older
		}
		found, err := l.read(s, &q)
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
		slices.SortStableFunc(out, func(a, b cluster.Decision) int { return b.Time.Compare(a.Time) })
		out = out[:min(len(out), limit)]
	}
	return out, nil
}

// candidates returns copies of the outlines of the segments that may hold what q asks for, the one with the newest decision first.
func (l *Log) candidates(q *store.DecisionQuery) ([]segment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, store.ErrClosed
	}
	var out []segment
	for _, s := range l.segments {
		if s.may(q) {
			out = append(out, segment{number: s.number, size: s.size, last: s.last})
		}
	}
	slices.SortFunc(out, func(a, b segment) int {
		return cmp.Or(b.last.Compare(a.last), b.number-a.number)
	})
	return out, nil
}

// read returns a segment's decisions that q asks for, the last appended first.
func (l *Log) read(s segment, q *store.DecisionQuery) ([]cluster.Decision, error) {
	f, err := disk.Open(l.name(s.number), os.O_RDONLY)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // dropped in the meantime
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, s.size)
	n, err := f.ReadAt(data, 0)
	if err != nil && n < len(data) {
		return nil, fmt.Errorf("cannot read %q: %w", f.Name(), err)
	}
	var out []cluster.Decision
	scan(data, func(d *cluster.Decision) bool {
		if wanted(d, q) {
			out = append(out, *d)
		}
		return true
	})
	slices.Reverse(out)
	return out, nil
}

func wanted(d *cluster.Decision, q *store.DecisionQuery) bool {
	return (q.Within == nil || q.Within.Sees(d.Namespace)) &&
		(q.Namespace == "" || q.Namespace == d.Namespace) &&
		(q.APIVersion == "" || q.Group() == d.Group()) &&
		(q.Kind == "" || q.Kind == d.Kind) &&
		(q.Name == "" || q.Name == d.Name) &&
		(q.Start.IsZero() || !d.Time.Before(q.Start)) &&
		(q.End.IsZero() || !d.Time.After(q.End)) &&
		(len(q.Actions) == 0 || slices.Contains(q.Actions, d.Action))
}
