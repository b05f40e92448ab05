package wiring

import (
	"os"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/collector"
	"plimsoll.dev/plimsoll/collector/cadvisor"
	"plimsoll.dev/plimsoll/collector/cgroup"
	"plimsoll.dev/plimsoll/collector/doctor"
	"plimsoll.dev/plimsoll/collector/host"
	"plimsoll.dev/plimsoll/collector/names"
	processes "plimsoll.dev/plimsoll/collector/process"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/kube"
	"plimsoll.dev/plimsoll/internal/serve"
)

// Node says how this machine is read.
type Node struct {
	Name string
	// Host is where the machine's files are.
	Host host.Host
	// Interval is between full readings, Fast between those of CPU and memory.
	Interval, Fast time.Duration
}

// check says what is plainly wrong, before anything is opened that would have to be cleared up.
func (o Node) check() error {
	_, err := cgroup.Detect(o.Host)
	return err
}

// inventories know what runs on this machine.
type inventories struct {
	// replicas are the replicas of process services, in the folder own; nil: there are none.
	replicas cluster.Inventory
	own      string
	// cluster has the pods of the node that this machine is; nil: it is none.
	cluster *kube.Inventory
}

// readers read the machine's cgroups, under their names.
type readers struct {
	names *names.Names
	fast  *cgroup.Reader
	full  *cadvisor.Reader
}

// newReaders makes them; the names are kept, and nothing is read yet.
func newReaders(e *environment, o Node, known inventories) (r readers, err error) {
	naming := names.Options{Node: o.Name, Host: o.Host, Inventory: known.replicas, Own: known.own, Logger: e.named("names")}
	if known.cluster != nil {
		naming.Pods = known.cluster // and no socket of a runtime, which would be worth as much as root
	} else {
		naming.Sockets = names.DefaultSockets(o.Host)
	}
	if r.names, err = names.New(naming); err != nil {
		return r, err
	}
	e.life.Runs("names", r.names.Run)
	log := e.named("collector")
	if r.fast, err = cgroup.New(cgroup.Options{Host: o.Host, Node: o.Name, Namer: r.names, Logger: log, Registerer: e.registry}); err != nil {
		return r, err
	}
	e.life.Opened("the fast reader", r.fast.Close)
	r.full, err = cadvisor.New(cadvisor.Options{Host: o.Host, Interval: o.Interval, Node: o.Name, Namer: r.names, Starts: r.fast, Networks: r.names, Logger: log, Registerer: e.registry})
	return r, err
}

// newNode makes the collector with its two lanes, of which one may be nil.
func newNode(e *environment, o Node, known inventories, live, history collector.Sink) error {
	r, err := newReaders(e, o, known)
	if err != nil {
		return err
	}
	e.life.Runs("cadvisor", r.full.Run)
	log := e.named("collector")
	pods := collector.NewPods(o.Name, r.names.Space("plimsoll"), o.Host, os.Getpid(), r.names, known.replicas)
	byProcess, err := processes.New(processes.Options{List: pods.Processes, Registerer: e.registry})
	if err != nil {
		return err
	}
	slow := []collector.Extra{r.names}
	if known.cluster != nil {
		node, _ := r.names.Name("/")
		slow = append(slow, collector.NewClaims(node, known.cluster, r.names))
	}
	c, err := collector.New(collector.Options{Interval: o.Interval, FastInterval: o.Fast, Full: r.full, Fast: r.fast,
		Extra: []collector.Extra{byProcess, pods, names.Crashing{Names: r.names}}, Slow: slow, Live: live, History: history, Logger: log, Registerer: e.registry})
	if err != nil {
		return err
	}
	e.life.Runs("collector", c.Run)
	e.checks = append(e.checks, serve.Check{Name: "collector", Stuck: func() error { return c.Stuck(serve.StuckAfter) }, Test: c.Health})
	e.conditions = append(e.conditions, func(now time.Time) []condition.Condition {
		if err := c.Health(); err != nil && now.Sub(e.began) > 3*o.Interval {
			return []condition.Condition{condition.Ill("Collecting", "TickLate", err.Error(), e.began)}
		}
		return nil
	})
	e.conditions = append(e.conditions, unseen(o.Host, r.full.Unseen, e.began))
	return nil
}

// unseen says what of the machine cannot be read where somebody said that it is.
func unseen(h host.Host, hidden func() int, since time.Time) func(time.Time) []condition.Condition {
	var fixed []condition.Condition
	if lacks := h.Lacks(); h.Told() && len(lacks) > 0 {
		var said []string
		for _, l := range lacks {
			said = append(said, l.What+": "+l.Fix)
		}
		fixed = append(fixed, condition.Ill("MachineSeen", "ContainersOwn", strings.Join(said, "; "), since))
	}
	return func(time.Time) []condition.Condition {
		n := hidden()
		if n == 0 {
			return fixed
		}
		return append(slices.Clip(fixed), condition.Ill("MachineSeen", "ProcessesHidden", doctor.Hidden(n)+": "+doctor.HiddenFix, since))
	}
}
