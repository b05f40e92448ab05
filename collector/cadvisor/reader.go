package cadvisor

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/cadvisor/lib/container"
	"github.com/opencontainers/cgroups"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/procfs"

	"plimsoll.dev/plimsoll/collector/host"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/quiet"
)

// Namer says what a cgroup is: its entity, and whether it is measured by itself. Below one that is measured
// nothing else is. "/" may give the node's entity.
type Namer interface {
	Name(path string) (*metric.Entity, bool)
}

// Starts knows when cgroups began: the fast reader does.
type Starts interface {
	Start(path string) (time.Time, bool)
}

// Networks knows which containers are in the network of their node, where that is not process 1's: of a node that is a container itself.
type Networks interface {
	HostNetwork(path string) bool
}

// Options says what to read.
type Options struct {
	// Interval is how often Read is called; it sets how often what is read off the tick (file systems, the
	// machine) is renewed. Zero means 10 s.
	Interval time.Duration
	// Node is the name of this machine.
	Node string
	// Host is where its files are.
	Host host.Host
	// Namer names cgroups; it is required.
	Namer Namer
	// Starts, if set, tells when a cgroup began instead of the library: both readers must say the same.
	Starts Starts
	// Networks, if set, tells of containers that have no network of their own, besides those in process 1's.
	Networks Networks
	// Logger gets what the library logs, at level Debug, and what a person may have to act on; nil discards.
	Logger *slog.Logger
	// Registerer gets the reader's own metrics; nil registers none.
	Registerer prometheus.Registerer
}

// Validate says what is wrong with the options, or nil.
func (o *Options) Validate() error {
	switch {
	case o.Namer == nil:
		return fmt.Errorf("cannot read containers without a namer")
	case o.Interval < 0:
		return fmt.Errorf("cannot read containers every %q: the interval is negative", o.Interval)
	}
	return o.Host.Validate()
}

// kinds are the library's kinds of metrics that are read; CPU and memory always are.
func kinds() container.MetricSet {
	return container.MetricSet{
		container.CpuUsageMetrics:    {},
		container.MemoryUsageMetrics: {},
		container.DiskIOMetrics:      {},
		container.PressureMetrics:    {},
	}
}

// Reader reads one node. Its methods may be called by several goroutines.
type Reader struct {
	opt     Options
	log     *slog.Logger
	kinds   container.MetricSet
	tree    *tree
	host    procfs.FS
	proc    procs
	dropped *prometheus.CounterVec
	machine atomic.Pointer[machineState]
	disks   atomic.Pointer[disks]
	unseen  atomic.Int64 // hidden of the last Read: nobody waits for one that hangs to know it
	closed  atomic.Int64 // barred of it

	mu       sync.Mutex // one Read at a time; guards what follows
	node     *metric.Entity
	root     cgroups.Manager
	targets  map[string]*target
	told     map[identity.Key]*metric.Entity // of which the last Read had a sample
	netOwner map[uint64]string               // network namespace -> the path of the container whose network it is
	reads    uint64
	hidden   int64 // cgroups of this Read whose processes cannot be seen
	barred   int64 // those whose processes' open files may not be counted
	denied   bool  // a directory that may not be read has been logged
	blind    bool  // a directory of this Read could not be read, so that what is not found may be there
}

// New makes a reader. It looks at the machine once and starts nothing.
func New(opt Options) (*Reader, error) {
	if err := opt.Validate(); err != nil {
		return nil, err
	}
	if opt.Interval == 0 {
		opt.Interval = 10 * time.Second
	}
	opt.Host = opt.Host.Settled()
	r := &Reader{opt: opt, log: opt.Logger, kinds: kinds(), targets: map[string]*target{}, netOwner: map[uint64]string{}}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if r.tree, err = newTree(opt.Host); err != nil {
		return nil, err
	}
	if r.host, err = procfs.NewFS(opt.Host.Proc); err != nil {
		return nil, fmt.Errorf("cannot read the machine: %w", err)
	}
	if r.node, _ = opt.Namer.Name("/"); r.node == nil || r.node.Level != metric.Node {
		r.node = &metric.Entity{Level: metric.Node, Node: opt.Node, ID: "/"}
	}
	r.proc = newProcs(opt.Host)
	m, err := readMachine(r.opt.Host)
	if err != nil {
		r.log.Warn("cannot learn all about the machine", "err", err)
	}
	r.machine.Store(m)
	return r, r.register(opt.Registerer)
}

