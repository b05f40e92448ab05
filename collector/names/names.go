package names

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"plimsoll.dev/plimsoll/collector/cgroup"
	"plimsoll.dev/plimsoll/internal/metric"
)

// PodNames knows the containers of Kubernetes pods: the pod list of the node, once there is one.
type PodNames interface {
	// Container tells the names of a pod's container by the pod's UID and the container's id; false if it
	// is not known (yet).
	Container(podUID, containerID string) (PodContainer, bool)
}

// PodContainer names one container of a Kubernetes pod.
type PodContainer struct {
	Namespace, WorkloadKind, Workload, Pod, Container, Image string
	Sandbox                                                  bool // the pod's own pause container, which is not measured
}

// Options says where the names come from.
type Options struct {
	// Node is the name of this machine, which every entity carries.
	Node string
	// Sockets are the paths of the sockets of Docker and podman to ask; those that do not exist are tried
	// again later. DefaultSockets lists the usual ones. Empty: no names but ids.
	Sockets []string
	// Pods names the containers of Kubernetes pods; nil leaves them with the pod's UID. Call Refresh when it
	// has learnt something new.
	Pods PodNames
	// Own is the process id of the Plimsoll that runs the process services that are meant by their plain names; those of another
	// Plimsoll on this machine are in a namespace of its own, "plimsoll-<pid>". Zero: all have their plain names.
	Own int
	// Logger gets changes of the sockets' states; nil discards.
	Logger *slog.Logger
}

// Validate says what is wrong with the options, or nil.
func (o *Options) Validate() error {
	for _, p := range o.Sockets {
		if !filepath.IsAbs(p) {
			return fmt.Errorf("cannot ask for names at socket %q: the path must be absolute", p)
		}
	}
	return nil
}

// Names gives cgroups their names. It is safe for use by several goroutines.
type Names struct {
	opt     Options
	log     *slog.Logger
	hasKids func(path string) bool // whether the cgroup has child cgroups

	paths sync.Map // cgroup path -> *entry
	count atomic.Int64
	limit int64        // of count, before the forgotten are looked for at once; guarded by mu
	round atomic.Int64 // of sweeping; an entry not asked for in two rounds is forgotten

	mu    sync.Mutex
	byID  map[string][]*entry // container id -> its cgroups
	infos map[string]*known   // container id -> what its runtime told

	sockets []*socket
}

// known is what a runtime told about a container, and who told it.
type known struct {
	info
	from *socket
}

// entry is what is kept of one cgroup path.
type entry struct {
	path   string
	place  place
	entity atomic.Pointer[metric.Entity] // nil: not measured
	round  atomic.Int64
}

// maxPaths is how many paths are kept at most before those no longer asked for are forgotten at once.
const maxPaths = 1 << 16

// New makes a Names; it asks no socket before Run.
func New(opt Options) (*Names, error) {
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	n := &Names{opt: opt, log: opt.Logger, hasKids: mounts(cgroup.Mounts()).hasChildren,
		limit: maxPaths, byID: map[string][]*entry{}, infos: map[string]*known{}}
	if n.log == nil {
		n.log = slog.New(slog.DiscardHandler)
	}
	for _, p := range opt.Sockets {
		n.sockets = append(n.sockets, newSocket(p))
	}
	return n, nil
}

// Name returns the entity of the cgroup at a path below the mount point, and whether it is measured by
// itself: groups such as slices, and cgroups inside a container, are not. The root's entity is the node.
// The pointer stays the same for as long as the cgroup lives and its names stay.
func (n *Names) Name(path string) (*metric.Entity, bool) {
	var e *entry
	if v, ok := n.paths.Load(path); ok {
		e = v.(*entry)
	} else {
		e = n.intern(path)
	}
	if r := n.round.Load(); e.round.Load() != r {
		e.round.Store(r)
	}
	ent := e.entity.Load()
	if ent == nil || e.place.kind == plain && n.hasKids(path) {
		return nil, false
	}
	return ent, true
}

// intern makes the entry of a path seen for the first time.
func (n *Names) intern(path string) *entry {
	e := &entry{path: path, place: classify(path)}
	if own := n.opt.Own; own != 0 && e.place.owner != "" && e.place.owner != "plimsoll-"+strconv.Itoa(own) {
		e.place.space = e.place.owner // its services may have our services' names
	}
	e.round.Store(n.round.Load())
	n.mu.Lock()
	defer n.mu.Unlock()
	if v, ok := n.paths.Load(path); ok {
		return v.(*entry)
	}
	n.rename(e)
	n.paths.Store(path, e)
	if e.place.id != "" {
		n.byID[e.place.id] = append(n.byID[e.place.id], e)
	}
	if n.count.Add(1) > n.limit {
		n.sweepLocked()
		n.limit = max(maxPaths, 2*n.count.Load())
	}
	return e
}

// rename gives an entry the entity that fits what is known now; the old one stays if nothing changed.
// The caller holds mu.
func (n *Names) rename(e *entry) {
	if e.place.kind == group {
		return
	}
	want := n.describe(e)
	if have := e.entity.Load(); have != nil && want != nil && *have == *want {
		return
	}
	e.entity.Store(want)
}

// describe makes the entity of an entry, nil if it is not measured. The caller holds mu.
func (n *Names) describe(e *entry) *metric.Entity {
	pl := e.place
	if pl.kind == pod {
		return n.describePod(e)
	}
	var in info
	k, ok := n.infos[pl.id]
	if ok && pl.id != "" {
		in = k.info
		if pl.kind == containerd { // an id below a parent of the user's choice: the socket knows whose it is
			pl.kind, pl.runtime, pl.space = docker, k.from.runtime(), ""
		}
	}
	return entity(n.opt.Node, e.path, pl, in, ok)
}

func (n *Names) describePod(e *entry) *metric.Entity {
	out := entity(n.opt.Node, e.path, e.place, info{}, false)
	if n.opt.Pods == nil {
		return out
	}
	c, ok := n.opt.Pods.Container(e.place.podUID, e.place.id)
	if !ok {
		return out
	}
	if c.Sandbox {
		return nil
	}
	out.Namespace, out.WorkloadKind, out.Workload = c.Namespace, c.WorkloadKind, c.Workload
	out.Pod, out.Container, out.Image = c.Pod, c.Container, c.Image
	return out
}

// Refresh asks Options.Pods again about every container of a pod.
func (n *Names) Refresh() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.paths.Range(func(_, v any) bool {
		if e := v.(*entry); e.place.kind == pod {
			n.rename(e)
		}
		return true
	})
}

// sweep forgets the paths that no one has asked for since the sweep before the last.
func (n *Names) sweep() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sweepLocked()
}

func (n *Names) sweepLocked() {
	now := n.round.Add(1)
	n.paths.Range(func(key, v any) bool {
		e := v.(*entry)
		if now-e.round.Load() < 2 {
			return true
		}
		n.paths.Delete(key)
		n.count.Add(-1)
		n.unlink(e)
		return true
	})
}

// unlink takes an entry out of the index by id. The caller holds mu.
func (n *Names) unlink(e *entry) {
	if e.place.id == "" {
		return
	}
	list := n.byID[e.place.id]
	kept := list[:0]
	for _, x := range list {
		if x != e {
			kept = append(kept, x)
		}
	}
	if len(kept) == 0 {
		delete(n.byID, e.place.id)
		return
	}
	n.byID[e.place.id] = kept
}
