package names

import (
	"cmp"
	"fmt"
	"log/slog"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"plimsoll.dev/plimsoll/collector/cgroup"
	"plimsoll.dev/plimsoll/collector/host"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
)

// Options says where the names come from.
type Options struct {
	// Node is the name of this machine, which every entity carries.
	Node string
	// Host is where the machine's files are.
	Host host.Host
	// Sockets are the paths of the sockets of Docker and podman to ask; those that do not exist are tried
	// again later. DefaultSockets lists the usual ones. Empty: no names but ids.
	Sockets []string
	// Inventory knows the replicas of process services on this machine; nil where nobody does. What it says are a replica's names; those of
	// another Plimsoll on this machine are in a namespace of its own, "plimsoll-<pid>".
	Inventory cluster.Inventory
	// Pods knows the pods of the node that this machine is: what it does not know is not measured. nil: nobody does, and pods keep their UIDs.
	Pods Pods
	// Own is the folder of the Plimsoll whose replicas the inventory knows, "plimsoll-<pid>": a cgroup in it that the inventory does not know
	// is not measured until it does.
	Own string
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
	return o.Host.Validate()
}

// Names gives cgroups their names. It is safe for use by several goroutines.
type Names struct {
	opt     Options
	log     *slog.Logger
	hasKids func(path string) bool     // whether the cgroup has child cgroups
	kids    func(path string) []string // the names of those
	inUse   func(path string) bool     // whether a process is in it
	exists  func(path string) bool     // whether there is such a cgroup

	paths sync.Map // cgroup path -> *entry
	count atomic.Int64
	limit int64        // of count, before the forgotten are looked for at once; guarded by mu
	round atomic.Int64 // of sweeping; an entry not asked for in two rounds is forgotten

	mu    sync.Mutex
	byID  map[string][]*entry          // container id -> its cgroups
	infos map[string]map[string]*known // whose runtime, "" for the machine's -> container id -> what it told
	bears map[identity.Key]*entry      // the names of a pod's container -> the cgroup that has them

	nesting sync.Mutex // guards the nests of all entries, and below
	below   below
	turns   atomic.Uint64

	sockets []*socket
}

// known is what a runtime told about a container, and who told it.
type known struct {
	info
	from *socket
	life
}

// entry is what is kept of one cgroup path.
type entry struct {
	path    string
	place   place
	own     bool                          // in the folder of our replicas
	born    time.Time                     // when it was first asked for
	entity  atomic.Pointer[metric.Entity] // nil: not measured
	waiting atomic.Bool                   // not measured until somebody tells who it is
	pod     atomic.Pointer[cluster.Pod]   // of a pod's container: what it was last named by; nil: the pod was not known
	over    bool                          // another cgroup has its names
	nest    nest                          // of a plain one
	round   atomic.Int64
}

// wait is how long a container is not measured because its runtime has not told its name yet: an id that was a name for a moment would be a
// series for ever.
const wait = 2 * time.Second

// maxPaths is how many paths are kept at most before those no longer asked for are forgotten at once.
const maxPaths = 1 << 16

// New makes a Names; it asks no socket before Run.
func New(opt Options) (*Names, error) {
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	m := mounts(cgroup.Mounts(opt.Host))
	n := &Names{opt: opt, log: cmp.Or(opt.Logger, slog.New(slog.DiscardHandler)), hasKids: m.hasChildren, kids: m.children, inUse: m.hasProcesses, exists: m.exists,
		limit: maxPaths, byID: map[string][]*entry{}, infos: map[string]map[string]*known{}, bears: map[identity.Key]*entry{}}
	for _, p := range opt.Sockets {
		n.sockets = append(n.sockets, newSocket(p))
	}
	return n, nil
}

// Name returns the entity of the cgroup at a path below the mount point, and whether it is measured by
// itself: groups such as slices, and cgroups inside a container, are not. The root's entity is the node.
// The pointer stays the same for as long as the cgroup lives and its names stay. What is not known yet is to be asked for again.
func (n *Names) Name(path string) (*metric.Entity, bool) {
	var e *entry
	if v, ok := n.paths.Load(path); ok {
		e = v.(*entry)
	} else {
		e = n.intern(path)
	}
	e.asked(n.round.Load())
	ent := e.entity.Load()
	if n.ofCluster(e) && n.outdated(e) || !n.ofCluster(e) && ent == nil && e.waiting.Load() {
		n.mu.Lock()
		n.rename(e)
		n.mu.Unlock()
		ent = e.entity.Load()
	}
	if ent == nil || e.place.kind == plain && !n.alone(e) {
		return nil, false
	}
	return ent, true
}

// asked notes that an entry is asked for in a round of sweeping, and with it those that it lies in.
func (e *entry) asked(round int64) {
	if e.round.Load() == round {
		return
	}
	e.round.Store(round)
	for _, up := range e.nest.above {
		up.round.Store(round)
	}
}

// Waits says whether the cgroup at a path is measured as soon as somebody tells its name.
func (n *Names) Waits(path string) bool {
	v, ok := n.paths.Load(path)
	return ok && v.(*entry).waiting.Load()
}

// HostNetwork says whether the container of a cgroup is of a pod in its node's network, as far as the pod is known.
func (n *Names) HostNetwork(path string) bool {
	v, ok := n.paths.Load(path)
	if !ok {
		return false
	}
	p := v.(*entry).pod.Load()
	return p != nil && p.HostNetwork
}

