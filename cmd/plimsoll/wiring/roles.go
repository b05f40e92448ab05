package wiring

import (
	"cmp"
	"context"
	"net"
	"time"

	services "plimsoll.dev/plimsoll/autoscaler/process"
	"plimsoll.dev/plimsoll/collector"
	"plimsoll.dev/plimsoll/collector/fanout"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/kube"
	"plimsoll.dev/plimsoll/internal/memory"
	"plimsoll.dev/plimsoll/internal/serve"
	"plimsoll.dev/plimsoll/internal/view"
)

// Machine is the whole flow in one process: a machine that is collected, kept, shown and scaled.
type Machine struct {
	History History
	Scaling Scaling
	Node    Node
	// Receive lets others send too; of this machine they may say nothing.
	Receive bool
	// Memory is how much the process is to stay within, whatever others send; 0: 512 MiB, as it is there for this machine and some beside it.
	Memory int64
}

func (o Machine) wire(ctx context.Context, e *environment) error {
	if err := cmp.Or(o.Scaling.check(), o.Node.check()); err != nil {
		return err
	}
	e.memory = memory.Of(o.Memory, 512<<20)
	h, err := o.History.open(e)
	if err != nil {
		return err
	}
	policies, replicas, err := newServices(ctx, e, o.Scaling, o.Node, h)
	if err != nil {
		return err
	}
	picture, err := newServer(e, h, replicas, nil, o.Node.Interval, o.Node.Fast)
	if err != nil {
		return err
	}
	if o.Receive {
		err = newReceiver(e, h, picture, nil, o.Node.Name)
	} else {
		e.routes = append(e.routes, serve.Route{Method: "POST", Pattern: writePath, Handle: takesNothing})
	}
	if err != nil {
		return err
	}
	if err := newAutoscaler(e, policies, replicas, o.Node, picture, h); err != nil {
		return err
	}
	return newNode(e, o.Node, inventories{replicas: replicas, own: replicas.Folder()}, toPicture(picture), collector.SinkFunc(h.Append))
}

// Server serves what collectors send to it.
type Server struct {
	History History
	// Interval is between sums that go to the history, Fast between samples of the live picture.
	Interval, Fast time.Duration
	// Kubernetes is the cluster that is served, whose API server says who comes in; nil: none.
	Kubernetes *Kubernetes
	// CustomMetrics are served of the cluster beside metrics.k8s.io.
	CustomMetrics CustomMetrics
	// Kubelet is how the cluster's kubelets are asked where there is no collector; nil: they are not.
	Kubelet *Kubelet
	// Lease is that of the servers of which one writes sums of the whole cluster; NAMESPACE/NAME, or NAME in this pod's namespace.
	Lease string
	// Service is the one by which the API server passes requests on, NAMESPACE/NAME: what was given to it and leads elsewhere is told. "": that is not looked at.
	Service string
	// Certificates are renewed by the holder of the lease.
	Certificates Certificates
	// Autoscaler is "on", "dry-run" or "off": what becomes of the cluster's ScalePolicies.
	Autoscaler string
	// Memory is how much the process is to stay within, whatever others send; 0: most of what it may have, and of a cluster, whose pods are known, no
	// bound but those of the largest fleet.
	Memory int64
}

func (o Server) guard(e *environment) error {
	if o.Kubernetes == nil {
		return nil
	}
	return o.Kubernetes.guard(e)
}

