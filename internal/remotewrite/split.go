package remotewrite

import "plimsoll.dev/plimsoll/internal/metric"

// Split cuts a batch into parts of at most so many points, between groups: a group is never cut. The gaps go with the last part, as
// they come after what their entities had. The parts share the batch's memory.
func Split(b *metric.Batch, points int) []*metric.Batch {
	var out []*metric.Batch
	from, n := 0, 0
	part := func(to int) {
		p := *b
		p.Groups, p.Gaps = b.Groups[from:to:to], nil
		out = append(out, &p)
		from, n = to, 0
	}
	for i := range b.Groups {
		k := len(b.Groups[i].Points)
		if n > 0 && n+k > points {
			part(i)
		}
		n += k
	}
	part(len(b.Groups))
	out[len(out)-1].Gaps = b.Gaps
	return out
}
