package live

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Used is what a container, or a node, used: CPU in cores, the mean over Window, which ends at Time; memory in bytes, its working set then.
type Used struct {
	Name        string
	CPU, Memory float64
	Time        time.Time // the older of the two's newest samples
	Window      time.Duration
}

// atOnce is how many pods are read until somebody who waits for the lock gets it.
const atOnce = 64

// PodsUsed calls each for every pod in turn with what its containers used over the newest w, by name. Containers of which CPU and memory are
// not both known are left out, as is what belongs to another pod of that name. The last values stay while nothing newer comes, for twice w, or
// for as long as they are current anyway, but not of what has ended. The slice is used again for the next pod.
func (p *Picture) PodsUsed(now time.Time, pods []*cluster.Pod, w time.Duration, each func(i int, containers []Used)) {
	ms := now.UnixMilli()
	var used []Used
	var ends [atOnce]int
	for from := 0; from < len(pods); from += atOnce {
		part := pods[from:min(from+atOnce, len(pods))]
		used = used[:0]
		p.mu.Lock()
		for i, pod := range part {
			used = p.tree.podUsed(used, pod, ms, w.Milliseconds())
			ends[i] = len(used)
		}
		p.mu.Unlock()
		begin := 0
		for i := range part {
			containers := used[begin:ends[i]:ends[i]]
			slices.SortFunc(containers, func(a, b Used) int { return strings.Compare(a.Name, b.Name) })
			each(from+i, containers)
			begin = ends[i]
		}
	}
}

// NodeUsed is the same of a node.
func (p *Picture) NodeUsed(now time.Time, node string, w time.Duration) (Used, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := p.tree.byKey[identity.NodeKey(node)]
	if u == nil {
		return Used{}, false
	}
	out, ok := p.tree.used(u, now.UnixMilli(), w.Milliseconds())
	out.Name = node
	return out, ok
}

// podUsed appends what the containers of a pod used.
func (t *tree) podUsed(out []Used, pod *cluster.Pod, now, w int64) []Used {
	u := t.byKey[identity.PodKey("", pod.Namespace, pod.Name)] // as nearly all are known
	if u == nil {
		u = t.pod(pod)
	}
	if u == nil {
		return out
	}
	for _, c := range u.members {
		if !c.of(pod) {
			continue
		}
		if x, ok := t.used(c, now, w); ok {
			x.Name = c.entity.Container
			out = append(out, x)
		}
	}
	return out
}

// of says whether a container belongs to this pod, and not to one that had its name before. The names of the kubelet's cgroups have the pod's
// UID in them. Where no cgroup is known, nothing that began before the pod did is its own; a static pod's mirror may be younger than the pod.
func (u *unit) of(pod *cluster.Pod) bool { return belongs(u.entity, u.began(), pod) }

func belongs(e *metric.Entity, began int64, pod *cluster.Pod) bool {
	if e.Node != "" && pod.Node != "" && e.Node != pod.Node {
		return false
	}
	if strings.Contains(e.ID, "kubepods") && pod.UID != "" {
		return inCgroup(e.ID, cmp.Or(pod.CgroupUID, pod.UID))
	}
	return e.ID != "" || pod.CgroupUID != "" || began == 0 || pod.StartTime.IsZero() || began >= pod.StartTime.Add(-time.Second).UnixMilli()
}

// inCgroup says whether a cgroup's path has a pod's UID in it, as it is or with underlines as systemd needs them.
func inCgroup(path, uid string) bool {
	for {
		i := strings.Index(path, "pod")
		if i < 0 || len(path)-i-len("pod") < len(uid) {
			return false
		}
		path = path[i+len("pod"):]
		k := 0
		for k < len(uid) && (path[k] == uid[k] || path[k] == '_' && uid[k] == '-') {
			k++
		}
		if k == len(uid) {
			return true
		}
	}
}

// used is what a unit used over the newest w milliseconds.
func (t *tree) used(u *unit, now, w int64) (out Used, ok bool) {
	patience := 2 * w
	// Its machine cannot have gone on without what was heard of just now.
	if u.unread() || now-u.newest() > min(u.limit(t.limits, full), u.limit(t.limits, fast)) && t.ended(u) {
		return out, false
	}
	cpu, ok := u.recent(t.limits, metric.CPUUsage, now, w, patience)
	if !ok || cpu.covers == 0 {
		return out, false
	}
	memory, ok := u.recent(t.limits, metric.MemoryWorkingSet, now, 0, patience)
	if !ok {
		return out, false
	}
	return Used{CPU: cpu.mean, Memory: memory.mean, Time: millis(min(cpu.newest, memory.newest)), Window: time.Duration(cpu.covers) * time.Millisecond}, true
}

// recent is a row's window of w milliseconds that ends with its newest sample, if that is current or no older than patience.
func (u *unit) recent(l *limits, id metric.ID, now, w, patience int64) (out window, ok bool) {
	k, found := u.find(0, id, "")
	if !found || u.unread() {
		return out, false
	}
	x := u.long(&u.series[k])
	if x.n == 0 || now-(u.base+int64(x.newest().t)) > max(patience, u.limit(l, x.lane)) {
		return out, false
	}
	kind := metric.Get(id).Kind
	mean, t, covers := x.mean(kind, w, u.limit(l, x.lane))
	if kind == metric.Counter && covers == 0 { // it is heard again, or by somebody else: what it used before that stands until there are two samples of now
		before := *cmp.Or(u.before, x)
		if u.before == nil {
			before.n--
		}
		if before.n > 0 && now-(u.base+int64(before.newest().t)) <= patience {
			mean, t, covers = before.mean(kind, w, max(u.limit(l, x.lane), u.limit(l, full)))
		}
	}
	return window{mean: mean, newest: u.base + t, covers: covers}, true
}