// register makes the reader's own metrics. The fast reader counts its dropped samples under the same name.
func (r *Reader) register(reg prometheus.Registerer) error {
	r.dropped = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name:        "plimsoll_collector_dropped_samples_total",
		Help:        "Samples that a reader could not take or had to drop, by reason.",
		ConstLabels: prometheus.Labels{"reader": "full"},
	}, []string{"reason"})
	if reg == nil {
		return nil
	}
	if err := reg.Register(r.dropped); err != nil {
		return fmt.Errorf("cannot register the full reader's metrics: %w", err)
	}
	return nil
}

// machineEvery is how often the machine's make-up is looked at again.
const machineEvery = 5 * time.Minute

// Run renews, off the tick, what may be slow to read: the file systems (a disk that hangs would hang the
// tick) and the machine's make-up; until ctx ends. While it runs, what the library logs through klog, which
// is one logger for the whole process, goes to Options.Logger. Nothing is left running when it returns,
// unless the kernel holds a file system's answer back: the error says so then.
func (r *Reader) Run(ctx context.Context) error {
	quiet.Klog(r.log)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.renew(ctx)
	}()
	<-ctx.Done()
	select {
	case <-done:
		return nil
	case <-time.After(2 * time.Second):
		return fmt.Errorf("cannot stop looking at the file systems: the kernel has not answered")
	}
}

// renew is Run's loop.
func (r *Reader) renew(ctx context.Context) {
	tick := time.NewTicker(r.opt.Interval)
	defer tick.Stop()
	looked := time.Now()
	for {
		d, err := readDisks(r.opt.Host)
		if err != nil {
			r.log.Debug("cannot read all file systems", "err", err)
		}
		if err == nil || len(d.all) > 0 {
			r.disks.Store(d)
		}
		if time.Since(looked) > machineEvery {
			looked = time.Now()
			if m, err := readMachine(r.opt.Host); err == nil {
				r.machine.Store(m)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Read takes one sample of everything. A cgroup that cannot be read costs its own sample and gives a gap.
func (r *Reader) Read(now time.Time) *metric.Batch {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	r.hidden, r.barred, r.blind = 0, 0, false
	found := r.find()
	b := &metric.Batch{Node: r.opt.Node, Time: now, Groups: make([]metric.Group, 0, len(found)+1)}
	told := make(map[identity.Key]*metric.Entity, len(found))
	live := make(map[string]*target, len(found))
	for _, path := range slices.Sorted(maps.Keys(found)) {
		if t := r.target(path); t != nil { // else it is gone since it was found
			live[path] = t
			r.gather(b, found[path], t)
			told[identity.KeyOf(found[path])] = found[path]
		}
	}
	for k, e := range r.told { // else a history would take it to be there until it misses it, and beside a pod of its name that began elsewhere
		switch {
		case told[k] != nil:
		case r.blind:
			told[k] = e
		default:
			b.Gaps = append(b.Gaps, metric.Gap{Entity: e, Reason: metric.GapGone, Detail: "it is not there any more"})
		}
	}
	r.told = told
	maps.DeleteFunc(r.netOwner, func(_ uint64, path string) bool { return live[path] == nil })
	r.targets = live
	r.readNode(b)
	r.unseen.Store(r.hidden)
	r.closed.Store(r.barred)
	return b
}

// Unseen is how many of the cgroups that were last read hold processes that this process cannot see, being in a container that has
// processes of its own: of those cgroups nobody here knows the network, the number of processes and the open files.
func (r *Reader) Unseen() int { return int(r.unseen.Load()) }

// Closed is how many of the cgroups that were last read hold processes whose open files this process may not count.
func (r *Reader) Closed() int { return int(r.closed.Load()) }

// gather reads one cgroup into the batch: a group, or a gap.
func (r *Reader) gather(b *metric.Batch, e *metric.Entity, t *target) {
	g, err := r.container(e, t)
	if err != nil {
		r.gap(b, e, err)
		return
	}
	b.Groups = append(b.Groups, g)
}

// gap says in the batch, and counts, why there is no sample.
func (r *Reader) gap(b *metric.Batch, e *metric.Entity, err error) {
	reason := reasonOf(err)
	r.drop(reason)
	b.Gaps = append(b.Gaps, metric.Gap{Entity: e, Reason: reason, Detail: err.Error()})
}
