package capacity

import (
	"fmt"
	"strconv"
	"time"

	"plimsoll.dev/plimsoll/internal/table"
)

// column is one column of a report's rows: its names in both styles, and its cell. A nil number is "-" for people, and nothing in CSV.
type column[T any] struct {
	people, raw string // raw names the unit; "" leaves the column out of that style
	wide        bool
	cell        func(row *T, s Style) string
}

// lay makes a table of rows.
func lay[T any](s Style, columns []column[T], rows []T) *table.Table {
	t := &table.Table{Rows: make([][]string, len(rows))}
	for i := range rows {
		t.Rows[i] = []string{}
	}
	for _, c := range columns {
		name := c.people
		if s == Raw {
			name = c.raw
		}
		if name == "" {
			continue
		}
		t.Columns = append(t.Columns, table.Column{Name: name, Wide: c.wide})
		for i := range rows {
			t.Rows[i] = append(t.Rows[i], c.cell(&rows[i], s))
		}
	}
	return t
}

// words makes a column of text.
func words[T any](people, raw string, wide bool, of func(*T) string) column[T] {
	return column[T]{people, raw, wide, func(row *T, _ Style) string { return of(row) }}
}

// amount makes a column of a number in the unit.
func amount[T any](people, raw string, wide bool, u unit, of func(*T) *float64) column[T] {
	return column[T]{people, raw, wide, func(row *T, s Style) string { return number(of(row), s, u.text) }}
}

func number(v *float64, s Style, text func(float64) string) string {
	switch {
	case v == nil && s == Raw:
		return ""
	case v == nil:
		return "-"
	case s == Raw:
		return raw(*v)
	}
	return text(*v)
}

// counted writes a count that may not be known.
func counted(n *int, s Style) string {
	if n == nil {
		return number(nil, s, nil)
	}
	return strconv.Itoa(*n)
}

// resources are the two halves of most reports.
var resources = [...]struct {
	people, raw, of string
	title, word     string // at the beginning of a sentence, and within
	unit            unit
	room            func(*Scope) *Room
	advice          func(*Advice) *ResourceAdvice
	totals          func(*Totals) *ResourceTotals
}{
	{"CPU", "cpu", "cores", "CPU", "CPU", coresUnit, func(s *Scope) *Room { return &s.CPU },
		func(a *Advice) *ResourceAdvice { return &a.CPU }, func(t *Totals) *ResourceTotals { return &t.CPU }},
	{"MEM", "memory", "bytes", "Memory", "memory", bytesUnit, func(s *Scope) *Room { return &s.Memory },
		func(a *Advice) *ResourceAdvice { return &a.Memory }, func(t *Totals) *ResourceTotals { return &t.Memory }},
}

