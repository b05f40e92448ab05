package wiring

import (
	"context"
	"os"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/autoscaler"
	"plimsoll.dev/plimsoll/autoscaler/demo"
	"plimsoll.dev/plimsoll/autoscaler/policyfile"
	services "plimsoll.dev/plimsoll/autoscaler/process"
	"plimsoll.dev/plimsoll/collector/host"
	"plimsoll.dev/plimsoll/internal/serve"
)

// Scaling says what is scaled.
type Scaling struct {
	Policies string // path of the policies file; "": none
	Demo     bool   // the demo's service too
	Data     string // folder that is this process's own
}

// check says what is plainly wrong, before anything is opened that would have to be cleared up.
func (o Scaling) check() error {
	if st, err := os.Stat(o.Policies); o.Policies == "" || err == nil && !st.Mode().IsRegular() { // a pipe can be read once
		return nil
	}
	_, err := policyfile.Load(o.Policies)
	return err
}

// newServices reads the policies and makes the supervisor of the services that they scale.
func newServices(ctx context.Context, e *environment, o Scaling, n Node, h history) (*policyfile.InForce, *services.Supervisor, error) {
	var show *demo.Demo
	var builtIn []*policyfile.File
	var err error
	if o.Demo {
		if show, err = demo.Open(o.Data); err != nil {
			return nil, nil, err
		}
		e.life.Opened("the demo's folder", show.Close)
		builtIn = append(builtIn, show.Documents)
	}
	policies, err := policyfile.Open(o.Policies, builtIn...)
	if err != nil {
		return nil, nil, err
	}
	policies.Tell(e.log)
	replicas, err := services.New(services.Options{Services: policies.Services(ctx, h, e.began), Node: n.Name, CgroupRoot: n.Host.Settled().Cgroups, Number: host.Number(), Env: os.Environ(),
		Logger: e.named("services"), Registerer: e.registry})
	if err != nil {
		return nil, nil, err
	}
	e.life.Runs("services", replicas.Run)
	e.checks = append(e.checks, serve.Check{Name: "services", Test: replicas.Health})
	if o.Demo {
		e.life.Runs("demo", show.Load(replicas, e.named("demo"), e.registry).Run)
	}
	return policies, replicas, nil
}

// newAutoscaler makes the loop over the policies of services; without any it has nothing to do until a reload brings some.
func newAutoscaler(e *environment, policies *policyfile.InForce, replicas *services.Supervisor, n Node, picture *live.Picture, h history) error {
	loop, err := autoscaler.New(autoscaler.Options{Node: n.Name, Policies: policies.File().Policies, Observer: picture, Inventory: replicas, Gate: e.gate,
		Scaler: services.Scaler{Supervisor: replicas}, Log: h, Live: picture, History: h, KeepEvery: n.Interval,
		Logger: e.named("autoscaler"), Registerer: e.registry})
	if err != nil {
		return err
	}
	picture.OnFresh(loop.Fresh)
	e.life.Runs("autoscaler", loop.Run)
	e.checks = append(e.checks, serve.Check{Name: "autoscaler", Stuck: func() error { return loop.Stuck(serve.StuckAfter) }, Test: loop.Health})
	e.scaled = append(e.scaled, loop.Scaled)
	e.conditions = append(e.conditions, policies.Conditions)
	e.reloads = append(e.reloads, func() {
		if err := policies.Reload(replicas, loop); err != nil {
			e.log.Warn("kept the old policies", "err", err)
			return
		}
		policies.Tell(e.log)
	})
	return nil
}
