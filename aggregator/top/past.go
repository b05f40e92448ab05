package top

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/aggregator/api"
	"plimsoll.dev/plimsoll/internal/table"
)

// usage is one line of top over a stretch of the past.
type usage struct {
	Labels map[string]string `json:"labels"`
	CPU    *float64          `json:"cpu"`    // mean over the stretch, cores
	Memory *float64          `json:"memory"` // highest working set in it, bytes
	// Missing is how many of its members both lacked at most at a time, which no sum of that time has.
	Missing float64 `json:"missing,omitempty"`
}

// past says which labels tell the things of a kind apart in the history, and at which level they are measured or summed up: what a sum had at a
// time cannot be told of what its parts had over a long time.
type past struct {
	prefix  string
	by      []string
	headers []string
}

// show gives mean CPU and highest memory over the newest stretch of the history, from whatever store keeps it.
func (v past) show(ctx context.Context, from Source, o Options) (List, error) {
	end, start := o.Now, o.Now.Add(-o.Over)
	rows := map[string]*usage{}
	more := false // what is asked for is of rows that there are
	ask := func(metric, function string, fill func(u *usage, v *float64)) error {
		p := url.Values{"metric": {metric}, "func": {function}, "start": {unixText(start)}, "end": {unixText(end)}, "by": {strings.Join(v.by, ",")}}
		if o.Namespace != "" {
			p.Set("namespace", o.Namespace)
		}
		var list api.SeriesList
		if err := from.Get(ctx, "/plimsoll/v1/series?"+p.Encode(), &list); err != nil {
			return err
		}
		for _, s := range list.Series {
			n, key := len(s.Points), v.key(s.Labels)
			if n == 0 || more && rows[key] == nil {
				continue
			}
			if rows[key] == nil {
				rows[key] = &usage{Labels: s.Labels}
			}
			fill(rows[key], &s.Points[n-1][1])
		}
		return nil
	}
	if err := ask(v.prefix+"_cpu_usage_seconds_total", "rate", func(u *usage, v *float64) { u.CPU = v }); err != nil {
		return List{}, err
	}
	if err := ask(v.prefix+"_memory_working_set_bytes", "max", func(u *usage, v *float64) { u.Memory = v }); err != nil {
		return List{}, err
	}
	if more = true; v.sums() {
		if err := ask(v.prefix+"_missing_parts", "max", func(u *usage, v *float64) { u.Missing = *v }); err != nil {
			return List{}, err
		}
	}
	doc := struct {
		Schema string    `json:"schema"` // plimsoll.dev/top/v1
		Start  time.Time `json:"start"`
		End    time.Time `json:"end"`
		Items  []*usage  `json:"items"`
	}{"plimsoll.dev/top/v1", start.UTC(), end.UTC(), make([]*usage, 0, len(rows))}
	doc.Items = slices.AppendSeq(doc.Items, maps.Values(rows))
	slices.SortFunc(doc.Items, func(a, b *usage) int { return cmp.Compare(v.key(a.Labels), v.key(b.Labels)) })
	order(doc.Items, cmp.Or(o.SortBy, "cpu"), func(u *usage) *float64 { return u.CPU }, func(u *usage) *float64 { return u.Memory }, func(u *usage) string { return v.key(u.Labels) })
	headers := append(slices.Clone(v.headers), "CPU(mean)", "MEMORY(max)")
	if v.sums() {
		headers = append(headers, "LACKED")
	}
	t := table.New(headers...)
	for _, u := range doc.Items {
		cells := append(v.names(u.Labels), cores(u.CPU), mebibytes(u.Memory))
		if v.sums() {
			cells = append(cells, v.lacked(u.Missing))
		}
		t.Add(cells...)
	}
	return List{doc, t}, nil
}

// sums says whether what is shown is made of members, so that it may have lacked some.
func (v past) sums() bool { return v.prefix != "container" }

// lacked says how many parts the sums lacked at most at a time: "up to 2 pods".
func (v past) lacked(n float64) string {
	unit := map[string]string{"pod": "container"}[v.prefix]
	switch unit = cmp.Or(unit, "pod"); {
	case n == 0:
		return "-"
	case n == 1:
		return "up to 1 " + unit
	}
	return fmt.Sprintf("up to %.0f %ss", n, unit)
}

// names are the labels that tell things apart.
func (v past) names(labels map[string]string) []string {
	var out []string
	for _, name := range v.by {
		out = append(out, labels[name])
	}
	return out
}

// key joins them.
func (v past) key(labels map[string]string) string { return strings.Join(v.names(labels), "\x00") }

func unixText(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
