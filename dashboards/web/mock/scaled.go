package main

import (
	"fmt"
	"math"
)

// decisions gives the changes of demo/web after one time and up to another, newest first.
func decisions(after, until float64) []map[string]any {
	out := []map[string]any{}
	for base := math.Floor(until/period) * period; base > after-period; base -= period {
		for i := len(acts()) - 1; i >= 0; i-- {
			a := acts()[i]
			if at := base + a.at; at > after && at <= until {
				out = append(out, decision("demo", "ProcessService", "web", at, a.from, a.to, a.say))
			}
		}
	}
	return out
}

func decision(ns, kind, name string, t float64, from, to int, say string) map[string]any {
	action, why := "Hold", "within tolerance of the line"
	if to > from {
		action, why = "Up", "cpu above 70 %, looked at 3 s"
	} else if to < from {
		action, why = "Down", "cpu below 70 %, looked at 60 s"
	}
	steps := []any{
		map[string]any{"step": "metrics", "before": from, "after": to, "why": why},
		map[string]any{"step": "stabilize", "before": to, "after": to, "why": "highest in 300 s: " + fmt.Sprint(to)},
		map[string]any{"step": "limits", "before": to, "after": to, "why": "2 to 10"},
	}
	return map[string]any{"time": stamp(t), "namespace": ns, "kind": kind, "name": name, "action": action, "from": from, "to": to, "reason": "CPU",
		"message": say, "detail": map[string]any{"schema": "plimsoll.dev/decision/v1", "steps": steps}}
}

func target(ns, name string, lo, hi, n, ready, desired int, load, line any, last map[string]any) map[string]any {
	members := []any{}
	for i := 1; i <= n; i++ {
		state := "ready"
		if i > ready {
			state = "starting"
		}
		members = append(members, map[string]any{"name": fmt.Sprintf("%s-%d", name, i), "state": state, "cpu": .17, "memory": 44 << 20, "since": last["time"], "restarts": 0, "detail": ""})
	}
	return map[string]any{
		"namespace": ns, "kind": "ProcessService", "name": name, "mode": "Auto", "min": lo, "max": hi, "replicas": n, "ready": ready, "desired": desired,
		"metrics": []any{map[string]any{"name": "cpu", "type": "Resource", "load": load, "target": line, "of": "250m CPU", "amount": "", "noise": .03, "window": 3}},
		"last":    last, "change": nil, "members": members, "gap": nil, "policy": policy(ns, name, lo, hi), "updated": last["time"],
	}
}

func policy(ns, name string, lo, hi int) string {
	return fmt.Sprintf("apiVersion: plimsoll.dev/v1alpha1\nkind: ScalePolicy\nmetadata: {namespace: %s, name: %s}\nspec:\n  scaleTargetRef: {kind: ProcessService, name: %s}\n"+
		"  minReplicas: %d\n  maxReplicas: %d\n  metrics:\n    - type: Resource\n      resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}\n", ns, name, name, lo, hi)
}

func (w *world) web(t float64) map[string]any {
	n := replicas(t)
	hold := decision("demo", "ProcessService", "web", t-.4, n, n, fmt.Sprintf("Load at %.0f %% is within 10 %% of the line at 70 %%.", load(t)*100))
	s := target("demo", "web", 2, 10, n, ready(t), n, load(t), .7, hold)
	if past := decisions(t-period, t); len(past) > 0 {
		s["change"] = past[0]
	}
	return s
}

func (w *world) checkout(t float64) map[string]any {
	hold := decision("shop", "Compose", "checkout", t-.3, 3, 3, "Load at 41 % would need 2; the highest need in the last 5 min was 3.")
	s := target("shop", "checkout", 2, 8, 3, 3, 3, .41+.02*noise("co", t, 2), .6, hold)
	s["kind"], s["mode"], s["state"] = "Compose", "DryRun", "dry run"
	if w.scene == "ill" {
		s["gap"] = map[string]any{"since": stamp(t - 200), "reason": "target", "detail": "the metric queue_length failed: Get \"https://metrics.example.com/apis/external.metrics.k8s.io/v1beta1/namespaces/shop/queue_length?labelSelector=queue%3Dcheckout-orders-of-the-day-before-yesterday%2Cregion%3Dnowhere\": connection refused"}
	}
	return s
}

func (w *world) resize(t float64) map[string]any {
	if !broken(t) {
		return target("batch", "resize", 1, 6, 2, 2, 2, .78+.03*noise("rs", t, 2), .8, decision("batch", "ProcessService", "resize", t-.5, 2, 2, "Load at 78 % is within 10 % of the line at 80 %."))
	}
	s := target("batch", "resize", 1, 6, 2, 2, 2, nil, .8, decision("batch", "ProcessService", "resize", t-.5, 2, 2, "Nothing is scaled on missing data."))
	s["gap"] = map[string]any{"since": stamp(math.Floor(t/900)*900 + 600), "reason": "permission", "detail": "the reader of resize-1 was refused (permission)"}
	return s
}

func (w *world) workloadOf(ns, kind, name string, t float64) map[string]any {
	rows := []any{}
	cpu, mem := 0.0, 0.0
	for _, b := range w.all(t) {
		if b.ns == ns && b.kind == kind && b.workload == name {
			rows = append(rows, w.row(b, t))
			cpu += *b.orZero(t)
			mem += b.memory(t)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	v := map[string]any{"schema": "plimsoll.dev/workload/v1", "time": stamp(t), "namespace": ns, "kind": kind, "name": name, "cpu": cpu, "workingSet": mem,
		"pods": len(rows), "scaled": nil, "containers": rows, "gap": nil}
	if w.scene == "cluster" && name == "checkout" {
		v["partial"], v["parts"] = []string{"cpu", "workingSet"}, map[string]any{"counted": 3, "of": 4, "unit": "pods"}
		v["gap"] = map[string]any{"since": stamp(t - 90), "reason": "member", "detail": "1 of 4: pod shop/checkout-4: silent"}
	}
	switch name {
	case "web":
		v["scaled"] = w.web(t)
		v["decisions"] = decisions(t-period, t)[:1]
	case "checkout":
		v["scaled"] = w.checkout(t)
	case "resize":
		v["scaled"] = w.resize(t)
	}
	return v
}
