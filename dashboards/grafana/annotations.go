package grafana

import (
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store/promql"
)

// annotations are Grafana's own and, where the board asks for them, the autoscaler's decisions to change a count.
func annotations(b Board, s Source) []object {
	out := []object{{"builtIn": 1, "datasource": object{"type": "grafana", "uid": "-- Grafana --"}, "enable": true, "hide": true,
		"iconColor": "rgba(0, 211, 255, 1)", "name": "Annotations & Alerts", "type": "dashboard"}}
	if !b.Decisions {
		return out
	}
	if s == Influx {
		return append(out, influxDecisions(b, s))
	}
	return append(out, promDecisions(b, s, "Scaled up", "red", ">"), promDecisions(b, s, "Scaled down", "blue", "<"))
}

// influxDecisions marks the entries of the decision log, with the sentence that each explains itself in.
func influxDecisions(b Board, s Source) object {
	asked := b.narrowed(last(metric.ReplicasDesired, metric.Workload))
	query := `SELECT "action", "message", "namespace", "workload" FROM "decision" WHERE $timeFilter AND "action" != 'Hold'` + influxWhere(asked.Matchers)
	o := object{"name": "Scaling", "datasource": source(s), "enable": true, "iconColor": "orange"}
	target := object{"refId": "Anno", "query": query, "rawQuery": true, "resultFormat": "table", "fromAnnotations": true, "textEditor": true,
		"titleColumn": "action", "textColumn": "message", "tagsColumn": "namespace,workload"}
	for _, k := range []string{"query", "titleColumn", "textColumn", "tagsColumn"} {
		o[k] = target[k] // where Grafana before 12 looks
	}
	o["target"] = target
	return o
}

// promDecisions marks where the count that the autoscaler asked for differs from that of the step before. The steps follow one
// another without gaps at every zoom, so no change between two of them is left out unless it was taken back in the same step.
func promDecisions(b Board, s Source, name, colour, op string) object {
	asked := b.narrowed(last(metric.ReplicasDesired, metric.Workload))
	newest := "sum by (namespace, workload) (last_over_time(" + promql.Selector(metric.Get(asked.Row), asked.Level, asked.Matchers) + "[" + nowWindow + "]"
	expr := "(" + newest + ")) - " + newest + " offset $__interval))) " + op + " 0"
	if op == "<" {
		expr = "-(" + expr + ")" // Grafana draws what is above zero
	}
	return object{"name": name, "datasource": source(s), "enable": true, "iconColor": colour, "tagKeys": "namespace,workload",
		"titleFormat": name, "textFormat": "{{namespace}} / {{workload}}", "expr": expr, "step": "10s",
		"target": object{"refId": "Anno", "expr": expr, "interval": "10s"}}
}
