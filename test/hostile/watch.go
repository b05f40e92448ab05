package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// survived measures what the attack did to the process: its peak memory, as the kernel kept it, and how late the autoscaler's loop was.
func (p *product) survived(ctx context.Context, before histogram) ([]figure, error) {
	select {
	case err := <-p.ended:
		p.ended <- err
		return nil, fmt.Errorf("Plimsoll ended: %w", err) //nolint:staticcheck // a name
	default:
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return nil, err
	}
	peak := math.NaN()
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				return nil, err
			}
			peak = kib / 1024
		}
	}
	out := []figure{{"peak memory", peak, "MiB", 512, "as the kernel kept it (VmHWM)", false}}
	late, err := p.lateness(ctx)
	if err != nil {
		return out, err
	}
	q, n := late.since(before).quantile(0.99)
	if n == 0 {
		return out, fmt.Errorf("the autoscaler made no pass while it was attacked")
	}
	f := figure{"autoscaler's loop, lateness p99", q * 1000, "ms", 100, fmt.Sprintf("of %g passes", n), false}
	if n < 100 { // then it is the slowest of all
		f.most, f.note = 1000, f.note+": the bar is that of the slowest, 100 ms where there were 100 passes"
	}
	return append(out, f), nil
}

// histogram is one of Prometheus', by upper bound.
type histogram struct {
	bounds, counts []float64
}

// lateness reads how late the loop's passes began.
func (p *product) lateness(ctx context.Context) (h histogram, err error) {
	var text string
	if err := p.ask(ctx, "/metrics", &text); err != nil {
		return h, err
	}
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, `plimsoll_autoscaler_pass_lateness_seconds_bucket{le="`)
		if !ok {
			continue
		}
		bound, count, _ := strings.Cut(strings.TrimSpace(rest), `"} `)
		b, err1 := strconv.ParseFloat(bound, 64)
		c, err2 := strconv.ParseFloat(count, 64)
		if err1 != nil || err2 != nil {
			return h, fmt.Errorf("cannot read %q", line)
		}
		h.bounds, h.counts = append(h.bounds, b), append(h.counts, c)
	}
	if len(h.bounds) == 0 {
		return h, fmt.Errorf("the metrics do not say how late the loop is")
	}
	return h, nil
}

// since is what was counted after before.
func (h histogram) since(before histogram) histogram {
	out := histogram{bounds: h.bounds}
	for i := range h.counts {
		out.counts = append(out.counts, h.counts[i]-before.counts[i])
	}
	return out
}

// quantile is interpolated in its bucket, as Prometheus does.
func (h histogram) quantile(q float64) (value, n float64) {
	n = h.counts[len(h.counts)-1]
	from, below := 0.0, 0.0
	for i, c := range h.counts {
		if c >= q*n && c > below {
			if math.IsInf(h.bounds[i], 1) {
				return from, n
			}
			return from + (h.bounds[i]-from)*(q*n-below)/(c-below), n
		}
		from, below = h.bounds[i], c
	}
	return from, n
}

// watcher keeps the CPU time that the replicas of the service have really used, by the kernel's word.
type watcher struct {
	p *product

	mu   sync.Mutex
	by   map[int]float64 // seconds, by process
	gone float64
	at   []time.Time
	used []float64 // together, of those that are gone too
}

func (w *watcher) run(ctx context.Context) {
	w.by = map[int]float64{}
	for ctx.Err() == nil {
		w.look()
		_ = sleep(ctx, 200*time.Millisecond)
	}
}

func (w *watcher) look() {
	now := time.Now()
	there := map[int]float64{}
	dirs, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range dirs {
		line, err := os.ReadFile(f)
		if err != nil || !bytes.Contains(line, []byte("demo-service")) || !bytes.Contains(line, []byte(w.p.dir)) {
			continue
		}
		stat, err := os.ReadFile(filepath.Join(filepath.Dir(f), "stat"))
		if err != nil {
			continue
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		user, err1 := strconv.ParseFloat(fields[11], 64)
		system, err2 := strconv.ParseFloat(fields[12], 64)
		if err == nil && err1 == nil && err2 == nil {
			const ticks = 100 // USER_HZ, on every Linux
			there[pid] = (user + system) / ticks
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for pid, s := range w.by {
		if _, ok := there[pid]; !ok {
			w.gone += s
		}
	}
	w.by = there
	sum := w.gone
	for _, s := range there {
		sum += s
	}
	w.at, w.used = append(w.at, now), append(w.used, sum)
}

// cores are those used on average in a time before a moment.
func (w *watcher) cores(before time.Time, over time.Duration) float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	value := func(t time.Time) float64 {
		last := 0.0
		for i := range w.at {
			if w.at[i].After(t) {
				break
			}
			last = w.used[i]
		}
		return last
	}
	over = min(over, max(before.Sub(w.at[0]), time.Second))
	return (value(before) - value(before.Add(-over))) / over.Seconds()
}

// Each replica of the demo's service asks for a tenth of a core on a machine of two or more, and is to use 70 % of that.
const perReplica = 0.07

// judge compares each change of the service's replicas with what they used: no look at it may have wanted more, nor every look fewer, but
// for one replica that tolerance and rounding make.
func (w *watcher) judge(ctx context.Context, since time.Time) ([]figure, error) {
	var got struct {
		Items []struct {
			Time    time.Time
			Action  string
			From    float64
			To      float64
			Message string
		}
	}
	err := w.p.ask(ctx, "/plimsoll/v1/decisions?namespace=demo&name=web&action=Up,Down&limit=1000&start="+since.UTC().Format(time.RFC3339), &got)
	if err != nil {
		return nil, err
	}
	wrong, note := 0, ""
	for _, d := range got.Items {
		least, most := math.Inf(1), 0.0
		for _, over := range []time.Duration{2, 3, 5, 10, 15, 30, 60, 90} {
			c := w.cores(d.Time, over*time.Second) / perReplica
			least, most = min(least, c), max(most, c)
		}
		if d.Action == "Up" && d.To > math.Ceil(most)+1 || d.Action == "Down" && d.To < math.Floor(least)-1 {
			wrong++
			note = fmt.Sprintf("; %s %g to %g, by what was used %.1f to %.1f: %s", d.Action, d.From, d.To, least, most, d.Message)
		}
	}
	return []figure{{"wrong scalings", float64(wrong), "", 0, fmt.Sprintf("of %d%s", len(got.Items), note), false}}, nil
}
