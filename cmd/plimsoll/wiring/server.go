package wiring

import (
	"context"
	"net/http"
	"time"

	"plimsoll.dev/plimsoll/aggregator/api"
	"plimsoll.dev/plimsoll/aggregator/heapster"
	"plimsoll.dev/plimsoll/aggregator/ingest"
	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/collector"
	"plimsoll.dev/plimsoll/dashboards/web"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/kube"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/serve"
	"plimsoll.dev/plimsoll/internal/store"
)

// toPicture is the live lane's end in this process.
func toPicture(p *live.Picture) collector.SinkFunc {
	return func(_ context.Context, b *metric.Batch) error { return p.Apply(b) }
}

// newServer makes the live picture and what is served of it and of the history: the page, our own API and Heapster's. The
// history gets sums every interval; the live picture has samples at a pace of fast. known is the
// cluster that is served, whose pods are pods; nil: there is none, and pods may be nil too.
func newServer(e *environment, h history, pods cluster.Inventory, known *kube.Inventory, interval, fast time.Duration) (*live.Picture, error) {
	sums := live.RollUps{History: h, Gate: e.gate, Every: interval, Written: rolled(h)}
	if !shared(h) {
		sums.Gate = cluster.Open{}
	}
	var nodes func() []*cluster.Node
	var began func(namespace, pod string) (time.Time, bool)
	var podsOf func(cluster.Target) ([]*cluster.Pod, error)
	if known != nil {
		podsOf = known.Pods
		nodes, began = known.Nodes, known.Began
		sums.States = live.NewStates(nodes, known.NotYet)
	}
	picture, err := live.New(live.Options{Inventory: pods, Nodes: nodes, Pods: began, MaxForeign: e.memory.Entities(), Registerer: e.registry})
	if err != nil {
		return nil, err
	}
	e.checks = append(e.checks, serve.Check{Name: "samples", Fed: true, Test: func() error { return picture.Heard(time.Now()) }})
	sums.Picture = picture
	e.life.Runs("roll-ups", sums.Run)
	var decides cluster.Gate
	if _, apart := h.(remoteHistory); apart {
		decides = e.gate
	}
	ours, err := api.New(api.Options{Pictures: picture, Nodes: nodes, Decisions: h, Decides: decides, History: h,
		PodsOf:     podsOf,
		Scaled:     func(now time.Time) []cluster.Scaled { return every(e.scaled, now) },
		Conditions: func(now time.Time) []condition.Condition { return every(e.conditions, now) },
		Autoscaler: e.autoscaler, Version: e.version, Since: e.began, Interval: fast, Logger: e.log, Registerer: e.registry})
	if err != nil {
		return nil, err
	}
	e.life.Runs("api", ours.Run)
	model, err := heapster.New(heapster.Options{Pictures: picture, History: h, Resolution: interval, Logger: e.log, Registerer: e.registry})
	if err != nil {
		return nil, err
	}
	if e.heapster != nil {
		e.life.Runs("Heapster's totals", heapster.Totals{Pictures: picture, To: e.heapster, Gate: e.gate, Every: interval}.Run)
	}
	e.conditions = append(e.conditions, picture.Conditions)
	page := web.Handler()
	e.routes = append(e.routes, serve.Route{Method: "GET", Pattern: "/{$}", Handler: page, Limited: true}, serve.Route{Method: "GET", Pattern: "/{file}", Handler: page, Limited: true})
	e.routes = append(append(e.routes, ours.Routes()...), model.Routes()...)
	return picture, nil
}

// rolled says of when, to the second, the newest sums of the cluster in a history are: of its memory, and of its CPU, which comes later than all machines' last words.
func rolled(h store.Querier) func(ctx context.Context, since time.Time) (time.Time, error) {
	return func(ctx context.Context, since time.Time) (newest time.Time, err error) {
		for _, id := range []metric.ID{metric.MemoryWorkingSet, metric.CPUUsage} {
			all, err := h.Query(ctx, store.Query{Row: id, Level: metric.Cluster, Start: since.Truncate(time.Second), End: time.Now(), Step: time.Second, Window: time.Second, Func: store.Count})
			if err != nil {
				return time.Time{}, err
			}
			for _, s := range all {
				for _, p := range s.Samples {
					if at := time.UnixMilli(p.T); p.V > 0 && at.After(newest) {
						newest = at
					}
				}
			}
		}
		return newest, nil
	}
}

// writePath is where remote write is taken.
const writePath = "/api/v1/write"

// newReceiver makes the way in for what others send to the live picture and the history. Nobody else may speak for the nodes that are this
// process's own. known says where the pods of a cluster are; nil: there is none.
func newReceiver(e *environment, h history, picture *live.Picture, known *kube.Inventory, own ...string) error {
	o := ingest.Options{Live: toPicture(picture), History: collector.SinkFunc(h.Append), Own: own, MaxSeries: e.memory.Series(), MaxEntities: e.memory.Entities(),
		Logger: e.named("ingest"), Registerer: e.registry}
	if known != nil {
		o.Pods = known
	}
	in, err := ingest.New(o)
	if err != nil {
		return err
	}
	e.conditions = append(e.conditions, in.Conditions)
	// The receiver bounds what it works on itself, lane by lane; one that sends slowly costs little here.
	e.routes = append(e.routes, serve.Route{Method: "POST", Pattern: writePath, Handler: in, InFlight: 2048, MaxBody: ingest.MaxBody})
	return nil
}

// takesNothing is the door of a machine that takes nothing from others.
func takesNothing(http.ResponseWriter, *http.Request) error {
	return serve.NotFound("nothing is taken from others here: start Plimsoll with --receive if they are to send to it")
}
