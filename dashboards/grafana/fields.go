package grafana

import (
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store/promql"
)

// fields is the panel's fieldConfig: units, colours, lines and links.
func fields(b Board, s Source, p Panel) object {
	q := p.Show[0]
	d := object{"color": object{"mode": "thresholds"}, "thresholds": thresholds(p), "mappings": []any{}}
	if p.Draw != Table {
		d["unit"], d["min"] = q.unit(), 0
		if n := decimals(q); n >= 0 {
			d["decimals"] = n
		}
	}
	if p.Draw == Gauge || p.Draw == Bars && q.unit() == "percentunit" {
		d["max"] = 1
	}
	if p.None != "" {
		d["noValue"] = p.None
	}
	overrides := []object{}
	switch p.Draw {
	case Lines, Stacked, Steps:
		d["color"] = object{"mode": "palette-classic"}
		d["custom"] = line(p)
		for i := range p.Limits {
			overrides = append(overrides, dashed(refID(len(p.Show)+i)))
		}
	case Table:
		d["custom"] = object{"align": "auto", "filterable": true, "inspect": false, "cellOptions": object{"type": "auto"}}
		for _, q := range p.Show {
			overrides = append(overrides, column(q))
		}
		if p.To != "" {
			overrides = append(overrides, linked(b, s, p))
		}
	}
	return object{"defaults": d, "overrides": overrides}
}

// thresholds are the panel's colours, and its lines in a chart.
func thresholds(p Panel) object {
	steps := []object{{"color": "green", "value": nil}}
	if p.Warn > 0 {
		steps = append(steps, object{"color": "orange", "value": p.Warn})
	}
	if p.Bad > 0 {
		steps = append(steps, object{"color": "red", "value": p.Bad})
	}
	return object{"mode": "absolute", "steps": steps}
}

// line is how a chart draws.
func line(p Panel) object {
	o := object{"axisPlacement": "auto", "axisLabel": p.Show[0].axis(), "axisColorMode": "text", "axisBorderShow": false, "drawStyle": "line", "lineInterpolation": "linear",
		"lineWidth": 1, "fillOpacity": 8, "gradientMode": "none", "showPoints": "auto", "pointSize": 4, "spanNulls": false, "barAlignment": 0,
		"lineStyle": object{"fill": "solid"}, "stacking": object{"group": "A", "mode": "none"}, "scaleDistribution": object{"type": "linear"},
		"hideFrom": object{"legend": false, "tooltip": false, "viz": false}, "thresholdsStyle": object{"mode": "off"}}
	switch p.Draw {
	case Stacked:
		o["stacking"], o["fillOpacity"] = object{"group": "A", "mode": "normal"}, 40
	case Steps:
		o["lineInterpolation"], o["fillOpacity"], o["lineWidth"] = "stepAfter", 0, 2
	}
	if p.Warn > 0 || p.Bad > 0 {
		o["thresholdsStyle"] = object{"mode": "dashed"}
	}
	if p.Least > 0 {
		o["axisSoftMax"] = p.Least
	}
	return o
}

func override(matcher, of string, properties ...object) object {
	return object{"matcher": object{"id": matcher, "options": of}, "properties": properties}
}

func property(id string, v any) object { return object{"id": id, "value": v} }

// dashed draws a query's lines as limits.
func dashed(ref string) object {
	return override("byFrameRefID", ref, property("custom.lineStyle", object{"fill": "dash", "dash": []int{10, 10}}), property("custom.fillOpacity", 0),
		property("custom.lineWidth", 1), property("custom.showPoints", "never"), property("custom.stacking", object{"group": "A", "mode": "none"}),
		property("color", object{"mode": "fixed", "fixedColor": "dark-red"}))
}

// column gives a table's column its unit, and shares a bar.
func column(q Query) object {
	ps := []object{property("unit", q.unit())}
	if n := decimals(q); n >= 0 {
		ps = append(ps, property("decimals", n))
	}
	if q.Over != nil {
		ps = append(ps, property("custom.cellOptions", object{"type": "gauge", "mode": "basic"}), property("min", 0), property("max", 1),
			property("color", object{"mode": "continuous-GrYlRd"}))
	}
	return override("byName", q.Name, ps...)
}

// linked makes the last label's column lead to a board that shows that row's thing alone.
func linked(b Board, s Source, p Panel) object {
	by := p.Show[0].By
	args := []string{"${datasource:queryparam}", "${__url_time_range}"}
	for _, v := range board(p.To).Vars {
		switch {
		case slices.Contains(by, v.Label):
			args = append(args, "var-"+v.Label+"=${__data.fields."+v.Label+":percentencode}")
		case b.chooses(v.Label):
			args = append(args, "${"+v.Label+":queryparam}")
		}
	}
	link := object{"title": "Show it alone", "url": "/d/" + s.uid(p.To) + "?" + strings.Join(args, "&")}
	return override("byName", by[len(by)-1], property("links", []object{link}))
}

// board finds a board by name; the zero board if there is none.
func board(name string) Board {
	for _, b := range Boards() {
		if b.Name == name {
			return b
		}
	}
	return Board{}
}

// variables are the choices at the board's top: the data source, then the board's own.
func variables(b Board, s Source) []object {
	out := []object{{"name": "datasource", "label": "Data source", "type": "datasource", "query": s.plugin(), "refresh": 1, "regex": "", "hide": 0,
		"includeAll": false, "multi": false, "options": []any{}, "current": object{}, "skipUrlSync": false}}
	for i, v := range b.Vars {
		asked := Board{Vars: b.Vars[:i]}.narrowed(of(v.Of, v.Level, "", nil))
		row := metric.Get(v.Of)
		o := object{"name": v.Label, "label": title(v.Label), "type": "query", "datasource": source(s), "refresh": 2, "sort": 1, "regex": "", "hide": 0,
			"includeAll": true, "allValue": ".*", "multi": true, "options": []any{}, "skipUrlSync": false,
			"current": object{"selected": true, "text": []string{"All"}, "value": []string{"$__all"}}}
		switch s {
		case Influx:
			q := "SHOW TAG VALUES FROM " + quoteIdent(v.Level.String()) + " WITH KEY = " + quoteIdent(v.Label)
			if w := influxWhere(asked.Matchers); w != "" {
				q += " WHERE" + strings.TrimPrefix(w, " AND")
			}
			o["query"], o["definition"] = q, q
		default:
			q := "label_values(" + promql.Selector(row, v.Level, asked.Matchers) + ", " + v.Label + ")"
			o["query"], o["definition"] = object{"query": q, "refId": "PrometheusVariableQueryEditor-VariableQuery"}, q
		}
		out = append(out, o)
	}
	return out
}

func title(label string) string { return strings.ToUpper(label[:1]) + label[1:] }
