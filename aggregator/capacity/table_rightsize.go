package capacity

import (
	"fmt"
	"strconv"
	"strings"

	"plimsoll.dev/plimsoll/internal/table"
)

// Table gives the advice as header and rows, and the totals and notes as lines.
func (r *RightsizeReport) Table(style Style) *table.Table {
	columns := []column[Advice]{
		words("NAMESPACE", "namespace", false, func(a *Advice) string { return a.Namespace }),
		words("KIND", "kind", true, func(a *Advice) string { return a.Kind }),
		{"WORKLOAD", "workload", false, r.workload()},
		words("CONTAINER", "container", false, func(a *Advice) string { return a.Container }),
		words("REPLICAS", "replicas", false, func(a *Advice) string { return strconv.Itoa(a.Replicas) }),
	}
	for i, x := range resources {
		add := func(people, name string, wide bool, get func(*ResourceAdvice) *float64) {
			columns = append(columns, amount(x.people+" "+people, x.raw+"_"+name+"_"+x.of, wide, x.unit, func(a *Advice) *float64 { return get(x.advice(a)) }))
		}
		add("REQUEST", "request", false, func(r *ResourceAdvice) *float64 { return r.Request })
		add("LIMIT", "limit", true, func(r *ResourceAdvice) *float64 { return r.Limit })
		add("P95", "p95", i == 1, func(r *ResourceAdvice) *float64 { return r.P95 })
		add("MAX", "max", i == 0, func(r *ResourceAdvice) *float64 { return r.Max })
		add("ADVISED", "advised", false, func(r *ResourceAdvice) *float64 { return r.Advised })
		add("ADVISED LIMIT", "advised_limit", true, func(r *ResourceAdvice) *float64 { return r.AdvisedLimit })
		columns = append(columns, words("", x.raw+"_action", true, func(a *Advice) string { return x.advice(a).Action }))
		add("SAVING", "saving", false, func(r *ResourceAdvice) *float64 { return r.Saving })
	}
	columns = append(columns,
		words("SCALED", "scaled", true, func(a *Advice) string { return fmt.Sprint(a.Scaled) }),
		words("OOM", "oom_kills", true, func(a *Advice) string { return strconv.Itoa(a.OOMKills) }),
		column[Advice]{"RESTARTS", "restarts", true, func(a *Advice, s Style) string { return counted(a.Restarts, s) }},
		column[Advice]{"THROTTLED", "throttled_ratio", true, func(a *Advice, s Style) string { return number(a.Throttled, s, share) }},
		column[Advice]{"DATA", "data_ratio", true, func(a *Advice, s Style) string { return number(&a.Data.Coverage, s, share) }},
		words("CONFIDENCE", "confidence", false, func(a *Advice) string { return a.Confidence }),
		words("", "confidence_reason", true, func(a *Advice) string { return a.ConfidenceReason }),
		words("WHY", "reason", false, func(a *Advice) string { return a.Reason }))
	t := lay(style, columns, r.Rows)
	if style == People {
		t.Lines = append(append(t.Lines, window(r.Start, r.End), r.Totals.sentence()), r.Notes...)
	}
	return t
}

// workload writes a workload's name, for people with its kind where another one in the namespace has the name.
func (r *RightsizeReport) workload() func(*Advice, Style) string {
	type name struct{ namespace, workload string }
	kinds := map[name]string{}
	for i := range r.Rows {
		a := &r.Rows[i]
		k := name{a.Namespace, a.Workload}
		if kind, had := kinds[k]; had && kind != a.Kind {
			kinds[k] = ""
		} else {
			kinds[k] = a.Kind
		}
	}
	return func(a *Advice, s Style) string {
		if s == People && kinds[name{a.Namespace, a.Workload}] != a.Kind {
			return a.Kind + "/" + a.Workload
		}
		return a.Workload
	}
}

// sentence says the totals.
func (t *Totals) sentence() string {
	if t.Rows == 0 {
		return "No container is in sight here, nor was one lately."
	}
	s := fmt.Sprintf("%s of %s with advice.", strconv.Itoa(t.Advised), plural(float64(t.Rows), "container"))
	var parts []string
	for _, x := range resources {
		switch r := x.totals(t); {
		case r.Raise+r.Lower == 0, r.Requests == 0 && r.Saving == 0: // none of those runs now
		case r.Saving >= 0:
			parts = append(parts, fmt.Sprintf("%s of %s requested can be given back", x.unit.full(r.Saving), x.unit.text(r.Requests)))
		default:
			parts = append(parts, fmt.Sprintf("%s more should be requested than the %s now", x.unit.full(-r.Saving), x.unit.text(r.Requests)))
		}
	}
	if len(parts) > 0 {
		s += " In all, " + strings.Join(parts, "; ") + "."
	}
	return s
}
