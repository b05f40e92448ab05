package api

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"plimsoll.dev/plimsoll/aggregator/api/params"
	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// ContainerList is GET /plimsoll/v1/containers?q=&limit=&sort=.
type ContainerList struct {
	Schema string      `json:"schema"` // plimsoll.dev/containers/v1
	Time   time.Time   `json:"time"`
	Total  int         `json:"total"` // how many containers there are before ?limit= and ?q=
	Found  int         `json:"found"` // how many of them ?q= finds, before ?limit=
	Items  []Container `json:"items"`
}

// containerOf makes the row of a container, all but what hurts.
func containerOf(it *live.Item) Container {
	e := it.Entity
	c := Container{
		Namespace: e.Namespace, Workload: e.Workload, WorkloadKind: e.WorkloadKind,
		Pod: e.Pod, Name: e.Container, Title: TitleOf(e),
		Runtime: e.Runtime, Image: e.Image, ID: e.ID, Node: e.Node,

		CPU:        rate(it, metric.CPUUsage, decCores),
		CPULimit:   granted(it, metric.CPULimit, "cpu", limits, decCores),
		CPURequest: granted(it, metric.CPURequest, "cpu", (*cluster.Container).Held, decCores),

		WorkingSet:  gauge(it, metric.MemoryWorkingSet, decBytes),
		MemoryLimit: granted(it, metric.MemoryLimit, "memory", limits, decBytes),

		Throttled:      throttled(it),
		CPUPressure:    share(it, metric.CPUWaiting),
		MemoryPressure: share(it, metric.MemoryWaiting),
		IOPressure:     share(it, metric.IOWaiting),

		OOMKills:  gauge(it, metric.OOMKills, decCount),
		Restarts:  restarts(it),
		Processes: gauge(it, metric.Processes, decCount),

		DiskRead:    rate(it, metric.DiskRead, decBytes),
		DiskWrite:   rate(it, metric.DiskWrite, decBytes),
		NetReceive:  rate(it, metric.NetworkReceive, decBytes),
		NetTransmit: rate(it, metric.NetworkTransmit, decBytes),

		Source: it.Source,
		Gap:    gapOf(it.Gap),
	}
	if !it.Start.IsZero() {
		s := begun(it).UTC().Format(time.RFC3339)
		c.Started = &s
	}
	return c
}

// granted is what a container asks for or may use as its machine says, and until that has spoken of it as whoever runs it does.
func granted(it *live.Item, id metric.ID, name cluster.ResourceName, of func(*cluster.Container) cluster.Resources, decimals int) *float64 {
	if v := gauge(it, id, decimals); v != nil {
		return v
	}
	pod, c := known(it)
	if c == nil || c.Done || pod.Finished() {
		return nil
	}
	held, ok := of(c).Get(name)
	return num(held.Float(), ok, decimals)
}

// limits are those of a container that are in force.
func limits(c *cluster.Container) cluster.Resources { return c.Limits }

// throttled is throttled periods over all periods in which the container could run under its limit. With no
// such period in the last look it was not throttled.
func throttled(it *live.Item) *float64 {
	all, ok := it.Rate(metric.CPUPeriods)
	bad, ok2 := it.Rate(metric.CPUThrottledPeriods)
	if !ok || !ok2 {
		return nil
	}
	if all <= 0 {
		return num(0, true, decShare)
	}
	return num(min(max(bad/all, 0), 1), true, decShare)
}

// restarts is the count of whoever runs it where there is one, else what Plimsoll has seen; nil of what only seems to restart.
func restarts(it *live.Item) *float64 {
	if _, c := known(it); c != nil {
		return num(float64(c.Restarts), true, decCount)
	}
	if v, ok := it.Gauge(metric.Restarts); ok {
		return num(v, true, decCount)
	}
	if it.Counted {
		return num(float64(it.Count), true, decCount) // as it was told last
	}
	return num(float64(it.Restarts), identity.Restarts(it.Entity), decCount)
}

// maxLimit is the most rows of an answer.
const maxLimit = 10000

