package policy

import (
	"math"
	"slices"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// class is how a pod is counted.
type class uint8

const (
	counted  class = iota // ready, with a sample
	unready               // starting: its sample is not believed
	missing               // no sample
	ignored               // dying or failed
	stranger              // a sample of a pod that is not in the list
)

// row is one pod in the table of a metric.
type row struct {
	value   cluster.Milli
	request cluster.Milli
	class   class
	pod     int32 // index in Input.Pods; -1 for a stranger
}

// sample is what is known of one pod for one metric.
type sample struct {
	value  cluster.Milli
	at     time.Time
	window time.Duration
	source string // as PodUsage has it
	ok     bool
	old    bool   // too old to count; then it is not ok
	lacks  string // the container that it leaves out, which runs; then it is not ok
}

// table is a metric's pods, classified, with values and requests.
type table struct {
	rows    []row
	samples []sample       // by pod
	groups  [5]int         // rows by class
	stale   int            // samples dropped for their age
	partial int            // samples dropped as they leave a container out
	sources map[string]int // counted rows that no collector tells of, by who does; nil: none
	num     numbers
}

// reset makes room for n pods.
func (t *table) reset(n int) {
	if cap(t.rows) < n {
		t.rows, t.samples = make([]row, 0, n+2), make([]sample, 0, n+2)
	}
	t.rows, t.samples = t.rows[:0], t.samples[:n]
	clear(t.samples)
	t.groups, t.stale, t.partial, t.sources = [5]int{}, 0, 0, nil
}

// add appends a row.
func (t *table) add(r row) {
	t.rows = append(t.rows, r)
	t.groups[r.class]++
}

// classify puts a pod into its group: the first rule that fits.
func (p *pass) classify(pod *cluster.Pod, s *sample, cpu bool) class {
	switch {
	case pod.Deleting || pod.Phase == corev1.PodFailed:
		return ignored
	case pod.Phase == corev1.PodPending:
		return unready
	case !s.ok:
		return missing
	case cpu && p.starting(pod, s):
		return unready
	}
	return counted
}

// starting says whether a pod's CPU still is that of its start.
func (p *pass) starting(pod *cluster.Pod, s *sample) bool {
	if pod.Ready == "" || pod.StartTime.IsZero() {
		return true
	}
	notReady := pod.Ready == corev1.ConditionFalse
	if pod.StartTime.Add(p.in.Options.CPUInitializationPeriod).After(p.in.Now) {
		return notReady || s.at.Before(pod.ReadyTransition.Add(s.window))
	}
	return notReady && pod.StartTime.Add(p.in.Options.InitialReadinessDelay).After(pod.ReadyTransition)
}

// measure gives the ratio of a metric's usage to its target over the counted rows, strangers included where the HPA
// counts them, and over missing and unready rows as far as fill says. The percentage and the average are cut to whole
// numbers first, as the HPA does. ok is false when nothing is left to divide by.
func (t *table) measure(m *metric, f fill) (ratio float64, percent int32, average cluster.Milli, size int, ok bool) {
	byRequest := m.target == autoscalingv2.UtilizationMetricType
	var usage, request cluster.Milli
	n := 0
	for i := range t.rows {
		r := &t.rows[i]
		v := r.value
		switch r.class {
		case ignored:
			continue
		case missing:
			if !f.missing {
				continue
			}
			v = t.missingValue(m, r, f.full)
		case unready:
			if !f.unready {
				continue
			}
			v = 0
		}
		size++
		if byRequest && r.class == stranger {
			continue
		}
		n++
		usage, request = t.num.add(usage, v), t.num.add(request, r.request)
	}
	if n == 0 || (byRequest && request == 0) {
		return 0, 0, 0, size, false
	}
	average = usage / cluster.Milli(n)
	if !byRequest {
		return float64(average) / float64(m.milli), 0, average, size, true
	}
	percent = t.num.whole(t.num.mulDiv(int64(usage), 100, int64(request)))
	return float64(percent) / float64(m.percent), percent, average, size, true
}

// takeOver shares out among the counted pods what those used that are gone, and says whether that was anything.
func (t *table) takeOver(m *metric, departed []cluster.ContainerUsage) bool {
	var sum cluster.Milli
	for _, c := range departed {
		if m.container == "" || m.container == c.Name {
			used, _ := c.Usage.Get(m.resource())
			sum = t.num.add(sum, used)
		}
	}
	n := cluster.Milli(t.groups[counted])
	if sum <= 0 || n == 0 {
		return false
	}
	for i := range t.rows {
		if r := &t.rows[i]; r.class == counted {
			share := (sum + n - 1) / n // what is left over goes to the first ones
			r.value, sum, n = t.num.add(r.value, share), sum-share, n-1
		}
	}
	return true
}

// fill says what stands in for pods without a usable sample.
type fill struct {
	missing, unready bool
	full             bool // missing pods count as full (on the way down), otherwise as idle
}

// missingValue is what stands in for a pod without a sample.
func (t *table) missingValue(m *metric, r *row, full bool) cluster.Milli {
	switch {
	case !full:
		return 0
	case m.target == autoscalingv2.UtilizationMetricType:
		return cluster.Milli(t.num.mulDiv(int64(r.request), int64(max(100, m.percent)), 100))
	}
	return m.milli
}

// load gives the counted pods' load in replicas' worth, and how much one replica is to carry in the metric's unit.
func (t *table) load(m *metric) (load, each float64) {
	var usage, request float64
	n := 0
	for i := range t.rows {
		r := &t.rows[i]
		if r.class != counted && (r.class != stranger || m.target == autoscalingv2.UtilizationMetricType) {
			continue
		}
		n++
		usage, request = usage+r.value.Float(), request+r.request.Float()
	}
	each = m.milli.Float()
	if m.target == autoscalingv2.UtilizationMetricType {
		each = request / float64(max(n, 1)) * float64(m.percent) / 100
	}
	if each <= 0 {
		return math.NaN(), 0
	}
	return usage / each, each
}

// groupsOf lists the pods by group for the report.
func (p *pass) groupsOf(t *table) PodGroups {
	g := PodGroups{Counted: t.groups[counted]}
	for i := range t.rows {
		r := &t.rows[i]
		if r.pod < 0 || r.class == counted {
			continue
		}
		name := p.in.Pods[r.pod].Name
		switch r.class {
		case unready:
			g.Unready = append(g.Unready, name)
		case missing:
			g.Missing = append(g.Missing, name)
		case ignored:
			g.Ignored = append(g.Ignored, name)
		}
	}
	slices.Sort(g.Unready)
	slices.Sort(g.Missing)
	slices.Sort(g.Ignored)
	return g
}