// Table gives the scopes as header and rows, and the notes as lines.
func (r *CapacityReport) Table(style Style) *table.Table {
	columns := []column[Scope]{
		words("SCOPE", "level", false, func(s *Scope) string { return s.Level }),
		words("NAME", "name", false, func(s *Scope) string { return s.Name }),
		words("NODES", "nodes", true, func(s *Scope) string { return strconv.Itoa(s.Nodes) }),
	}
	for _, x := range resources {
		add := func(people, name string, wide bool, get func(*Room) *float64) {
			columns = append(columns, amount(x.people+" "+people, x.raw+"_"+name+"_"+x.of, wide, x.unit, func(s *Scope) *float64 { return get(x.room(s)) }))
		}
		add("CAPACITY", "capacity", true, func(r *Room) *float64 { return r.Capacity })
		add("ALLOC", "allocatable", false, func(r *Room) *float64 { return r.Allocatable })
		add("REQUESTS", "requests", false, func(r *Room) *float64 { return r.Requests })
		add("LIMITS", "limits", true, func(r *Room) *float64 { return r.Limits })
		add("USED", "used", false, func(r *Room) *float64 { return r.Used })
		add("P50", "p50", true, func(r *Room) *float64 { return r.P50 })
		add("P95", "p95", false, func(r *Room) *float64 { return r.P95 })
		add("MAX", "max", true, func(r *Room) *float64 { return r.Max })
		add("FREE(REQ)", "free_by_request", false, func(r *Room) *float64 { return r.FreeByRequest })
		add("FREE(USE)", "free_by_use", false, func(r *Room) *float64 { return r.FreeByUse })
		add("BLOCK(REQ)", "largest_by_request", true, func(r *Room) *float64 { return r.LargestByRequest.free() })
		add("BLOCK(USE)", "largest_by_use", true, func(r *Room) *float64 { return r.LargestByUse.free() })
		add("A DAY", "trend_per_day", true, func(r *Room) *float64 { return r.Trend.Slope })
		columns = append(columns, column[Scope]{x.people + " FULL IN", x.raw + "_full_days", false, func(s *Scope, style Style) string {
			t := &x.room(s).Trend
			if style == People && t.Slope != nil && !t.clear() {
				return "no trend"
			}
			if style == People && t.Slope != nil && t.Full == nil && x.room(s).Allocatable != nil {
				return "-"
			}
			return number(t.Full, style, days)
		}})
		for _, b := range []struct {
			name string
			get  func(*Trend) *float64
		}{{"low", func(t *Trend) *float64 { return t.FullEarliest }}, {"high", func(t *Trend) *float64 { return t.FullLatest }}} {
			columns = append(columns, column[Scope]{"", x.raw + "_full_days_" + b.name, true, func(s *Scope, style Style) string { return number(b.get(&x.room(s).Trend), style, days) }})
		}
	}
	columns = append(columns,
		column[Scope]{"DATA", "data_ratio", true, func(s *Scope, style Style) string { return number(&s.Data.Coverage, style, share) }},
		words("LACKS", "lacks", true, func(s *Scope) string { return s.Lacks }),
		words("GAP", "gap", true, func(s *Scope) string { return s.Gap }),
		words("UNSCHEDULABLE", "unschedulable", true, func(s *Scope) string { return s.Unschedulable }))
	t := lay(style, columns, r.Scopes)
	if style == People {
		if len(r.Scopes) > 0 && r.Scopes[0].Level == ClusterLevel {
			t.Say(r.Scopes[0].sentence())
		}
		t.Say(window(r.Start, r.End))
		if len(r.Scopes) > 0 && r.Scopes[0].Level == ClusterLevel {
			t.Say("CPU: "+r.Scopes[0].CPU.Trend.Text, "Memory: "+r.Scopes[0].Memory.Trend.Text)
		}
		t.Say(r.Notes...)
	}
	return t
}

// sentence says what the cluster has, what is asked for, and what is used.
func (s *Scope) sentence() string {
	cores := "cores"
	if a := s.CPU.Allocatable; a != nil && coresText(*a) == "1" {
		cores = "core"
	}
	of := func(r *Room, u unit, what string) string {
		text := func(v *float64, none string) string {
			if v == nil {
				return none
			}
			return u.text(*v)
		}
		return fmt.Sprintf("%s of %s %s requested, p95 of use %s", text(r.Requests, "none"), text(r.Allocatable, "unknown"), what, text(r.P95, "unknown"))
	}
	return "Cluster: " + of(&s.CPU, coresUnit, cores) + "; " + of(&s.Memory, bytesUnit, "memory") + "."
}

// clear says whether the slope stands clear of none.
func (t *Trend) clear() bool { return t.Slope != nil && (*t.Low > 0 || *t.High < 0) }

func (b *Block) free() *float64 {
	if b == nil {
		return nil
	}
	return &b.Free
}

// window says what time a report looks at.
func window(start, end time.Time) string {
	return "From " + start.Format("2006-01-02 15:04") + " to " + end.Format("2006-01-02 15:04 MST") + "."
}

// Table gives the nodes as header and rows, and the answer and the notes as lines.
func (r *FitReport) Table(style Style) *table.Table {
	t := lay(style, []column[NodeFit]{
		words("NODE", "node", false, func(f *NodeFit) string { return f.Node }),
		words("POOL", "pool", true, func(f *NodeFit) string { return f.Pool }),
		{"FIT", "fit", false, func(f *NodeFit, s Style) string { return counted(f.Count, s) }},
		words("BOUND BY", "bound_by", false, func(f *NodeFit) string { return f.BoundBy }),
		amount("CPU FREE", "cpu_free_cores", false, coresUnit, func(f *NodeFit) *float64 { return f.FreeCPU }),
		amount("MEM FREE", "memory_free_bytes", false, bytesUnit, func(f *NodeFit) *float64 { return f.FreeMemory }),
		amount("CPU LEFT", "cpu_left_cores", true, coresUnit, func(f *NodeFit) *float64 { return f.LeftCPU }),
		amount("MEM LEFT", "memory_left_bytes", true, bytesUnit, func(f *NodeFit) *float64 { return f.LeftMemory }),
		words("", "unschedulable", true, func(f *NodeFit) string { return f.Unschedulable }),
		words("WHY", "reason", false, func(f *NodeFit) string { return f.Reason }),
	}, r.Nodes)
	if style == People {
		t.Lines = append(append(t.Lines, r.Text), r.Notes...)
	}
	return t
}