// sortKeys are the orders that ?sort= allows, the default first.
var sortKeys = [...]string{"score", "cpu", "memory", "throttled", "pressure", "cpuPressure", "oom", "restarts", "disk", "network", "name"}

// weights are what the orders go by. By name goes what has none.
var weights = map[string]func(*Container) *float64{
	"score":     func(c *Container) *float64 { return &c.Score },
	"cpu":       func(c *Container) *float64 { return c.CPU },
	"memory":    func(c *Container) *float64 { return c.WorkingSet },
	"throttled": func(c *Container) *float64 { return c.Throttled },
	"pressure": func(c *Container) *float64 {
		return join(metric.Largest, c.CPUPressure, c.MemoryPressure, c.IOPressure)
	},
	"cpuPressure": func(c *Container) *float64 { return c.CPUPressure },
	"oom":         func(c *Container) *float64 { return c.OOMKills },
	"restarts":    func(c *Container) *float64 { return c.Restarts },
	"disk":        func(c *Container) *float64 { return join(metric.Sum, c.DiskRead, c.DiskWrite) },
	"network":     func(c *Container) *float64 { return join(metric.Sum, c.NetReceive, c.NetTransmit) },
}

// sortContainers puts rows in order: the largest first, what is not known last; equals by CPU use, then by
// title and path, so that the same rows always come in the same order.
func sortContainers(rows []*Container, key string) {
	by := weights[key]
	slices.SortStableFunc(rows, func(a, b *Container) int {
		if by != nil {
			if d := cmp.Or(down(by(a), by(b)), down(a.CPU, b.CPU)); d != 0 {
				return d
			}
		}
		return cmp.Or(natural(a.Title, b.Title), cmp.Compare(a.Title, b.Title), cmp.Compare(a.Node, b.Node), cmp.Compare(a.ID, b.ID))
	})
}

// natural compares names as people do: in any case, and numbers in them by their value, so that web-9 comes before web-10.
func natural(a, b string) int {
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x == "" || y == "" {
			r, n := utf8.DecodeRuneInString(a)
			q, m := utf8.DecodeRuneInString(b)
			if d := cmp.Compare(unicode.ToLower(r), unicode.ToLower(q)); d != 0 {
				return d
			}
			a, b = a[n:], b[m:]
			continue
		}
		a, b = a[len(x):], b[len(y):]
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if d := cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)); d != 0 {
			return d
		}
	}
	return cmp.Compare(len(a), len(b))
}

// digits is the number that a text begins with; "" if it does not.
func digits(s string) string { return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))] }

// down compares so that larger comes first and nil last.
func down(a, b *float64) int { return cmp.Compare(or(b, math.Inf(-1)), or(a, math.Inf(-1))) }

// matches says whether every word is in one of the names of the row, or in what hurts.
func matches(c *Container, words string) bool {
	all := strings.ToLower(strings.Join([]string{c.Title, c.Namespace, c.Workload, c.Pod, c.Name, c.Runtime, c.Image, c.ID, c.Node, c.Why}, "\n"))
	return !slices.ContainsFunc(strings.Fields(words), func(w string) bool { return !strings.Contains(all, w) })
}

// selection is what ?q=, ?sort= and ?limit= ask for. It is comparable: streams with equal ones share frames.
type selection struct {
	words string
	sort  string
	limit int
}

func selectionOf(p *params.Params) selection {
	return selection{words: p.Words("q"), sort: p.OneOf("sort", sortKeys[:]...), limit: p.Whole("limit", maxLimit, maxLimit)}
}

// of picks rows, which are in the order of their scores, and says how many there are to pick from; it does not change them.
func (s selection) of(rows []*Container) (picked []Container, found int) {
	if s.words != "" {
		rows = slices.DeleteFunc(slices.Clone(rows), func(c *Container) bool { return !matches(c, s.words) })
	}
	if s.sort != "score" {
		rows = slices.Clone(rows)
		sortContainers(rows, s.sort)
	}
	return copies(rows[:min(len(rows), s.limit)]), len(rows)
}

// copies are the rows as answers have them; never nil.
func copies(rows []*Container) []Container {
	out := make([]Container, 0, len(rows))
	for _, c := range rows {
		out = append(out, *c)
	}
	return out
}
