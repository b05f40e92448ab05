package process

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/collector/cgroup/tick"
	"plimsoll.dev/plimsoll/internal/metric"
)

// ticksPerSecond is USER_HZ, the unit of CPU time in /proc: 100 on every architecture that Go runs on.
const ticksPerSecond = 100

// startSlack is how far a process's start may be from what the caller says: the kernel gives the boot time in
// whole seconds, and moves it when the clock is set.
const startSlack = 5 * time.Second

// Reader measures processes. Its methods may be called from several goroutines; Read is meant for one.
type Reader struct {
	opt     Options
	dropped *prometheus.CounterVec

	mu    sync.Mutex
	table *table
	trees map[*metric.Entity]*tree
	prev  time.Time
}

// New makes a Reader. It opens nothing.
func New(o Options) (*Reader, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.proc == "" {
		o.proc = "/proc"
	}
	r := &Reader{opt: o, table: newTable(o.proc), trees: map[*metric.Entity]*tree{},
		// Every reader of the collector has a counter of this name, help and labels, told apart by the constant one.
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name:        "plimsoll_collector_dropped_samples_total",
			Help:        "Samples that a reader could not take or had to drop, by reason.",
			ConstLabels: prometheus.Labels{"reader": "process"},
		}, []string{"reason"})}
	for _, reason := range []string{metric.GapGone, metric.GapPermission, "parse", "io", "clock", "descriptors"} {
		r.dropped.WithLabelValues(reason)
	}
	if o.Registerer != nil {
		if err := o.Registerer.Register(r.dropped); err != nil {
			return nil, fmt.Errorf("cannot register the process reader's metrics: %w", err)
		}
	}
	return r, nil
}

// Read takes one sample of every target of Options.List. A target whose process is gone, or is another one by now,
// or could not be read, has a gap. now should come straight from time.Now, so that a step of the wall clock is
// seen: then every target has a gap with the reason "clock".
func (r *Reader) Read(now time.Time) ([]metric.Group, []metric.Gap) {
	r.mu.Lock()
	defer r.mu.Unlock()
	targets := r.opt.List()
	r.forget(targets)
	step := tick.Stepped(r.prev, now)
	r.prev = now
	if len(targets) == 0 {
		return nil, nil
	}
	boot, err := r.scan(tick.Begin(now))
	var groups []metric.Group
	var gaps []metric.Gap
	for _, t := range targets {
		g, reason, detail := r.target(t, boot, err, step)
		if reason != "" {
			r.dropped.WithLabelValues(reason).Inc()
			gaps = append(gaps, metric.Gap{Entity: t.Entity, Reason: reason, Detail: detail})
			continue
		}
		groups = append(groups, g)
	}
	return groups, gaps
}

// scan reads the table of processes and the time the machine booted.
func (r *Reader) scan(tk tick.Tick) (time.Time, error) {
	boot, err := r.table.boot()
	if err != nil {
		return boot, err
	}
	if err := r.table.read(tk); err != nil {
		return boot, fmt.Errorf("cannot list the processes: %w", err)
	}
	return boot, nil
}

// target measures one target, or says why not.
func (r *Reader) target(t Target, boot time.Time, lookErr error, step bool) (g metric.Group, reason, detail string) {
	switch {
	case t.Entity == nil || t.PID <= 0:
		return g, metric.GapGone, "it has no process"
	case lookErr != nil:
		reason := reasonOf(lookErr)
		if errors.Is(lookErr, errBoot) {
			reason = "parse"
		}
		return g, reason, lookErr.Error()
	case step:
		r.keep(t)
		return g, "clock", "the machine's clock was stepped"
	}
	root := r.table.at[t.PID]
	if root == nil {
		if why := r.table.failed[t.PID]; why != "" {
			return g, why, fmt.Sprintf("process %d could not be read", t.PID)
		}
		return g, metric.GapGone, fmt.Sprintf("process %d has ended", t.PID)
	}
	tr, why := r.tree(t, root, boot)
	if tr == nil {
		return g, metric.GapGone, why
	}
	if t.Alone {
		sum := totals{cpu: root.cpu}
		sum.add(&root.stat)
		return group(t.Entity, tr.start, root.t, sum), "", ""
	}
	sum, why := tr.total(r.table)
	if why != "" {
		return g, why, fmt.Sprintf("process %d, or one that it started, could not be read", t.PID)
	}
	return group(t.Entity, tr.start, root.t, sum), "", ""
}

// tree returns what is kept of a target, or why its process is not the one that is meant. The start is compared once,
// when the process is first seen: later on the wall clock may have been set.
func (r *Reader) tree(t Target, root *process, boot time.Time) (*tree, string) {
	k := key{t.PID, root.stat.start}
	tr := r.trees[t.Entity]
	if tr != nil && tr.root == k {
		return tr, ""
	}
	start := boot.Add(time.Duration(root.stat.start) * time.Second / ticksPerSecond)
	switch {
	case !t.Start.IsZero() && t.Start.Sub(start).Abs() > startSlack:
		return nil, fmt.Sprintf("process %d is another one: it began at %s", t.PID, start.UTC().Format(time.RFC3339))
	case t.Start.IsZero() && tr != nil && tr.root.pid == t.PID:
		return nil, fmt.Sprintf("process %d is another one by now", t.PID)
	case !t.Start.IsZero():
		start = t.Start
	}
	tr = &tree{root: k, start: start}
	r.trees[t.Entity] = tr
	return tr, ""
}

// keep takes a look at a target whose sample is dropped, so that no time is lost with a process that ends.
func (r *Reader) keep(t Target) {
	tr, root := r.trees[t.Entity], r.table.at[t.PID]
	if tr != nil && root != nil && tr.root == (key{t.PID, root.stat.start}) {
		tr.total(r.table)
	}
}

func group(e *metric.Entity, start time.Time, t int64, sum totals) metric.Group {
	user, system := float64(sum.user)/ticksPerSecond, float64(sum.system)/ticksPerSecond
	rss := float64(sum.rss * uint64(os.Getpagesize()))
	return metric.Group{Entity: e, Start: start, Points: []metric.Point{
		{ID: metric.CPUUsage, T: t, V: user + system},
		{ID: metric.CPUUser, T: t, V: user},
		{ID: metric.CPUSystem, T: t, V: system},
		{ID: metric.MemoryWorkingSet, T: t, V: rss},
		{ID: metric.MemoryRSS, T: t, V: rss},
		{ID: metric.Processes, T: t, V: float64(sum.processes)},
		{ID: metric.Threads, T: t, V: float64(sum.threads)},
		{ID: metric.StartTime, T: t, V: float64(start.UnixMilli()) / 1e3},
	}}
}

// forget drops what is kept of targets that are no longer listed.
func (r *Reader) forget(targets []Target) {
	listed := make(map[*metric.Entity]bool, len(targets))
	for _, t := range targets {
		listed[t.Entity] = true
	}
	maps.DeleteFunc(r.trees, func(e *metric.Entity, _ *tree) bool { return !listed[e] })
}
