package boardtest

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/dashboards/grafana"
)

// Ask is one query of one panel, as Grafana sends it.
type Ask struct {
	Panel string // board, panel and letter, for messages
	Text  string // with Grafana's macros and variables put in
	// Now: the query is asked once, at To; otherwise from From to To with Step.
	Now      bool
	From, To time.Time
	Step     time.Duration
	By       []string
	// Want is the newest value of each series, by Key.
	Want map[string]float64
	cpu  bool // it is of the CPU
}

// View is what a person looks at: a board's range and choices.
type View struct {
	Range  time.Duration // ends at the day's end
	Step   time.Duration // $__interval
	Chosen Chosen
}

// Asks returns every query of every panel of a board, read from its JSON.
func (d *Day) Asks(b grafana.Board, s grafana.Source, v View) ([]Ask, error) {
	doc, err := parse(b, s)
	if err != nil {
		return nil, err
	}
	queries := drawn(b)
	var out []Ask
	for _, p := range doc.flat() {
		for _, t := range p.Targets {
			if len(out) == len(queries) {
				return nil, fmt.Errorf("board %q has more targets than queries", b.Name)
			}
			q := queries[len(out)]
			if q.title != p.Title {
				return nil, fmt.Errorf("board %q: panel %q stands where %q should", b.Name, p.Title, q.title)
			}
			out = append(out, Ask{Panel: b.Name + ": " + p.Title + " " + t.RefID, Text: d.put(t.Expr+t.Query, s, v), Now: q.now,
				From: d.End.Add(-v.Range), To: d.End, Step: v.Step, By: q.By, Want: d.want(q.Query, v.Chosen.of(b), v.Range)})
		}
	}
	if len(out) != len(queries) {
		return nil, fmt.Errorf("board %q has %d targets for %d queries", b.Name, len(out), len(queries))
	}
	return out, nil
}

// query is a query with its panel's title; now: a panel of that kind shows one number.
type query struct {
	grafana.Query
	title string
	now   bool
}

// drawn lists a board's queries in the order in which they are drawn.
func drawn(b grafana.Board) []query {
	var out []query
	for _, r := range b.Rows {
		for _, p := range r.Panels {
			now := p.Draw != grafana.Lines && p.Draw != grafana.Stacked && p.Draw != grafana.Steps
			for _, q := range slices.Concat(p.Show, p.Limits) {
				out = append(out, query{q, p.Title, now})
			}
		}
	}
	return out
}

// Annotations returns the queries of a board's annotations by name.
func (d *Day) Annotations(b grafana.Board, s grafana.Source, v View) (map[string]string, error) {
	doc, err := parse(b, s)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, a := range doc.Annotations.List {
		if a.Target.Expr+a.Target.Query != "" {
			out[a.Name] = d.put(a.Target.Expr+a.Target.Query, s, v)
		}
	}
	return out, nil
}

// Variables returns the definitions of a board's variables by name.
func (d *Day) Variables(b grafana.Board, s grafana.Source, v View) (map[string]string, error) {
	doc, err := parse(b, s)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, x := range doc.Templating.List {
		if x.Definition != "" {
			out[x.Name] = d.put(x.Definition, s, v)
		}
	}
	return out, nil
}

// document is what is asked for in a board's JSON.
type document struct {
	Panels      []panel
	Annotations struct {
		List []struct {
			Name   string
			Target struct{ Expr, Query string }
		}
	}
	Templating struct {
		List []struct{ Name, Definition string }
	}
}

type panel struct {
	Title, Type string
	Panels      []panel
	Targets     []struct {
		RefID       string
		Expr, Query string
	}
}

// flat lists the panels without rows, those in folded rows too.
func (d document) flat() []panel {
	var out []panel
	for _, p := range d.Panels {
		if p.Type == "row" {
			out = append(out, p.Panels...)
			continue
		}
		out = append(out, p)
	}
	return out
}

func parse(b grafana.Board, s grafana.Source) (document, error) {
	var doc document
	raw, err := b.JSON(s)
	if err != nil {
		return doc, err
	}
	return doc, json.Unmarshal(raw, &doc)
}

// put replaces macros and variables as Grafana does: $__rate_interval is the step and one scrape more, at least four scrapes; a
// variable is a regular expression of its values, or .* for all.
func (d *Day) put(text string, s grafana.Source, v View) string {
	from, to := d.End.Add(-v.Range).UnixMilli(), d.End.UnixMilli()
	scrape := d.Every
	text = strings.NewReplacer(
		"$__rate_interval", seconds(max(v.Step+scrape, 4*scrape)), "$__interval", seconds(v.Step), "$__range", seconds(v.Range),
		"$timeFilter", fmt.Sprintf("time >= %dms and time <= %dms", from, to), "${__to}", fmt.Sprint(to), "${__from}", fmt.Sprint(from),
	).Replace(text)
	return regexp.MustCompile(`\$([a-z]+)`).ReplaceAllStringFunc(text, func(name string) string {
		values := v.Chosen[name[1:]]
		if len(values) == 0 {
			return ".*"
		}
		var quoted []string
		for _, x := range values {
			x = regexp.MustCompile(`[\\^$*+?.()|[\]{}\/]`).ReplaceAllString(x, `\$0`)
			if s == grafana.Prometheus { // inside a string
				x = strings.ReplaceAll(strings.ReplaceAll(x, `\/`, "/"), `\`, `\\`)
			}
			quoted = append(quoted, x)
		}
		return "(" + strings.Join(quoted, "|") + ")"
	})
}

func seconds(d time.Duration) string { return fmt.Sprintf("%ds", int(d.Seconds())) }
