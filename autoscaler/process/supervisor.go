package process

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Errors that callers can test for with errors.Is.
var (
	// ErrUnknownService is a service that is not known, or not any more.
	ErrUnknownService = errors.New("unknown service")
	// ErrEnded is a supervisor whose Run has ended or is ending.
	ErrEnded = errors.New("no replicas are started any more")
)

// Options are what a Supervisor needs.
type Options struct {
	Services []Service
	Node     string // this machine's name, which every pod carries
	// CgroupRoot is where the cgroup file system is mounted; empty: /sys/fs/cgroup. "none": replicas get no cgroups.
	CgroupRoot string
	// Number tells this Plimsoll from all others on the machine, in decimal digits; empty: the number of this process.
	Number string
	// Env is the environment of every replica, to which its service adds; usually os.Environ().
	Env []string
	// guard is the program of the guard process, which must call GuardMain at its very beginning; empty: this program.
	guard string
	// jitter gives numbers between 0 and 1 that spread restarts; nil: random ones.
	jitter     func() float64
	Logger     *slog.Logger          // nil: discard
	Registerer prometheus.Registerer // nil: not registered
}

// Validate says what is impossible about the options.
func (o *Options) Validate() error { return validateServices(o.Services) }

func validateServices(services []Service) error {
	var errs []error
	seen := map[Key]bool{}
	for i := range services {
		s := &services[i]
		if err := s.Validate(); err != nil {
			errs = append(errs, err)
		}
		if seen[s.Key()] {
			errs = append(errs, fmt.Errorf("service %q is there twice", s.Key()))
		}
		seen[s.Key()] = true
	}
	return errors.Join(errs...)
}

// Supervisor runs services. All methods are safe for concurrent use.
type Supervisor struct {
	opts  Options
	log   *slog.Logger
	spawn *spawner
	// children are all processes that are waited for here.
	children *Children
	metrics  *metrics
	token    string // what our marks begin with
	cgroups  *cgroups

	mu       sync.Mutex // everything below, and what replica says is under it
	services map[Key]*service
	running  bool
	ended    bool // ending or ended
	guardErr error
	wg       sync.WaitGroup // the replicas
}

// New checks the options and builds a Supervisor. It starts nothing.
func New(o Options) (*Supervisor, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.CgroupRoot, o.Logger = cmp.Or(o.CgroupRoot, "/sys/fs/cgroup"), cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	o.Number = cmp.Or(o.Number, strconv.Itoa(os.Getpid()))
	if o.jitter == nil {
		o.jitter = mrand.Float64
	}
	s := &Supervisor{opts: o, log: o.Logger, children: NewChildren(), services: map[Key]*service{}, token: rand.Text()}
	s.spawn, s.metrics = newSpawner(s.children), newMetrics(s)
	if o.Registerer != nil {
		if err := s.metrics.register(o.Registerer); err != nil {
			return nil, err
		}
	}
	return s, s.Apply(o.Services)
}

// Run runs the services until ctx ends, then drains all replicas and returns when nothing of them is left.
// It can be called once.
func (s *Supervisor) Run(ctx context.Context) error {
	s.mu.Lock()
	if s.running || s.ended {
		s.mu.Unlock()
		return errors.New("cannot run a process supervisor twice")
	}
	s.running = true
	s.mu.Unlock()

	s.prepareCgroups()
	stopTending := s.tend()
	defer stopTending()
	g, err := s.startGuard()
	if err != nil {
		s.log.Warn("replicas' children may outlive a killed Plimsoll", "err", err)
	}
	stopSpawner, spawnerDone := make(chan struct{}), make(chan struct{})
	go func() { defer close(spawnerDone); s.spawn.run(stopSpawner) }()

	s.mu.Lock()
	s.guardErr = err
	s.reconcile()
	s.mu.Unlock()
	g = s.keepGuard(ctx, g)

	s.mu.Lock()
	s.ended = true
	s.reconcile()
	s.mu.Unlock()
	s.wg.Wait()
	lost := killAll(func() []int { return s.children.of("") }, time.Now().Add(clearTimeout))
	close(stopSpawner)
	<-spawnerDone
	return errors.Join(lost, s.cgroups.close(), g.end())
}

