package influx

import (
	"maps"
	"slices"
	"time"
)

// budgetDay is how long a series counts against its namespace's budget after it was last written.
const budgetDay = 24 * time.Hour

// maxBudgets is the most namespaces that have a budget of their own; further ones share the one called others, which is no
// namespace's name.
const (
	maxBudgets = 1000
	others     = "(others)"
)

// budgets guard the server against label explosions: each namespace may have so many series within a day. Nodes, the cluster
// and what has no namespace share the budget called "".
type budgets struct {
	max   int
	byNs  map[string]*budget
	swept int64
}

type budget struct {
	series  map[uint64]int64 // hash of the key: when it was last written, Unix milliseconds
	refused int64            // lines, as long as there are series
	over    bool             // a series was refused, and there was no room since
}

// admit says whether a series may be written.
func (b *budgets) admit(namespace string, hash uint64, now int64) bool {
	n := b.byNs[namespace]
	if n == nil {
		if namespace != "" && len(b.byNs) >= maxBudgets {
			namespace = others
		}
		if n = b.byNs[namespace]; n == nil {
			n = &budget{series: map[uint64]int64{}}
			b.byNs[namespace] = n
		}
	}
	if _, known := n.series[hash]; known || len(n.series) < b.max {
		n.series[hash] = now
		return true
	}
	n.refused++
	n.over = true
	return false
}

// tidy forgets the series that were not written for a day, and the namespaces that have none left, now and then.
func (b *budgets) tidy(now int64) {
	if now-b.swept <= (budgetDay/24).Milliseconds() && now >= b.swept {
		return
	}
	b.swept = now
	for ns, n := range b.byNs {
		maps.DeleteFunc(n.series, func(_ uint64, seen int64) bool { return now-seen > budgetDay.Milliseconds() })
		if len(n.series) == 0 {
			delete(b.byNs, ns)
		}
		n.over = n.over && len(n.series) >= b.max
	}
}

// Refusal is a namespace whose budget of series is used up.
type Refusal struct {
	Namespace string // "" for nodes, the cluster and what has no namespace; "(others)" for those beyond a thousand
	Series    int    // what it has
	Refused   int64  // lines that were left out
}

func (b *budgets) refusals() []Refusal {
	var out []Refusal
	for ns, n := range b.byNs {
		if n.over {
			out = append(out, Refusal{ns, len(n.series), n.refused})
		}
	}
	slices.SortFunc(out, func(x, y Refusal) int { return int(y.Refused - x.Refused) })
	return out
}
