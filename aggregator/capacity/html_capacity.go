package capacity

import (
	"cmp"
	"fmt"
	"strings"
)

// capacityPage is what the page of a capacity report shows.
type capacityPage struct {
	Cards  []roomCard
	Tables []scopeTable
}

// roomCard is one resource of the cluster.
type roomCard struct {
	Name, Big, Of string
	Bar           bar
	BarKey        string
	Trend         string
	Chart         chart
	Facts         []fact
}

// scopeTable is a table of scopes of one level.
type scopeTable struct {
	Title, Count, Noun string
	Room               bool // they have room
	Rows               []scopeRow
	More               string
}

type scopeRow struct {
	Name, Under, Gap string
	Uses             []useCell
	Cells            []fact
}

type useCell struct {
	Name, Value, Of string
	Bar             bar
}

// title names the machine, if there is one only.
func (r *CapacityReport) title() string {
	var nodes []string
	for i := range r.Scopes {
		if r.Scopes[i].Level == NodeLevel {
			nodes = append(nodes, r.Scopes[i].Name)
		}
	}
	if len(nodes) == 1 {
		return "Capacity of " + nodes[0]
	}
	if n := len(r.Scopes); n > 0 && len(nodes) == 0 && r.Scopes[0].Level == NamespaceLevel {
		return "Capacity of " + plural(float64(n), "namespace")
	}
	return fmt.Sprintf("Capacity of %d nodes", len(nodes))
}

func (r *CapacityReport) page() *capacityPage {
	p := &capacityPage{}
	if len(r.Scopes) == 0 {
		return p
	}
	whole := &Scope{}
	if r.Scopes[0].Level == ClusterLevel {
		whole = &r.Scopes[0]
		p.Cards = []roomCard{r.card("CPU", &whole.CPU, coresUnit), r.card("Memory", &whole.Memory, bytesUnit)}
	}
	for _, l := range [...]struct{ level, title, noun string }{{PoolLevel, "Node pools", "Pool"}, {NodeLevel, "Nodes", "Node"}, {NamespaceLevel, "Namespaces", "Namespace"}} {
		t := scopeTable{Title: l.title, Noun: l.noun, Room: l.level != NamespaceLevel}
		n := 0
		for i := range r.Scopes {
			s := &r.Scopes[i]
			if s.Level != l.level {
				continue
			}
			if n++; n <= maxRows {
				t.Rows = append(t.Rows, scopeRowOf(s, whole, t.Room))
			}
		}
		_, t.More = capped(n)
		if t.Count = plural(float64(n), strings.ToLower(l.noun)); n > 0 {
			p.Tables = append(p.Tables, t)
		}
	}
	return p
}

func (r *CapacityReport) card(name string, room *Room, u unit) roomCard {
	c := roomCard{Name: name + " free by use", Big: dash(room.FreeByUse, u), Of: "of " + dash(room.Allocatable, u) + " allocatable",
		Bar: barOf(room.P95, room.Requests, room.Allocatable), Trend: room.Trend.Text, Chart: chartOf(room, r.Start, r.End, r.Step, u)}
	if room.AllocatableIsCapacity {
		c.Of = "of " + dash(room.Allocatable, u) + " in the machine"
	}
	c.BarKey = c.Bar.key("the 95th percentile of use", "requested")
	block := func(b *Block) (string, string) {
		if b == nil {
			return "–", ""
		}
		return u.text(b.Free), "on " + b.Node
	}
	requestBlock, requestNode := block(room.LargestByRequest)
	useBlock, useNode := block(room.LargestByUse)
	c.Facts = []fact{{"Used now", dash(room.Used, u), ""}, {"Median", dash(room.P50, u), ""}, {"95th percentile", dash(room.P95, u), ""}, {"Maximum", dash(room.Max, u), ""},
		{"Requested", dash(room.Requests, u), ""}, {"Limits", dash(room.Limits, u), ""}, {"Free by request", dash(room.FreeByRequest, u), ""}, {"Free by use", dash(room.FreeByUse, u), ""},
		{"Largest block by request", requestBlock, requestNode}, {"Largest block by use", useBlock, useNode}}
	return c
}

// scopeRowOf makes a row. A namespace's bars are its share of the cluster's use.
func scopeRowOf(s, whole *Scope, hasRoom bool) scopeRow {
	row := scopeRow{Name: s.Name, Gap: cmp.Or(s.Gap, s.Unschedulable)}
	if s.Level != NodeLevel {
		row.Under = plural(float64(s.Nodes), "node")
	}
	if d := s.Data; d.Coverage < 0.995 && d.First != nil {
		if row.Under != "" {
			row.Under += ", "
		}
		row.Under += "data for " + share(d.Coverage) + " of the window"
	}
	for _, x := range resources {
		room := x.room(s)
		cell := useCell{Name: x.title + ", p95", Value: dash(room.P95, x.unit)}
		if hasRoom {
			cell.Of, cell.Bar = "of "+dash(room.Allocatable, x.unit), barOf(room.P95, room.Requests, room.Allocatable)
		} else {
			cell.Bar = barOf(room.P95, nil, x.room(whole).P95)
			cell.Bar.Hot = false
			if cell.Bar.Fill > 0 {
				cell.Of = share(cell.Bar.Fill/100) + " of all"
			}
		}
		row.Uses = append(row.Uses, cell)
	}
	if !hasRoom {
		row.Cells = []fact{{"CPU asked for", dash(s.CPU.Requests, coresUnit), ""}, {"Memory asked for", dash(s.Memory.Requests, bytesUnit), ""}, {"Growth a day", growth(s), ""}}
		return row
	}
	byRequest := func(r *Room, u unit) string { return dash(r.FreeByRequest, u) + " by request" }
	full, why := soonest(s)
	row.Cells = []fact{{"Free CPU", dash(s.CPU.FreeByUse, coresUnit), byRequest(&s.CPU, coresUnit)},
		{"Free memory", dash(s.Memory.FreeByUse, bytesUnit), byRequest(&s.Memory, bytesUnit)}, {"Full in", full, why}}
	return row
}

// growth writes the clear trends of a namespace.
func growth(s *Scope) string {
	var out []string
	for _, x := range resources {
		if t := &x.room(s).Trend; t.clear() {
			out = append(out, x.unit.signed(*t.Slope))
		}
	}
	return cmp.Or(strings.Join(out, ", "), "–")
}

// soonest says when a scope will be full, and of what.
func soonest(s *Scope) (when, of string) {
	cpu, memory := s.CPU.Trend, s.Memory.Trend
	full := func(t *Trend) *float64 {
		if !t.clear() {
			return nil
		}
		return t.Full
	}
	a, b := full(&cpu), full(&memory)
	switch {
	case a != nil && (b == nil || *a <= *b):
		return days(*a), "of CPU"
	case b != nil:
		return days(*b), "of memory"
	case cpu.Slope == nil && memory.Slope == nil:
		return "–", "no trend"
	}
	return "–", "not in sight"
}
