package live

import (
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

// unit is one entity of the picture: its series, its place in the tree, and what its roll-up has counted.
// Only the Picture touches it, under its lock.
type unit struct {
	entity *metric.Entity
	// ptrs are the pointers under which senders know it: the readers of both lanes may have their own.
	ptrs [3]*metric.Entity
	key  key

	parent  *unit   // nil for the cluster
	node    *unit   // where a pod, or a container without a pod, runs
	members []*unit // units whose parent this is, by name; for a node the units that run on it; see tidy
	count   int     // how many there are
	dead    bool    // not in the picture any more

	series []series // sorted by row, then sub
	subs   []string // subs[0] is ""
	base   int64    // Unix milliseconds; times in series are relative to it

	start    [numLanes]int64 // as the lane's newest group has it, Unix milliseconds; 0: not known
	heard    [numLanes]int64 // for a node: the time of the newest sample in its newest batch
	last     [numLanes]int64 // the newest sample of its own by lane
	interval [numLanes]int32 // milliseconds between samples
	back     [numLanes]step  // samples that came with earlier times

	first     int64 // when it was first seen
	restarted int64 // no sample up to this time belongs to the present container
	restarts  int
	rival     string       // the ID of the other container of these names that was superseded
	gap       *cluster.Gap // what a batch said, until a newer sample

	sum   *rollup
	item  *Item        // valid while a snapshot is being built
	over  bool         // as the newest snapshot has it: silent because it has ended
	shown *cluster.Gap // as the newest snapshot has it
}

// step watches for a clock that went back: samples that are older than the newest, yet advance.
type step struct {
	t int64
	n int32
}

// key identifies an entity by its names. Kubernetes' pods are unique in the cluster, so their key has no node:
// the same pod on two nodes is one pod, of which the newer start counts. Everything else is unique on its node.
type key struct {
	level            metric.Level
	node, ns, at, on string
}

type idKey struct{ node, id string }

func keyOf(e *metric.Entity) key {
	switch e.Level {
	case metric.Container:
		pod := e.Pod
		if pod == "" {
			pod = e.ID
		}
		return key{e.Level, scope(e), e.Namespace, pod, e.Container}
	case metric.Pod:
		return key{e.Level, scope(e), e.Namespace, e.Pod, ""}
	case metric.Workload:
		return key{e.Level, "", e.Namespace, e.WorkloadKind, e.Workload}
	case metric.Namespace:
		return key{e.Level, "", e.Namespace, "", ""}
	case metric.Node:
		return key{e.Level, e.Node, "", "", ""}
	}
	return key{level: metric.Cluster}
}

// scope is the node's name where names are unique on a node only. The kubelet puts all pods below a cgroup
// whose name has "kubepods" in it, and its own endpoint gives no cgroup at all.
func scope(e *metric.Entity) string {
	if e.ID == "" || strings.Contains(e.ID, "kubepods") {
		return ""
	}
	return e.Node
}

// usable says whether the entity has the names that its level needs.
func usable(e *metric.Entity) bool {
	const limit = 4096
	if len(e.Node)+len(e.Namespace)+len(e.WorkloadKind)+len(e.Workload)+len(e.Pod)+len(e.Container)+len(e.ID)+len(e.Runtime)+len(e.Image) > limit {
		return false
	}
	switch e.Level {
	case metric.Container:
		return e.Container != "" && (e.Pod != "" || e.ID != "")
	case metric.Pod:
		return e.Pod != ""
	case metric.Workload:
		return e.Workload != ""
	case metric.Namespace:
		return e.Namespace != ""
	case metric.Node:
		return e.Node != ""
	}
	return e.Level == metric.Cluster
}

// find returns the index of a series, looking first at hint: points come in the same order each time.
func (u *unit) find(hint int, id metric.ID, sub string) (int, bool) {
	if hint < len(u.series) {
		if s := &u.series[hint]; s.id == id && u.subs[s.sub] == sub {
			return hint, true
		}
	}
	return slices.BinarySearchFunc(u.series, id, func(s series, id metric.ID) int {
		if s.id != id {
			return int(s.id) - int(id)
		}
		return strings.Compare(u.subs[s.sub], sub)
	})
}

// add makes room for a series at index i; ok is false at the limit.
func (u *unit) add(i int, id metric.ID, sub string, limit int) bool {
	if len(u.series) >= limit {
		return false
	}
	k := slices.Index(u.subs, sub)
	if k < 0 {
		k = len(u.subs)
		u.subs = append(u.subs, strings.Clone(sub))
	}
	u.series = slices.Insert(u.series, i, series{id: id, sub: uint16(k)})
	return true
}

// prune drops series that have had no sample since the time given (an interface that went away).
func (u *unit) prune(before int64) {
	old := u.subs
	u.subs = append(make([]string, 0, len(old)), "")
	u.series = slices.DeleteFunc(u.series, func(s series) bool {
		if s.n == 0 || s.pending > 0 {
			return s.pending == 0
		}
		t, _ := s.newest()
		return u.base+int64(t) < before
	})
	for i := range u.series {
		sub := old[u.series[i].sub]
		k := slices.Index(u.subs, sub)
		if k < 0 {
			k = len(u.subs)
			u.subs = append(u.subs, sub)
		}
		u.series[i].sub = uint16(k)
	}
}

// has says whether the unit has samples of its own for the row that are still current at now.
func (u *unit) has(p *Picture, id metric.ID, now int64) bool {
	if u.gap != nil && u.gap.Reason == gone {
		return false
	}
	i, _ := slices.BinarySearchFunc(u.series, id, func(s series, id metric.ID) int { return int(s.id) - int(id) })
	for ; i < len(u.series) && u.series[i].id == id; i++ {
		if p.current(u, &u.series[i], now) {
			return true
		}
	}
	return false
}

// owned says whether some sender knows the unit, that is, whether it is more than a roll-up.
func (u *unit) owned() bool { return u.ptrs[0] != nil || u.ptrs[1] != nil || u.ptrs[2] != nil }

// newestSample returns the time of the newest sample of either lane, 0 if there is none.
func (u *unit) newestSample() int64 { return max(u.last[full], u.last[fast]) }

// reset forgets all samples.
func (u *unit) reset() {
	for i := range u.series {
		u.series[i].clear()
	}
}

// rebase makes t fit into the series' range of times.
func (u *unit) rebase(t int64) {
	if d := t - u.base; d >= 0 && d < 1<<31 {
		return
	}
	if t < u.base {
		u.reset()
	}
	next := t - 1000*3600
	for i := range u.series {
		u.series[i].shift(next - u.base)
	}
	u.base = next
}
