package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// Options of an Inventory.
type Options struct {
	// Config says how to reach the API server, see Config.
	Config *rest.Config
	// Node makes it the inventory of one node: its pods alone, and itself. "": the whole cluster.
	Node string
	// Targets has Pods know those of whatever is above a workload, too: what controls Deployments and the like is watched. A node's inventory does not.
	Targets bool
	// Logger gets what goes wrong with the watches; nil discards.
	Logger *slog.Logger
}

// Inventory is a cluster.Inventory of what an API server says. It is safe for concurrent use.
type Inventory struct {
	opts    Options
	log     *slog.Logger
	client  kubernetes.Interface
	meta    metadata.Interface
	watches []*watch
	asked   workqueue.TypedRateLimitingInterface[question]

	mu      sync.RWMutex
	pods    map[types.UID]*held
	names   map[string]types.UID             // "namespace/name" -> the pod of that name
	spaces  map[string]int                   // namespace -> how many names it has
	cgroups map[string]types.UID             // a static pod's UID in its cgroups -> its mirror's
	owners  map[types.UID]owned              // what may have an owner
	below   map[types.UID]map[types.UID]bool // controller -> what it controls directly
	asks    map[types.UID]*asking            // controllers that are asked for one by one
	targets map[group]map[types.UID]bool     // every controller above a pod -> its pods
	nodes   map[string]*cluster.Node
	left    map[left]time.Time // when pods were last on nodes that they have left
	swept   time.Time          // when what is in left for long was last forgotten
	changes atomic.Uint64      // counts changes of pods

	all atomic.Pointer[snapshot]
}

// held is a pod with what it takes to name its owner anew.
type held struct {
	pod   *cluster.Pod
	owner *metav1.OwnerReference
	above []group
	// unnamed is a pod whose owner has been asked for: it is not handed out yet, so that nothing has a name for a moment.
	unnamed bool
}

// owned is what an object that may have a controller has: none, or this one.
type owned struct {
	ref      *metav1.OwnerReference
	resource string // the object's own, "replicasets"; "": it is gone before what is below it, or asked for on its behalf
	workload bool   // people name pods by it, whatever is above it
}

// group names a controller without its version, which differs between those that name it.
type group struct{ group, kind, namespace, name string }

func groupOf(t cluster.Target) group {
	return group{t.Group(), t.Kind, t.Namespace, t.Name}
}

// snapshot is all pods at one count of changes.
type snapshot struct {
	at   uint64
	pods []*cluster.Pod
}

// maxSteps bounds the owners above a pod: a ring of them ends somewhere.
const maxSteps = 8

// between are the kinds whose objects usually belong to what people name: a Deployment, a CronJob.
var between = []schema.GroupVersionResource{{Group: "apps", Version: "v1", Resource: "replicasets"}, {Group: "batch", Version: "v1", Resource: "jobs"}}

// workloads are the kinds that people name pods by, and that may belong to something of another kind, as an operator's do.
var workloads = []schema.GroupVersionResource{{Group: "apps", Version: "v1", Resource: "deployments"}, {Group: "apps", Version: "v1", Resource: "statefulsets"}, {Group: "apps", Version: "v1", Resource: "daemonsets"},
	{Group: "batch", Version: "v1", Resource: "cronjobs"}, {Version: "v1", Resource: "replicationcontrollers"}}

// New makes an Inventory; it asks nothing before Run.
func New(o Options) (*Inventory, error) {
	if o.Config == nil {
		return nil, errors.New("an inventory of a cluster needs to know how to reach its API server")
	}
	client, err := kubernetes.NewForConfig(o.Config)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of the API server: %w", err)
	}
	meta, err := metadata.NewForConfig(o.Config)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of the API server: %w", err)
	}
	v := &Inventory{opts: o, log: cmp.Or(o.Logger, slog.New(slog.DiscardHandler)), client: client, meta: meta, pods: map[types.UID]*held{}, names: map[string]types.UID{}, spaces: map[string]int{}, cgroups: map[string]types.UID{},
		owners: map[types.UID]owned{}, below: map[types.UID]map[types.UID]bool{}, asks: map[types.UID]*asking{}, targets: map[group]map[types.UID]bool{}, nodes: map[string]*cluster.Node{}, left: map[left]time.Time{},
		asked: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[question](250*time.Millisecond, 30*time.Second))}
	v.all.Store(&snapshot{})
	v.makeWatches()
	return v, nil
}

// Run watches until ctx ends.
func (v *Inventory) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, w := range v.watches {
		g.Go(func() error { return w.run(ctx) })
	}
	if v.opts.Node != "" {
		g.Go(func() error { return v.answer(ctx) })
	}
	return g.Wait()
}

