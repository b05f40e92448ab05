package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"plimsoll.dev/plimsoll/autoscaler"
	"plimsoll.dev/plimsoll/autoscaler/policyfile"
	services "plimsoll.dev/plimsoll/autoscaler/process"
	"plimsoll.dev/plimsoll/cmd/plimsoll/demo"
	"plimsoll.dev/plimsoll/internal/condition"
)

// remembered is how old the decision log's last word on a replica count may be for a service to begin with it.
const remembered = 24 * time.Hour

// policies are what is scaled and how: the file's documents and, with --demo, the demo's.
type policies struct {
	path    string
	builtIn *policyfile.File // the demo's; nil without it
	sockets string           // the demo's folder; "" without it

	mu      sync.Mutex
	current *policyfile.File
	bad     error // why the newest reading of the file was not used
	since   time.Time
}

// loadPolicies reads the file, if one was given, and adds the demo, if it was asked for.
func loadPolicies(o runOptions, log *slog.Logger) (*policies, error) {
	p := &policies{path: o.policies}
	if o.demo {
		program, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("cannot find this program for the demo: %w", err)
		}
		if p.sockets, err = socketFolder(o.data); err != nil {
			return nil, fmt.Errorf("cannot make a folder for the demo's sockets: %w", err)
		}
		if p.builtIn, err = demo.Documents(program, p.sockets, runtime.NumCPU()); err != nil {
			return nil, errors.Join(err, p.close())
		}
	}
	var err error
	if p.current, err = p.read(); err != nil {
		return nil, errors.Join(err, p.close())
	}
	p.tell(log)
	return p, nil
}

// tell logs what is in force; a file that holds nothing is likelier a mistake than a wish.
func (p *policies) tell(log *slog.Logger) {
	n, m := len(p.current.Policies), len(p.current.Services)
	switch {
	case n > 0 || m > 0:
		log.Info("policies are in force", "policies", n, "services", m, "file", p.path)
	case p.path != "":
		log.Warn("the policy file holds no document: nothing is scaled", "file", p.path)
	}
}

// socketFolder makes an empty folder for sockets: in the data folder, which this process holds and where what a killed one left
// behind is found again, unless its path is too long for a socket's address (108 bytes).
func socketFolder(data string) (string, error) {
	dir, err := filepath.Abs(filepath.Join(data, "demo"))
	if err != nil {
		return "", err
	}
	if len(dir) > 80 {
		return os.MkdirTemp("", "plimsoll-demo-")
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o700)
}

func (p *policies) close() error {
	if p.sockets == "" {
		return nil
	}
	return os.RemoveAll(p.sockets)
}

// read joins the file's documents and the built-in ones.
func (p *policies) read() (*policyfile.File, error) {
	files := []*policyfile.File{}
	if p.builtIn != nil {
		files = append(files, p.builtIn)
	}
	if p.path != "" {
		f, err := policyfile.Load(p.path)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return policyfile.Join(files...)
}

// reload reads the file again and puts it in force; a bad file changes nothing.
func (p *policies) reload(s *services.Supervisor, l *autoscaler.Loop) error {
	next, err := p.read()
	if err == nil {
		err = errors.Join(s.Apply(next.Services), l.Apply(next.Policies))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bad, p.since = err, time.Now()
	if err == nil {
		p.current = next
	}
	return err
}

// condition tells of a file that could not be used.
func (p *policies) condition() (condition.Condition, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bad == nil {
		return condition.Condition{}, false
	}
	return condition.Ill("PoliciesLoaded", "BadFile", fmt.Sprintf("the old policies stay in force: %v", p.bad), p.since), true
}

// newServices makes the supervisor of the services. Each begins with as many replicas as the decision log last said.
func (m *machine) newServices(ctx context.Context) (err error) {
	start := m.policies.current.Services
	for _, p := range m.policies.current.Policies {
		n, _, ok := autoscaler.Remembered(ctx, m.store, p.Target, m.began, remembered)
		if !ok {
			continue
		}
		for i := range start {
			if k := start[i].Key(); k.Namespace == p.Target.Namespace && k.Name == p.Target.Name {
				start[i].Replicas = min(max(n, int32(p.Compiled.Min())), int32(p.Compiled.Max()))
			}
		}
	}
	if m.services, err = services.New(services.Options{Services: start, Node: m.opts.node, CgroupRoot: m.opts.cgroupRoot, Env: os.Environ(), Logger: logOf(m.log, "services"), Registerer: m.registry}); err != nil {
		return err
	}
	m.life.Runs("services", m.services.Run)
	if m.policies.builtIn == nil {
		return nil
	}
	load, err := demo.NewLoad(demo.LoadOptions{Dir: m.policies.sockets, Cores: runtime.NumCPU(), Ready: demo.Ready(m.services), Seed: 1, Logger: logOf(m.log, "demo"), Registerer: m.registry})
	if err != nil {
		return err
	}
	m.life.Runs("demo", load.Run)
	return nil
}

// newAutoscaler makes the loop over the policies; without any it has nothing to do until a reload brings some.
func (m *machine) newAutoscaler() (err error) {
	m.loop, err = autoscaler.New(autoscaler.Options{Node: m.opts.node, Policies: m.policies.current.Policies, Observer: m.picture, Inventory: m.services,
		Scaler: services.Scaler{Supervisor: m.services}, Log: m.store, Live: m.picture, History: m.store, KeepEvery: m.opts.interval,
		Logger: logOf(m.log, "autoscaler"), Registerer: m.registry})
	if err != nil {
		return err
	}
	m.life.Runs("autoscaler", m.loop.Run)
	return nil
}

// hiddenCommands are those that Plimsoll calls itself.
func hiddenCommands(a *app) []*cobra.Command {
	var o demo.ServeOptions
	serve := &cobra.Command{Use: demo.Command, Short: "Serve one replica of the demo's service", Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := a.logger()
			if err != nil {
				return err
			}
			if o.Socket == "" || !filepath.IsAbs(o.Socket) {
				return usagef("--socket %q: want an absolute path", o.Socket)
			}
			o.Logger = log
			return demo.Serve(cmd.Context(), o)
		}}
	serve.Flags().StringVar(&o.Socket, "socket", "", "path of the unix socket")
	return []*cobra.Command{serve}
}
