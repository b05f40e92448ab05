package influx

import (
	"slices"
	"time"
)

// budgetDay is how long a series counts against its namespace's budget after it was last written.
const budgetDay = 24 * time.Hour

// maxBudgets is the most namespaces that have a budget of their own; further ones share one, called "".
const maxBudgets = 1000

// budgets guard the server against label explosions: each namespace may have so many series within a day. Nodes, the cluster
// and what has no namespace share the budget called "".
type budgets struct {
	max  int
	byNs map[string]*budget
}

type budget struct {
	series  map[uint64]int64 // hash of the key: when it was last written, Unix milliseconds
	swept   int64
	refused int64 // lines, ever
	over    bool  // a series was refused within the last sweep period
}

// admit says whether a series may be written.
func (b *budgets) admit(namespace string, hash uint64, now int64) bool {
	n := b.byNs[namespace]
	if n == nil {
		if len(b.byNs) >= maxBudgets {
			namespace = ""
		}
		if n = b.byNs[namespace]; n == nil {
			n = &budget{series: map[uint64]int64{}, swept: now}
			b.byNs[namespace] = n
		}
	}
	if _, known := n.series[hash]; known || len(n.series) < b.max {
		n.series[hash] = now
		return true
	}
	if now-n.swept > (budgetDay/24).Milliseconds() || now < n.swept {
		n.swept = now
		for h, seen := range n.series {
			if now-seen > budgetDay.Milliseconds() {
				delete(n.series, h)
			}
		}
		if len(n.series) < b.max {
			n.series[hash], n.over = now, false
			return true
		}
	}
	n.refused++
	n.over = true
	return false
}

// Refusal is a namespace whose budget of series is used up.
type Refusal struct {
	Namespace string // "" for nodes, the cluster and what has no namespace
	Series    int    // what it has
	Refused   int64  // lines that were left out, since the start
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