// intern makes the entry of a path seen for the first time.
func (n *Names) intern(path string) *entry {
	e := &entry{path: path, place: classify(path), born: time.Now()}
	e.own = e.place.kind == replica && n.opt.Inventory != nil && e.place.space == n.opt.Own
	e.round.Store(n.round.Load())
	switch e.place.kind {
	case plain:
		e.nest.above = n.above(path)
	case group:
	default:
		n.holds(path)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if v, ok := n.paths.Load(path); ok {
		return v.(*entry)
	}
	if id := e.place.id; id != "" {
		n.byID[id] = append(n.byID[id], e)
		n.renameAll(id)
	} else {
		n.rename(e)
	}
	n.paths.Store(path, e)
	if n.count.Add(1) > n.limit {
		n.sweepLocked()
		n.limit = max(maxPaths, 2*n.count.Load())
	}
	return e
}

// renameAll renames all cgroups of a container's id. The caller holds mu.
func (n *Names) renameAll(id string) {
	for _, e := range n.byID[id] {
		n.rename(e)
	}
}

// rename gives an entry the entity that fits what is known now; the old one stays if nothing changed, or if nobody knows it any more.
// The caller holds mu.
func (n *Names) rename(e *entry) {
	if e.place.kind == group {
		return
	}
	want, known := n.describe(e)
	have := e.entity.Load()
	e.waiting.Store(!known && have == nil)
	if !known || have != nil && want != nil && *have == *want {
		return
	}
	e.entity.Store(want)
}

// describe makes the entity of an entry; false if that is not known yet. The caller holds mu.
func (n *Names) describe(e *entry) (*metric.Entity, bool) {
	pl := e.place
	switch {
	case e.own:
		p, c := n.replica(e)
		if c == nil {
			return nil, false
		}
		return ofPod(n.opt.Node, e.path, pl.runtime, p, c), true
	case n.ofCluster(e):
		return n.container(e)
	case pl.id != "" && pl.kind != pod:
		if !n.genuine(e) { // named as what it is not
			pl.name = strings.TrimPrefix(e.path, "/")
			break
		}
		k := n.told(pl)
		if k == nil {
			if time.Since(e.born) < wait && n.mayTell(pl) {
				return nil, false
			}
			break
		}
		if pl.kind == containerd { // an id below a parent of the user's choice: the socket knows whose it is
			pl.kind, pl.runtime, pl.space = docker, k.from.runtime(), ""
		}
		return n.entity(e.path, pl, k.info), true
	}
	return n.entity(e.path, pl, info{}), true
}

// entity makes the entity of what is no pod's. On a node of a cluster its namespace says so, with a sign that no namespace of Kubernetes has: of
// "system" there may be one.
func (n *Names) entity(path string, pl place, in info) *metric.Entity {
	e := entity(n.opt.Node, path, pl, in)
	if e.Level == metric.Container {
		e.Namespace = n.Space(e.Namespace)
	}
	return e
}

// Space is the namespace of what is the machine's own, and no pod's.
func (n *Names) Space(of string) string {
	if n.opt.Pods == nil {
		return of
	}
	return of + "@node"
}

// told is what a runtime said of a container: a user's only of that user's, the machine's of any. The caller holds mu.
func (n *Names) told(pl place) *known {
	if k := n.infos[pl.owner][pl.id]; k != nil {
		return k
	}
	return n.infos[""][pl.id]
}

// replica looks up one of ours in the inventory, by its cgroup.
func (n *Names) replica(e *entry) (*cluster.Pod, *cluster.Container) {
	for _, p := range n.opt.Inventory.All() {
		for i := range p.Containers {
			if c := &p.Containers[i]; path.Clean("/"+c.Cgroup) == e.path {
				return p, c
			}
		}
	}
	return nil, nil
}

// genuine says whether an entry is the container of its id: of several cgroups of one id the one where runtimes put containers by
// themselves, else the one that lies highest, else the first by name. The caller holds mu.
func (n *Names) genuine(e *entry) bool {
	rank := func(x *entry) int {
		depth := strings.Count(x.path, "/")
		if usual := strings.HasPrefix(x.path, "/docker/") || strings.HasPrefix(x.path, "/system.slice/") || strings.HasPrefix(x.path, "/machine.slice/"); usual {
			return depth
		}
		return 1000 + depth
	}
	for _, x := range n.byID[e.place.id] {
		if x != e && x.place.owner == e.place.owner && cmp.Or(cmp.Compare(rank(x), rank(e)), cmp.Compare(x.path, e.path)) < 0 {
			return false
		}
	}
	return true
}

// mayTell says whether a socket that has not failed may still tell a container's name.
func (n *Names) mayTell(pl place) bool {
	k := pl.kind
	for _, s := range n.sockets {
		if s.open() && (s.owner == "" || s.owner == pl.owner) && (k == containerd || k != crio && (s.runtime() == "podman") == (k == podman)) {
			return true
		}
	}
	return false
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
	n.release(e)
	id := e.place.id
	if id == "" {
		return
	}
	n.byID[id] = slices.DeleteFunc(n.byID[id], func(x *entry) bool { return x == e })
	if len(n.byID[id]) == 0 {
		delete(n.byID, id)
	}
	n.renameAll(id)
}
