package metricsapi

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/quiet"
	"plimsoll.dev/plimsoll/internal/serve"
)

// usualWindow is how much of the past a value covers where there is as much: what metrics-server's usual manifests give, and the pace at which
// the HPA controller asks, so that each time it is told of other seconds.
const usualWindow = 15 * time.Second

// Picture has the values.
type Picture interface {
	PodsUsed(now time.Time, pods []*cluster.Pod, w time.Duration, each func(i int, containers []live.Used))
	NodeUsed(now time.Time, node string, w time.Duration) (live.Used, bool)
	// Gap says why a pod has none.
	Gap(now time.Time, pod *cluster.Pod) (why string, since time.Time)
	// Unheard says it of one that runs, where Gap does not.
	Unheard(now time.Time, pod *cluster.Pod, w time.Duration) string
}

// Inventory knows which pods and nodes there are: the pods in order of namespace and name, the nodes in order of name.
type Inventory interface {
	All() []*cluster.Pod
	Nodes() []*cluster.Node
}

// Options are what an API needs.
type Options struct {
	Picture   Picture
	Inventory Inventory
	// Synced says why the inventory is not whole yet; nil once it is.
	Synced func() error
	// Window is how much of the past a value covers; 15 s if zero.
	Window     time.Duration
	Logger     *slog.Logger // nil discards
	Registerer prometheus.Registerer
}

// Validate fills defaults in and reports what is missing.
func (o *Options) Validate() error {
	if o.Picture == nil || o.Inventory == nil || o.Synced == nil || o.Registerer == nil {
		return errors.New("metrics.k8s.io needs a picture, an inventory and where its own metrics go")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Window == 0 {
		o.Window = usualWindow
	}
	if o.Window < time.Second || o.Window > time.Minute {
		return fmt.Errorf("metrics.k8s.io cannot serve a window of %v: the picture keeps a minute, want 1s to 1m", o.Window)
	}
	return nil
}

// API serves the group. It is safe for concurrent use.
type API struct {
	opts    Options
	meters  *meters
	handler http.Handler
	made    time.Time
	filled  atomic.Bool // there was a value of a node and of a pod
}

// New makes an API. It starts nothing.
func New(o Options) (*API, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	a := &API{opts: o, meters: newMeters(o.Registerer), made: time.Now()}
	quiet.Klog(o.Logger)
	var err error
	if a.handler, err = newHandler(a); err != nil {
		return nil, fmt.Errorf("cannot make the API metrics.k8s.io: %w", err)
	}
	return a, nil
}

// Routes returns what the API answers. Of long lists few are made at once.
func (a *API) Routes() []serve.Route {
	route := func(method, pattern string) serve.Route {
		return serve.Route{Method: method, Pattern: pattern, Handler: a.handler, InFlight: 400}
	}
	out := []serve.Route{route("", "/apis/metrics.k8s.io"), route("", "/apis/metrics.k8s.io/"), route("GET", "/openapi/v2"), route("GET", "/openapi/v3"), route("GET", "/openapi/v3/")}
	for _, version := range []string{"v1", "v1beta1"} {
		list := func(path string, rows func(*http.Request) int) {
			r := route("GET", "/apis/metrics.k8s.io/"+version+path)
			r.Rows = rows
			out = append(out, r)
		}
		list("/pods", func(*http.Request) int { return len(a.opts.Inventory.All()) })
		list("/namespaces/{namespace}/pods", func(r *http.Request) int {
			return len(inNamespace(a.opts.Inventory.All(), r.PathValue("namespace")))
		})
		list("/nodes", func(*http.Request) int { return len(a.opts.Inventory.Nodes()) })
	}
	return out
}

// Checks are the API's checks, by the names and in the order that metrics-server's have. The first four are those of the library of API servers, for
// runbooks that ask for them: nothing that they are of can fail here, as there is no hook, and no log that waits to be written.
func (a *API) Checks() []serve.Check {
	var out []serve.Check
	well := func() error { return nil }
	for _, name := range []string{"ping", "log", "poststarthook/max-in-flight-filter", "poststarthook/storage-object-count-tracker-hook"} {
		out = append(out, serve.Check{Name: name, Stuck: well, Test: well})
	}
	return append(out, serve.Check{Name: "metric-storage-ready", Test: a.ready}, serve.Check{Name: "metric-informer-sync", Test: a.opts.Synced})
}

// Known is the check that pods and nodes are known, which metrics-server has behind that of what it collects.
func (a *API) Known() serve.Check {
	return serve.Check{Name: "metadata-informer-sync", Told: true, Test: a.opts.Synced}
}

// fills is how long after the start it may take until there is something to serve: kubelets are read twice in that time.
const fills = 30 * time.Second

// ready says that there is not all to serve yet, so that a server that was started again gets no questions before it can answer them: who takes a list for the
// truth takes a part of one for it, too. What the cluster had when this server began is waited for, of nodes that are Ready. Once that was there, or when it does not
// come, it is told by what is missing, and not by a server that nobody reaches.
func (a *API) ready() error {
	now := time.Now()
	if a.filled.Load() || now.Sub(a.made) > fills {
		return nil
	}
	nodes := a.opts.Inventory.Nodes()
	lie := map[string]bool{} // on nodes that are Ready
	valued, lacking := 0, 0  // names are not told: health is open to all
	for _, n := range nodes {
		_, ok := a.opts.Picture.NodeUsed(now, n.Name, a.opts.Window)
		switch {
		case ok:
			valued++
		case n.Ready == corev1.ConditionTrue:
			lacking++
		}
		lie[n.Name] = n.Ready == corev1.ConditionTrue
	}
	if lacking > 0 {
		return fmt.Errorf("there is no value yet of %d of %d nodes", lacking, len(nodes))
	}
	if valued == 0 {
		return errors.New("there is no value of a node yet")
	}
	all := a.opts.Inventory.All()
	has := map[*cluster.Pod]bool{}
	for _, r := range a.pods(now, all).rows {
		has[r.pod] = true
	}
	for _, p := range all {
		if !has[p] && p.Phase == corev1.PodRunning && lie[p.Node] && a.ran(p) {
			lacking++
		}
	}
	if lacking > 0 {
		return fmt.Errorf("there is no value yet of %d of %d pods", lacking, len(all))
	}
	if len(has) == 0 {
		return errors.New("there is no value of a pod yet")
	}
	a.filled.Store(true)
	return nil
}

// ran says whether all containers of a pod that last as long as it does ran before this server was made.
func (a *API) ran(p *cluster.Pod) bool {
	for c := range p.Lasting() {
		if c.Started.IsZero() || c.Started.After(a.made) {
			return false
		}
	}
	return true
}
