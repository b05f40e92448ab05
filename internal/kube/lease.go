package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"plimsoll.dev/plimsoll/internal/condition"
)

// The times of the lease, as Kubernetes' own controllers have them, but shorter: nothing is scaled while nobody holds it.
const (
	leaseFor   = 10 * time.Second // another may take it so long after the last renewal
	renewUntil = 6 * time.Second  // the holder gives up so long after it
	renewEvery = 1500 * time.Millisecond
	// believed is how long after it was asked for a renewal lets its holder write. What is left of leaseFor is for a write that is on its way, and
	// for clocks that do not run at one speed.
	believed = 7 * time.Second
	// lastWrites is how long the lease is held on to when the process is to end, for what is still to be written.
	lastWrites = time.Second
)

// LeaseOptions say which lease is asked for.
type LeaseOptions struct {
	Config          *rest.Config
	Namespace, Name string
	// Identity is who asks, another one each time that a process starts.
	Identity   string
	Logger     *slog.Logger // nil discards
	Registerer prometheus.Registerer
}

// Lease is a cluster.Gate: of all processes that ask for one lease of the API server, its holder may write.
type Lease struct {
	opts  LeaseOptions
	log   *slog.Logger
	lock  *renewals
	holds prometheus.Gauge

	mu     sync.Mutex
	holder string // as last seen
}

// NewLease makes a Lease; it asks for nothing before Run.
func NewLease(o LeaseOptions) (*Lease, error) {
	if o.Config == nil || o.Namespace == "" || o.Name == "" || o.Identity == "" {
		return nil, errors.New("a lease needs an API server, a namespace, a name, and who asks for it")
	}
	config := rest.CopyConfig(o.Config)
	config.Timeout = renewUntil / 2 // one call that hangs leaves time for another
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of the API server: %w", err)
	}
	lock := &resourcelock.LeaseLock{LeaseMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name}, Client: client.CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: o.Identity}}
	l := &Lease{opts: o, log: cmp.Or(o.Logger, slog.New(slog.DiscardHandler)), lock: &renewals{Interface: lock}}
	l.lock.newest.Store(new(time.Now()))
	l.holds = promauto.With(o.Registerer).NewGauge(prometheus.GaugeOpts{Name: "plimsoll_lease_held", Help: "1 while this process holds the lease of those that may write."})
	return l, nil
}

// Run asks for the lease, renews it and gives it back when ctx ends; who holds it then does so a second later.
func (l *Lease) Run(ctx context.Context) error {
	held, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	defer context.AfterFunc(ctx, func() {
		if l.MayWrite() == nil {
			time.Sleep(lastWrites)
		}
		release()
	})()
	for ctx.Err() == nil {
		e, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{Lock: l.lock, LeaseDuration: leaseFor, RenewDeadline: renewUntil, RetryPeriod: renewEvery,
			ReleaseOnCancel: true, Name: l.opts.Name, Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) {
					l.holds.Set(1)
					l.log.Info("this process may write now: it holds the lease", "lease", l.opts.Namespace+"/"+l.opts.Name)
				},
				OnStoppedLeading: func() {
					l.lock.end()
					l.holds.Set(0)
				},
				OnNewLeader: l.seen,
			}})
		if err != nil {
			return err
		}
		e.Run(held) // until it is lost
		l.lock.end()
	}
	return nil
}

func (l *Lease) seen(holder string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.holder = holder
	l.log.Info("who holds the lease", "holder", holder, "lease", l.opts.Namespace+"/"+l.opts.Name)
}

// MayWrite implements cluster.Gate. It goes by the time of the last renewal, on two clocks, and not by what somebody was told: a process that was
// stopped for a while holds nothing when it wakes.
func (l *Lease) MayWrite() error {
	if l.lock.fresh(time.Now()) {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch l.holder {
	case "":
		return errors.New("nobody holds the lease yet")
	case l.opts.Identity:
		return errors.New("the lease could not be renewed in time")
	}
	return fmt.Errorf("%s holds the lease", l.holder)
}

// Conditions says that nobody is known to hold the lease, for longer than it takes to pass to another.
func (l *Lease) Conditions(now time.Time) []condition.Condition {
	err := l.MayWrite()
	since := *l.lock.newest.Load()
	l.mu.Lock()
	other := l.holder != "" && l.holder != l.opts.Identity
	l.mu.Unlock()
	if err == nil || other || now.Sub(since) < leaseFor+renewUntil {
		return nil
	}
	return []condition.Condition{condition.Ill("LeaseRenewed", "NotRenewed", fmt.Sprintf("%v (%s/%s): nothing is scaled meanwhile, and a history that servers share gets no sums", err, l.opts.Namespace, l.opts.Name), since)}
}

// renewals is a lock that remembers when it was last taken or renewed by us.
type renewals struct {
	resourcelock.Interface
	at     atomic.Pointer[time.Time] // when that was asked for; nil: never, or it is over
	newest atomic.Pointer[time.Time] // when that was asked for last, or when this was made
}

// Create implements resourcelock.Interface.
func (r *renewals) Create(ctx context.Context, ler resourcelock.LeaderElectionRecord) error {
	return r.note(ler, func() error { return r.Interface.Create(ctx, ler) })
}

// Update implements resourcelock.Interface.
func (r *renewals) Update(ctx context.Context, ler resourcelock.LeaderElectionRecord) error {
	return r.note(ler, func() error { return r.Interface.Update(ctx, ler) })
}

func (r *renewals) note(ler resourcelock.LeaderElectionRecord, write func() error) error {
	asked := time.Now()
	if ler.HolderIdentity != r.Identity() {
		r.end() // it is given back: nothing is written from here on
		return write()
	}
	err := write()
	if err == nil {
		r.at.Store(&asked)
		r.newest.Store(&asked)
	}
	return err
}

func (r *renewals) end() { r.at.Store(nil) }

func (r *renewals) fresh(now time.Time) bool {
	at := r.at.Load()
	return at != nil && now.Sub(*at) < believed && now.Round(0).Sub(at.Round(0)).Abs() < believed
}
