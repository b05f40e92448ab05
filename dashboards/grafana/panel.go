package grafana

import (
	"strings"

	"github.com/grafana-tools/sdk"

	"plimsoll.dev/plimsoll/internal/store"
)

// panel draws one panel: the SDK's part, and what goes over it.
func panel(b Board, s Source, p Panel) (*sdk.Panel, object) {
	var out *sdk.Panel
	switch p.Draw {
	case Text:
		out = sdk.NewText(p.Title)
		out.TextPanel.Options.Mode, out.TextPanel.Options.Content = "markdown", p.Note
		return out, object{"fieldConfig": object{"defaults": object{}, "overrides": []object{}}}
	case Stat:
		out = sdk.NewStat(p.Title)
	case Bars:
		out = &sdk.Panel{CommonPanel: sdk.CommonPanel{OfType: sdk.BarGaugeType, Type: "bargauge", Title: p.Title}, BarGaugePanel: &sdk.BarGaugePanel{}}
	case Gauge: // the SDK has none
		out = sdk.NewCustom(p.Title)
		out.Type, out.CustomPanel = "gauge", &sdk.CustomPanel{}
	case Table:
		out = sdk.NewTable(p.Title)
	default:
		out = sdk.NewTimeseries(p.Title)
	}
	about := strings.TrimSpace(p.Note + "\n\n" + help(p.queries()))
	out.Description, out.Datasource = &about, source(s)
	extra := object{"interval": s.interval(), "targets": targets(b, s, p, out), "options": options(p), "fieldConfig": fields(b, s, p)}
	if p.Draw == Table {
		extra["transformations"] = transformations(s, p)
	}
	return out, extra
}

// source is the reference to the data source that is chosen at the board's top.
func source(s Source) object { return object{"type": s.plugin(), "uid": "${datasource}"} }

// targets gives the panel its queries, A, B, C: first what is shown, then the limits. It returns what the SDK's target lacks.
func targets(b Board, s Source, p Panel, out *sdk.Panel) []object {
	var ts []sdk.Target
	var extra []object
	for i, q := range p.queries() {
		t := sdk.Target{RefID: refID(i), Datasource: source(s)}
		n := b.narrowed(q)
		switch s {
		case Influx:
			column, format := "", "time_series"
			if p.Draw == Table {
				column, format = q.Name, "table"
			}
			t.Query, t.RawQuery, t.Alias = influxQL(n, p.Draw.now(), column), true, alias(q.Name)
			extra = append(extra, object{"resultFormat": format})
		default:
			t.Expr, t.LegendFormat, t.Instant, t.Format = promQL(n, p.Draw.now()), q.Name, p.Draw.now(), "time_series"
			if p.Draw == Table {
				t.Format = "table"
			}
			extra = append(extra, object{"range": !p.Draw.now(), "editorMode": "code"})
		}
		ts = append(ts, t)
	}
	switch out.OfType {
	case sdk.CustomType:
		(*out.CustomPanel)["targets"] = ts
	case sdk.BarGaugeType:
		out.BarGaugePanel.Targets = ts
	default:
		for i := range ts {
			out.AddTarget(&ts[i])
		}
	}
	return extra
}

func refID(i int) string { return string(rune('A' + i)) }

// alias turns a legend's {{node}} into InfluxDB's $tag_node.
func alias(name string) string {
	return strings.NewReplacer("{{", "$tag_", "}}", "").Replace(name)
}

// options are those of the panel's kind.
func options(p Panel) object {
	newest := object{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}
	switch p.Draw {
	case Stat:
		return object{"reduceOptions": newest, "colorMode": "value", "graphMode": "none", "justifyMode": "auto", "orientation": "auto", "textMode": "auto", "wideLayout": true}
	case Gauge:
		return object{"reduceOptions": newest, "orientation": "auto", "showThresholdLabels": false, "showThresholdMarkers": true, "sizing": "auto"}
	case Bars:
		return object{"reduceOptions": newest, "orientation": "horizontal", "displayMode": "basic", "valueMode": "color", "showUnfilled": true, "sizing": "auto", "namePlacement": "auto"}
	case Table:
		return object{"showHeader": true, "cellHeight": "sm", "sortBy": []object{{"displayName": p.Show[0].Name, "desc": true}},
			"footer": object{"show": false, "reducer": []string{"sum"}, "countRows": false, "fields": ""}}
	}
	return object{"legend": object{"displayMode": "table", "placement": "bottom", "showLegend": true, "calcs": []string{"lastNotNull", "max"}},
		"tooltip": object{"mode": "multi", "sort": "desc"}}
}

// transformations make one table of a panel's queries: rows meet where their labels agree, times are left out since the
// columns may look back over different ranges.
func transformations(s Source, p Panel) []object {
	order, names := object{}, object{}
	for i, l := range p.Show[0].By {
		order[l] = i
	}
	for i, q := range p.Show {
		column := q.Name
		if s == Prometheus {
			column = "Value #" + refID(i)
			names[column] = q.Name
		}
		order[column] = len(p.Show[0].By) + i
	}
	return []object{
		{"id": "filterFieldsByName", "options": object{"exclude": object{"names": []string{"Time"}}}},
		{"id": "merge", "options": object{}},
		{"id": "organize", "options": object{"indexByName": order, "renameByName": names, "excludeByName": object{}}},
	}
}

// decimals is how many digits of a unit after the point are worth reading; less than zero: as Grafana finds right.
func decimals(q Query) int {
	switch {
	case q.axis() == "cores":
		return 2
	case q.unit() == "short" && (q.Func == store.Last || q.Total):
		return 0
	}
	return -1
}