func (o Server) wire(_ context.Context, e *environment) error {
	var otherwise memory.Budget
	if o.Kubernetes == nil {
		otherwise = memory.Machine()
	}
	e.memory = memory.Of(o.Memory, otherwise)
	h, err := o.History.open(e)
	if err != nil {
		return err
	}
	e.life.Runs("orphans", services.NewChildren().Run)
	var known *kube.Inventory
	var pods cluster.Inventory
	if o.Kubernetes != nil {
		if known, err = o.Kubernetes.inventory(e, "plimsoll-server", "", o.Autoscaler != "off"); err != nil {
			return err
		}
		if err := o.Kubernetes.lease(e, o.Lease); err != nil {
			return err
		}
		if o.Service != "" {
			if err := o.Kubernetes.claims(e, o.Service); err != nil {
				return err
			}
		}
		if err := o.Kubernetes.renew(e, o.Certificates); err != nil {
			return err
		}
		pods, e.autoscaler = known, o.Autoscaler
	}
	picture, err := newServer(e, h, pods, known, o.Interval, o.Fast)
	if err != nil {
		return err
	}
	if known != nil {
		api, err := newMetricsAPI(e, picture, known)
		if err != nil {
			return err
		}
		if err := newCustomMetrics(e, picture, known, o.CustomMetrics); err != nil {
			return err
		}
		if o.Kubelet != nil {
			if err := newKubeletFallback(e, picture, known, o.Kubernetes, *o.Kubelet); err != nil {
				return err
			}
		}
		e.checks = append(e.checks, api.Known())
		if o.Autoscaler != "off" {
			if err := newClusterAutoscaler(e, clusterScaling{of: o.Kubernetes, mode: o.Autoscaler, known: known, observer: picture, foreign: o.Kubelet == nil,
				log: h, live: picture, history: h, shared: shared(h), every: o.Interval, onFresh: picture.OnFresh}); err != nil {
				return err
			}
		}
	}
	if known != nil {
		e.routes = append(e.routes, view.Routes(e.routes)...)
		e.routes = append(e.routes, groupsOf(o.CustomMetrics).route())
	}
	return newReceiver(e, h, picture, known)
}

// Autoscaler scales a cluster on what others measure: metrics.k8s.io and the other metrics APIs, whoever serves them.
type Autoscaler struct {
	Kubernetes Kubernetes
	// Lease is that of the autoscalers of which one writes; see Server.
	Lease string
	// Certificates are renewed by the holder of the lease.
	Certificates Certificates
	// Mode is "on" or "dry-run".
	Mode string
}

func (o Autoscaler) guard(e *environment) error { return o.Kubernetes.guard(e) }

func (o Autoscaler) wire(_ context.Context, e *environment) error {
	known, err := o.Kubernetes.inventory(e, "plimsoll-autoscaler", "", true)
	if err != nil {
		return err
	}
	if err := o.Kubernetes.lease(e, o.Lease); err != nil {
		return err
	}
	if err := o.Kubernetes.renew(e, o.Certificates); err != nil {
		return err
	}
	return newClusterAutoscaler(e, clusterScaling{of: &o.Kubernetes, mode: o.Mode, known: known, observer: blind{}, foreign: true})
}

// Collector reads its machine and sends what it reads on.
type Collector struct {
	Node Node
	// Kubernetes is the cluster that the machine is a node of; nil: none.
	Kubernetes *Kubernetes
	// Servers get the live lane, with the login at hand; none: nobody does.
	Servers []string
	Login   dial.Options
	// State is a folder in which this collector is known again when it is started again; "": it is not.
	State string
	// Writing is where the history goes.
	Writing Writing
}

func (o Collector) wire(_ context.Context, e *environment) error {
	if err := o.Node.check(); err != nil {
		return err
	}
	login, err := e.login(o.Login)
	if err != nil {
		return err
	}
	if e.source, err = sourceIn(o.State, o.Node.Name); err != nil {
		return err
	}
	var live collector.Sink
	if len(o.Servers) > 0 {
		history, _ := o.Writing.(Remote) // who takes it needs less of the live lane
		f, err := fanout.New(fanout.Options{Servers: o.Servers, History: history.URL, Source: e.source, Client: login.ClientTo, Resolver: net.DefaultResolver,
			Flags: o.Login.Flags, Logger: e.named("live"), Registerer: e.registry})
		if err != nil {
			return err
		}
		e.life.Runs("live lane", f.Run)
		e.checks = append(e.checks, serve.Check{Name: "live", Test: f.Health})
		live = f
	}
	history, err := o.Writing.openWriting(e)
	if err != nil {
		return err
	}
	e.life.Runs("orphans", services.NewChildren().Run)
	known := inventories{}
	if o.Kubernetes != nil {
		if known.cluster, err = o.Kubernetes.inventory(e, "plimsoll-collector", o.Node.Name, false); err != nil {
			return err
		}
	}
	return newNode(e, o.Node, known, live, history)
}
