package main

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
)

// line is one series of an answer.
type line struct {
	Labels map[string]string `json:"labels"`
	Points [][2]float64      `json:"points"`
}

// serveSeries answers the structured queries that the page asks.
func (w *world) serveSeries(rw http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	name := q.Get("metric")
	level, _, _ := strings.Cut(name, "_")
	start, _ := strconv.ParseFloat(q.Get("start"), 64)
	end, _ := strconv.ParseFloat(q.Get("end"), 64)
	step, _ := strconv.ParseFloat(q.Get("step"), 64)
	if !strings.Contains(" container node workload pod ", " "+level+" ") || step <= 0 || (end-start)/step > 11000 {
		rw.WriteHeader(http.StatusBadRequest)
		answer(rw, map[string]any{"schema": "plimsoll.dev/error/v1", "status": 400, "error": fmt.Sprintf("cannot read the query %q", r.URL.RawQuery)})
		return
	}
	want := map[string]string{}
	for _, label := range [...]string{"node", "namespace", "workload_kind", "workload", "pod", "container"} {
		if q.Has(label) {
			want[label] = q.Get(label)
		}
	}
	lines := w.series(name, want, q.Get("by") != "", start, end, step)
	if level == "workload" {
		window, _ := strconv.ParseFloat(q.Get("window"), 64)
		w.over(lines, q.Get("func"), window, func(t float64) float64 { return w.value(name, want, t) })
	}
	answer(rw, map[string]any{"schema": "plimsoll.dev/series/v1", "series": lines})
}

// over makes each point what a function says of the time before it.
func (w *world) over(lines []line, name string, window float64, at func(t float64) float64) {
	const looks = 24
	for _, l := range lines {
		for i, p := range l.Points {
			sum, most, least := p[1], p[1], p[1]
			for k := range looks {
				v := at(p[0] - window*float64(k+1)/(looks+1))
				sum, most, least = sum+v, max(most, v), min(least, v)
			}
			if v, ok := map[string]float64{"avg": sum / (looks + 1), "max": most, "min": least}[name]; ok && !math.IsInf(v, 0) {
				l.Points[i][1] = v
			}
		}
	}
}

// series evaluates one metric: one line for each container where they are to stay apart, else one of all.
func (w *world) series(name string, want map[string]string, apart bool, start, end, step float64) []line {
	draw := func(labels map[string]string, at func(t float64) float64) line {
		l := line{labels, [][2]float64{}}
		for t := start; t <= end; t += step {
			if t < float64(w.oldest()) || t > w.now() {
				continue
			}
			if v := at(t); !math.IsInf(v, 0) {
				l.Points = append(l.Points, [2]float64{t, v})
			}
		}
		return l
	}
	out := []line{}
	if !apart {
		return append(out, draw(map[string]string{}, func(t float64) float64 { return w.value(name, want, t) }))
	}
	for _, b := range w.all(w.now()) {
		labels := map[string]string{"node": "node-7", "namespace": b.ns, "pod": b.pod, "container": b.name}
		out = append(out, draw(labels, func(t float64) float64 { return w.sum(name, []box{b.then(t)}, t) }))
	}
	return out
}

// then gives the container as it was: a replica's use depends on how many there were.
func (b box) then(t float64) box {
	if b.workload == "web" && b.ns == "demo" {
		b.cpu = load(t) * .2
	}
	return b
}

func (w *world) value(name string, want map[string]string, t float64) float64 {
	switch name {
	case "workload_replicas_desired":
		return w.scaled(want, float64(replicas(t)))
	case "workload_replicas_ready":
		return w.scaled(want, float64(ready(t)))
	case "workload_scale_load_ratio":
		if want["workload"] == "resize" && broken(t) {
			return math.Inf(1)
		}
		return w.scaled(want, load(t))
	case "workload_scale_target_ratio":
		return .7
	case "workload_missing_parts":
		if w.scene == "cluster" && want["workload"] == "checkout" && math.Mod(t, 600) > 400 {
			return 1
		}
		return math.Inf(1)
	}
	var some []box
	for _, b := range w.all(t) {
		if matches(b, want) {
			some = append(some, b)
		}
	}
	if len(some) == 0 {
		return math.Inf(1)
	}
	return w.sum(name, some, t)
}

// scaled gives demo/web the story's value, and other targets a calm one.
func (w *world) scaled(want map[string]string, v float64) float64 {
	switch want["workload"] {
	case "web":
		return v
	case "checkout":
		if v >= 2 {
			return 3
		}
		return .41
	}
	if v >= 2 {
		return 2
	}
	return .5
}

func matches(b box, want map[string]string) bool {
	have := map[string]string{"namespace": b.ns, "pod": b.pod, "container": b.name, "workload": b.workload, "workload_kind": b.kind, "node": "node-7"}
	for k, v := range want {
		if have[k] != v {
			return false
		}
	}
	return true
}