// makeWatches says what is watched.
func (v *Inventory) makeWatches() {
	pods, nodes := fields.Everything(), fields.Everything()
	if v.opts.Node != "" {
		pods, nodes = fields.OneTermEqualSelector("spec.nodeName", v.opts.Node), fields.OneTermEqualSelector("metadata.name", v.opts.Node)
	}
	v.watches = []*watch{{name: "pods", log: v.log, source: typed(v.client.CoreV1().RESTClient(), "pods", pods), expect: &corev1.Pod{}, convert: convertPod, put: v.putPod, drop: v.dropPod, keep: v.keepPods}}
	owners := func(workload bool, all []schema.GroupVersionResource) {
		for _, r := range all {
			v.watches = append(v.watches, &watch{name: r.Resource, log: v.log, source: metadataOf(v.meta, r), expect: &metav1.PartialObjectMetadata{}, convert: convertOwner, put: v.putOwner(r.Resource, workload),
				drop: v.dropOwner, keep: v.keepOwners(r.Resource), further: workload})
		}
	}
	if v.opts.Node == "" { // one node's pods have few owners: each is asked for
		owners(false, between)
		if v.opts.Targets {
			owners(true, workloads)
		}
	}
	v.watches = append(v.watches, &watch{name: "nodes", log: v.log, source: typed(v.client.CoreV1().RESTClient(), "nodes", nodes), expect: &corev1.Node{}, convert: convertNode,
		put: v.putNode, drop: v.dropNode, keep: v.keepNodes})
	for _, w := range v.watches {
		w.lock = &v.mu
	}
}

// Since returns since when the API server does not tell of changes, and why; zero while it does. Before the first list has
// come it is the start, with an error that wraps ErrNotSynced.
func (v *Inventory) Since() (time.Time, error) {
	for _, w := range v.watches {
		if since, err := w.since(); err != nil {
			return since, fmt.Errorf("the API server does not tell of %s: %w", w.name, err)
		}
	}
	return time.Time{}, nil
}

// ErrNotSynced is an inventory that has not seen all yet.
var ErrNotSynced = cluster.ErrNotYet

// NotYet says of what not all is known yet since the start, be it that the API server is away, in an error that wraps ErrNotSynced; nil once all
// was, whatever came after that. What is above workloads is not waited for.
func (v *Inventory) NotYet() error { return v.notYet(func(w *watch) bool { return !w.further }) }

func (v *Inventory) notYet(matters func(*watch) bool) error {
	for _, w := range v.watches {
		if w.whole() || !matters(w) {
			continue
		}
		why := ""
		if _, err := w.since(); err != nil && !errors.Is(err, ErrNotSynced) { // a right is lacking, say
			why = " (" + err.Error() + ")"
		}
		return fmt.Errorf("the API server has not told of all %s%s: %w", w.name, why, ErrNotSynced)
	}
	return nil
}

// All implements cluster.Inventory. The order is by namespace and name.
func (v *Inventory) All() []*cluster.Pod {
	if s := v.all.Load(); s.at == v.changes.Load() {
		return s.pods
	}
	v.mu.RLock()
	s := &snapshot{at: v.changes.Load(), pods: make([]*cluster.Pod, 0, len(v.pods))}
	for _, h := range v.pods {
		if !h.unnamed {
			s.pods = append(s.pods, h.pod)
		}
	}
	v.mu.RUnlock()
	slices.SortFunc(s.pods, byName)
	v.all.Store(s)
	return s.pods
}

func byName(a, b *cluster.Pod) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
}

// Pods implements cluster.Inventory: those that a controller is anywhere above, once all pods and all controllers between are known. A controller
// without pods is not told from one that does not exist. What is above a kind of workload is not known where the API server refuses to tell of the kind.
func (v *Inventory) Pods(t cluster.Target) ([]*cluster.Pod, error) {
	if err := v.notYet(func(w *watch) bool { return w.name != "nodes" && !(w.further && w.refused()) }); err != nil {
		return nil, err
	}
	v.mu.RLock()
	defer v.mu.RUnlock()
	ids := v.targets[groupOf(t)]
	out := make([]*cluster.Pod, 0, len(ids))
	for id := range ids {
		out = append(out, v.pods[id].pod)
	}
	slices.SortFunc(out, byName)
	return out, nil
}

// Pod returns the pod of a UID, be it the one in the names of its cgroups; nil if there is none.
func (v *Inventory) Pod(uid string) *cluster.Pod {
	v.mu.RLock()
	defer v.mu.RUnlock()
	h := v.pods[types.UID(uid)]
	if h == nil {
		h = v.pods[v.cgroups[uid]]
	}
	if h == nil || h.unnamed {
		return nil
	}
	return h.pod
}

// Place says on which node the pod of a name is at present, "" before it is scheduled, and since when there is this pod. known is false where there
// is no such pod; inside says that there are pods in that namespace, so that this one would be known too.
func (v *Inventory) Place(namespace, pod string) (node string, since time.Time, known, inside bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if h := v.pods[v.names[namespace+"/"+pod]]; h != nil {
		return h.pod.Node, h.pod.StartTime, true, true
	}
	return "", time.Time{}, false, v.spaces[namespace] > 0
}

// Began says whether there is a pod of a name, and since when; zero where that is not known. A static pod's kubelet says anew since when at each of its own starts.
func (v *Inventory) Began(namespace, pod string) (since time.Time, known bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	h := v.pods[v.names[namespace+"/"+pod]]
	if h == nil || h.pod.CgroupUID != "" {
		return time.Time{}, h != nil
	}
	return h.pod.StartTime, true
}

// Nodes returns every node, by name; of an inventory of one node that one, once it is known.
func (v *Inventory) Nodes() []*cluster.Node {
	v.mu.RLock()
	defer v.mu.RUnlock()
	out := make([]*cluster.Node, 0, len(v.nodes))
	for _, n := range v.nodes {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b *cluster.Node) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