// tend waits for orphans until it is told to stop. Without cgroups those of the replicas are adopted.
func (s *Supervisor) tend() (stop func()) {
	if s.cgroups == nil {
		if err := s.children.Adopt(); err != nil {
			s.log.Warn("what a replica leaves behind may escape", "err", err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background()) // beyond Run's: replicas that drain have children too
	done := make(chan struct{})
	go func() { defer close(done); _ = s.children.Run(ctx) }()
	return func() { cancel(); <-done; s.children.tend() }
}

// prepareCgroups finds out whether replicas can have cgroups, and says why not.
func (s *Supervisor) prepareCgroups() {
	if s.opts.CgroupRoot == "none" {
		return
	}
	cleared, err := clearLeftovers(s.opts.CgroupRoot)
	if len(cleared) > 0 {
		s.log.Info("cleared the cgroups of a Plimsoll that is gone", "cgroups", cleared)
	}
	if err != nil {
		s.log.Warn("cannot clear the cgroups of a Plimsoll that is gone", "err", err)
	}
	if s.cgroups, err = openCgroups(s.opts.CgroupRoot, s.Folder()); err != nil {
		s.cgroups = nil
		s.log.Warn("replicas get no cgroups: they have no limits and are measured by process", "err", err)
	}
}

// Folder is the cgroup, below the mount point, that holds all replicas, where they have cgroups.
func (s *Supervisor) Folder() string { return topPrefix + s.opts.Number }

// Apply makes these the services: new ones are started, missing ones drained, and the replicas of changed ones
// are renewed one after the other, each when the one before is ready. A service that stays keeps its number of
// replicas. With an error nothing is changed.
func (s *Supervisor) Apply(services []Service) error {
	if err := validateServices(services); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return ErrEnded
	}
	keep := map[Key]bool{}
	for _, spec := range services {
		k := spec.Key()
		keep[k] = true
		svc := s.services[k]
		switch {
		case svc == nil:
			svc = &service{desired: spec.Replicas, replicas: map[int]*replica{}}
			s.services[k] = svc
		case svc.gone:
			svc.gone, svc.desired = false, spec.Replicas
		}
		svc.spec = spec
	}
	for k, svc := range s.services {
		if !keep[k] {
			svc.gone = true
		}
	}
	s.reconcile()
	return nil
}

// Scale sets how many replicas a service is to have. It returns when that is decided, not when they run.
func (s *Supervisor) Scale(_ context.Context, k Key, replicas int32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scale(k, replicas)
}

// scale is Scale with the lock held.
func (s *Supervisor) scale(k Key, replicas int32) error {
	if replicas < 0 || replicas > MaxReplicas {
		return fmt.Errorf("cannot scale %q to %d replicas: not between 0 and %d", k, replicas, MaxReplicas)
	}
	if s.ended {
		return fmt.Errorf("cannot scale %q: %w", k, ErrEnded)
	}
	svc := s.services[k]
	if svc == nil || svc.gone {
		return fmt.Errorf("cannot scale %q: %w", k, ErrUnknownService)
	}
	svc.desired = replicas
	s.reconcile()
	return nil
}

// Services returns the services that are known, by namespace and name, each with the number of replicas that it
// is to have now.
func (s *Supervisor) Services() []Service {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Service
	for _, svc := range s.services {
		if !svc.gone {
			spec := svc.spec
			spec.Replicas = svc.desired
			out = append(out, spec)
		}
	}
	slices.SortFunc(out, func(a, b Service) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// Replicas returns a service's replicas by number, those that are draining included.
func (s *Supervisor) Replicas(k Key) ([]Replica, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	svc := s.services[k]
	if svc == nil {
		return nil, fmt.Errorf("service %q: %w", k, ErrUnknownService)
	}
	out := make([]Replica, 0, len(svc.replicas))
	for _, r := range svc.ordered() {
		out = append(out, r.now)
	}
	return out, nil
}

// Output returns the last lines that a replica wrote, oldest first; nil if there is no such replica.
func (s *Supervisor) Output(k Key, name string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if svc := s.services[k]; svc != nil {
		for _, r := range svc.replicas {
			if r.now.Name == name {
				return r.out.all()
			}
		}
	}
	return nil
}

// Health says what is wrong with the supervisor itself; a replica that fails shows in Replicas.
func (s *Supervisor) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.guardErr
}

// mark is the mark of a replica's processes.
func (s *Supervisor) mark(k Key, replica string) string {
	return s.token + "/" + k.String() + "/" + replica
}

// group makes the group of a replica.
func (s *Supervisor) group(k Key, replica string, spec *Service) (group, error) {
	if s.cgroups == nil {
		return marked{s.mark(k, replica), s.children}, nil
	}
	return s.cgroups.group(k, replica, spec)
}

// reconcile starts and stops replicas until each service has as many as it is to have. The lock is held.
func (s *Supervisor) reconcile() {
	if !s.running {
		return
	}
	for k, svc := range s.services {
		desired := int(svc.desired)
		if svc.gone || s.ended {
			desired = 0
		}
		active := svc.active()
		for n := len(active); n > desired; n-- {
			active[n-1].halt()
		}
		for n := len(active); n < desired; n++ {
			s.launch(k, svc)
		}
		if desired > 0 {
			svc.roll()
		}
		if svc.gone && len(svc.replicas) == 0 {
			delete(s.services, k)
			if s.cgroups != nil {
				s.cgroups.removeParents(k)
			}
		}
	}
}

// halt tells a replica to end.
func (r *replica) halt() {
	r.stopped = true
	at := time.Now()
	if r.now.Ready {
		r.now.Ready, r.now.ReadyAt = false, at
	}
	r.now.State, r.now.Since = Draining, at
	close(r.stop)
}

// launch starts a replica with the lowest free number.
func (s *Supervisor) launch(k Key, svc *service) {
	ordinal := 1
	for svc.replicas[ordinal] != nil {
		ordinal++
	}
	name, at := replicaName(k.Name, ordinal), time.Now()
	r := &replica{
		sup: s, key: k, uid: rand.Text(), ordinal: ordinal, want: svc.spec, stop: make(chan struct{}), renew: make(chan struct{}, 1),
		log: s.log.With("service", k.String(), "replica", name),
		now: Replica{Name: name, Ordinal: ordinal, State: Starting, Since: at, Created: at},
	}
	svc.replicas[ordinal] = r
	s.metrics.lost.WithLabelValues(k.Namespace, k.Name) // there before anything is lost
	s.wg.Go(func() {
		r.run()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(svc.replicas, ordinal)
		s.reconcile()
	})
}
