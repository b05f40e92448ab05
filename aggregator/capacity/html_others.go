package capacity

import (
	"cmp"
	"fmt"
	"strconv"
)

// fitPage is what the page of a fit report shows.
type fitPage struct {
	Size, By, Total, Text, Count, More string
	Rows                               []fitRow
}

type fitRow struct {
	Node, Reason, Count, BoundBy string
	Bar                          bar
	Free                         []fact
}

func (r *FitReport) title() string { return "What fits: " + r.Need.size() }

func (r *FitReport) page() *fitPage {
	p := &fitPage{Size: r.Need.size(), By: "by request", Total: strconv.Itoa(r.Total), Text: r.Text, Count: plural(float64(len(r.Nodes)), "node")}
	if r.Need.By == ByUse {
		p.By = "by use"
	}
	if r.unknown() || len(r.Nodes) == 0 {
		p.Total = "–"
	}
	var shown int
	shown, p.More = capped(len(r.Nodes))
	for i := range r.Nodes[:shown] {
		f := &r.Nodes[i]
		row := fitRow{Node: f.Node, Reason: f.Reason, BoundBy: cmp.Or(f.BoundBy, "–"), Count: "–"}
		if f.Count != nil {
			n, most := float64(*f.Count), float64(max(countOf(&r.Nodes[0]), 1))
			row.Count, row.Bar = strconv.Itoa(*f.Count), bar{Fill: round1(n / most * 100)}
		}
		left := func(v *float64, u unit) string {
			if v == nil || f.Count == nil {
				return ""
			}
			return dash(v, u) + " left then"
		}
		row.Free = []fact{{"Free CPU", dash(f.FreeCPU, coresUnit), left(f.LeftCPU, coresUnit)}, {"Free memory", dash(f.FreeMemory, bytesUnit), left(f.LeftMemory, bytesUnit)}}
		p.Rows = append(p.Rows, row)
	}
	return p
}

// rightsizePage is what the page of a report of right sizes shows.
type rightsizePage struct {
	Cards       []roomCard
	Count, More string
	Rows        []adviceRow
}

type adviceRow struct {
	Name, Under  string
	Uses         []adviceCell
	Saved        []fact
	Confidence   string
	Reason, Sure string
}

type adviceCell struct {
	Name, From, To, Class, Note string
	Bar                         bar
}

func (r *RightsizeReport) title() string {
	return fmt.Sprintf("Right sizes of %s", plural(float64(r.Totals.Rows), "container"))
}

func (r *RightsizeReport) page() *rightsizePage {
	p := &rightsizePage{Count: plural(float64(len(r.Rows)), "row") + ", the largest change first",
		Cards: []roomCard{totalCard("CPU", &r.Totals.CPU, coresUnit), totalCard("Memory", &r.Totals.Memory, bytesUnit)}}
	var shown int
	shown, p.More = capped(len(r.Rows))
	for i := range r.Rows[:shown] {
		p.Rows = append(p.Rows, adviceRowOf(&r.Rows[i]))
	}
	return p
}

func totalCard(name string, t *ResourceTotals, u unit) roomCard {
	c := roomCard{Name: name + " that can be given back", Big: u.text(max(t.Saving, 0)), Of: "of " + u.text(t.Requests) + " requested"}
	switch {
	case t.Requests == 0:
		c.Name, c.Big, c.Of = name+" requested now", "none", "so there is nothing to give back; advised are "+u.text(t.Advised)
	case t.Saving < 0:
		c.Name, c.Big, c.Of = name+" to ask for in addition", u.text(-t.Saving), "to "+u.text(t.Requests)+" requested"
	}
	c.Bar = barOf(&t.Advised, &t.Requests, some(max(t.Requests, t.Advised)))
	c.Bar.Hot = false
	c.BarKey = c.Bar.key("what is advised in all", "requested now")
	for _, x := range []struct {
		name string
		n    int
	}{{"To lower", t.Lower}, {"To raise", t.Raise}, {"To set", t.Set}, {"To keep", t.Keep}} {
		c.Facts = append(c.Facts, fact{Name: x.name, Value: strconv.Itoa(x.n)})
	}
	return c
}

func some(v float64) *float64 { return &v }

func adviceRowOf(a *Advice) adviceRow {
	row := adviceRow{Name: a.Workload, Under: a.Namespace + " · " + a.Kind, Confidence: a.Confidence, Reason: a.Reason}
	if a.Container != a.Workload {
		row.Name += " / " + a.Container
	}
	row.Under += " · " + plural(float64(a.Replicas), "replica")
	if a.Scaled {
		row.Under += ", scaled"
	}
	if a.Confidence != None {
		row.Sure = "Confidence is " + a.Confidence + ": " + a.ConfidenceReason + "."
	}
	for _, x := range []struct {
		name, what string
		r          *ResourceAdvice
		used       *float64
		u          unit
	}{{"CPU", "p95", &a.CPU, a.CPU.P95, coresUnit}, {"Memory", "max", &a.Memory, a.Memory.Max, bytesUnit}} {
		row.Uses = append(row.Uses, adviceCellOf(x.name, x.what, x.r, x.used, x.u))
		saved := fact{Name: x.name + " saved", Value: "–"}
		if x.r.Saving != nil && *x.r.Saving != 0 {
			saved.Value = x.u.signed(*x.r.Saving)
		}
		row.Saved = append(row.Saved, saved)
	}
	return row
}

func adviceCellOf(name, what string, r *ResourceAdvice, used *float64, u unit) adviceCell {
	c := adviceCell{Name: name + " request", From: dash(r.Request, u)}
	if r.Request == nil {
		c.From = "none"
	}
	switch r.Action {
	case Raise, Set:
		c.To, c.Class = u.text(*r.Advised), "hot"
	case Lower:
		c.To, c.Class = u.text(*r.Advised), "a"
	}
	if r.Action == Set {
		c.Class = ""
	}
	c.Note = what + " " + dash(used, u)
	if r.Limit != nil {
		c.Note += ", limit " + u.text(*r.Limit)
	}
	all := max(or(r.Request, 0), or(r.Advised, 0), or(used, 0))
	c.Bar = barOf(used, r.Advised, &all)
	c.Bar.Hot = r.Request != nil && used != nil && *used > *r.Request
	return c
}
