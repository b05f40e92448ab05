package policyfile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"plimsoll.dev/plimsoll/autoscaler"
	"plimsoll.dev/plimsoll/autoscaler/process"
	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/disk"
)

// remembered is how old the decision log's last word on a replica count may be for a service to begin with it.
const remembered = 24 * time.Hour

// InForce is what is scaled and how at present: the file's documents and the built-in ones. It is safe for concurrent use.
type InForce struct {
	path    string // "" without a file
	builtIn []*File

	mu      sync.Mutex
	current *File
	bad     error // why the newest reading of the file was not used
	since   time.Time
}

// Open reads the file at path, if there is one, and adds what is built in.
func Open(path string, builtIn ...*File) (*InForce, error) {
	p := &InForce{path: path, builtIn: builtIn}
	var err error
	p.current, err = p.read()
	return p, err
}

// read joins the file's documents and the built-in ones.
func (p *InForce) read() (*File, error) {
	files := slices.Clone(p.builtIn)
	if p.path != "" {
		f, err := Load(p.path)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return Join(files...)
}

// File is what is in force now; it is shared, and not to be changed.
func (p *InForce) File() *File {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current
}

// Tell logs what is in force; a file that holds nothing is likelier a mistake than a wish.
func (p *InForce) Tell(log *slog.Logger) {
	f := p.File()
	n, m := len(f.Policies), len(f.Services)
	if p.path != "" {
		for _, who := range writers(p.path) {
			log.Warn("others may write the policies, and so say what Plimsoll runs", "who", who, "file", p.path)
		}
	}
	switch {
	case n > 0 || m > 0:
		log.Info("policies are in force", "policies", n, "services", m, "file", p.path)
	case p.path != "":
		log.Warn("the policy file holds no document: nothing is scaled", "file", p.path)
	}
}

// writers says who may change a file, or put another in its place, beside root and the user of this process, each with what to do about it.
func writers(path string) []string {
	whole, err := filepath.Abs(path)
	if err != nil {
		whole = path
	}
	return append(disk.Writers("file", path), disk.Writers("folder", filepath.Dir(whole))...)
}

// Services are those that are to run. Each begins with as many replicas as the decision log last said.
func (p *InForce) Services(ctx context.Context, log autoscaler.DecisionLog, now time.Time) []process.Service {
	f := p.File()
	out := slices.Clone(f.Services)
	for _, pol := range f.Policies {
		n, _, ok := autoscaler.Remembered(ctx, log, pol.Target, now, remembered)
		if !ok {
			continue
		}
		for i := range out {
			if k := out[i].Key(); k.Namespace == pol.Target.Namespace && k.Name == pol.Target.Name {
				out[i].Replicas = min(max(n, int32(pol.Compiled.Min())), int32(pol.Compiled.Max()))
			}
		}
	}
	return out
}

// Reload reads the file again and puts it in force; a bad file changes nothing.
func (p *InForce) Reload(s *process.Supervisor, l *autoscaler.Loop) error {
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

// Conditions tell of a file that could not be used.
func (p *InForce) Conditions(time.Time) []condition.Condition {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bad == nil {
		return nil
	}
	return []condition.Condition{condition.Ill("PoliciesLoaded", "BadFile", fmt.Sprintf("the old policies stay in force: %v", p.bad), p.since)}
}
