package certificates

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/condition"
)

const (
	lookEvery = time.Minute
	askEvery  = time.Second // whether this process may write
	// rightsEvery is how often it is asked whether all rights are there, which are needed once in a year.
	rightsEvery = time.Hour
	maxSteps    = 10
	// toldFor is how long it is told that something was made anew.
	toldFor = time.Hour
	// patience is how many looks in a row may fail before that is told.
	patience = 3
)

// Options say what is renewed, and by which rules.
type Options struct {
	Config *rest.Config
	// Namespace and Name are the servers' Service's; the Secrets are NAME-tls and NAME-ca, the ConfigMap with those who are trusted NAME-ca.
	Namespace, Name string
	// APIServices are those that lead to the Service.
	APIServices []string
	// Lifetime is the certificate's, Authority its authority's.
	Lifetime, Authority time.Duration
	Gate                cluster.Gate
	Logger              *slog.Logger // nil discards
	Registerer          prometheus.Registerer
}

// Renewer renews the certificates of the servers of a cluster.
type Renewer struct {
	gate            cluster.Gate
	namespace, name string
	apiServices     []string
	rules           rules
	client          kubernetes.Interface
	apis            dynamic.Interface
	log             *slog.Logger
	conditions      *condition.Set
	fails           int       // looks in a row; of Run
	asked           time.Time // when it was asked for the rights; of Run
	lacks           string    // of these; "": nothing
	lost            []string  // what was made anew, as is told

	end     *prometheus.GaugeVec
	written *prometheus.CounterVec
	failed  prometheus.Counter
}

// The reasons of conditions.
const (
	forbidden = "Forbidden"
	failing   = "Failing"
	ending    = "Ending"
	notOurs   = "NotOurs"
	madeAnew  = "MadeAnew"
)

// New makes a Renewer; it asks for nothing before Run.
func New(o Options) (*Renewer, error) {
	if o.Config == nil {
		return nil, errors.New("certificates are renewed in a cluster: there is no API server")
	}
	client, err := kubernetes.NewForConfig(o.Config)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of the API server: %w", err)
	}
	apis, err := dynamic.NewForConfig(o.Config)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of the API server: %w", err)
	}
	return newRenewer(o, client, apis)
}

func newRenewer(o Options, client kubernetes.Interface, apis dynamic.Interface) (*Renewer, error) {
	switch {
	case o.Namespace == "" || o.Name == "" || o.Gate == nil:
		return nil, errors.New("certificates need a namespace, a name, and who may write")
	case o.Lifetime < 10*time.Minute:
		return nil, fmt.Errorf("a certificate that lasts %v ends before its servers have it: give 10m at least", o.Lifetime)
	case o.Authority < 2*o.Lifetime:
		return nil, fmt.Errorf("an authority that lasts %v is renewed before certificates of %v are: give %v at least", o.Authority, o.Lifetime, 2*o.Lifetime)
	}
	in := promauto.With(o.Registerer)
	return &Renewer{gate: o.Gate, namespace: o.Namespace, name: o.Name, apiServices: o.APIServices, rules: newRules(o.Namespace, o.Name, o.Lifetime, o.Authority), client: client, apis: apis,
		log:        cmp.Or(o.Logger, slog.New(slog.DiscardHandler)),
		conditions: &condition.Set{Type: "CertificatesRenewed", Blocks: []string{ending, forbidden, failing}, Tells: []string{notOurs, madeAnew}, Now: time.Now},
		end: in.NewGaugeVec(prometheus.GaugeOpts{Name: "plimsoll_certificates_end_timestamp_seconds",
			Help: "When a certificate ends that is renewed here (server, authority), as who holds the lease has last seen."}, []string{"certificate"}),
		written: in.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_certificates_steps_total",
			Help: "Steps of renewing, by what was written (authority, trust, server)."}, []string{"what"}),
		failed: in.NewCounter(prometheus.CounterOpts{Name: "plimsoll_certificates_failures_total", Help: "Looks at the certificates that failed, or after which something could not be written."})}, nil
}

func (r *Renewer) authority() string { return r.name + "-ca" }
func (r *Renewer) server() string    { return r.name + "-tls" }

// Run looks at the certificates each minute for as long as this process may write, until ctx ends.
func (r *Renewer) Run(ctx context.Context) error {
	wait := time.NewTimer(0)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-wait.C:
		}
		if r.gate.MayWrite() != nil {
			r.rest()
			wait.Reset(askEvery)
			continue
		}
		r.look(ctx)
		wait.Reset(lookEvery)
	}
}

// rest forgets what another process tells by now.
func (r *Renewer) rest() {
	r.end.Reset()
	r.conditions.Clear(forbidden, failing, ending, notOurs, madeAnew)
	r.fails, r.asked, r.lacks = 0, time.Time{}, ""
}

// look takes the steps that are due, and tells what keeps it from them.
func (r *Renewer) look(ctx context.Context) {
	f, err := r.steps(ctx)
	if ctx.Err() != nil || r.gate.MayWrite() != nil {
		return
	}
	var lacks *missing
	switch {
	case errors.As(err, &lacks):
		r.fails, r.lacks = 0, lacks.Error()
	case apierrors.IsConflict(err):
		r.log.Debug("somebody else has written; again later", "err", err)
	case err != nil:
		r.fails++
	default:
		r.fails = 0
		r.askForRights(ctx)
	}
	if err != nil && !apierrors.IsConflict(err) {
		r.failed.Inc()
	}
	r.tell(f, err)
}

// steps reads and writes until nothing is to be done; found is nil if not all could be read.
func (r *Renewer) steps(ctx context.Context) (f *found, err error) {
	failed, errs := map[int]bool{}, []error{}
	for range maxSteps {
		now := time.Now()
		if f, err = r.read(ctx, now); err != nil {
			return nil, err
		}
		for i := range failed {
			f.trusts[i].failed = true
		}
		c, err := r.rules.next(&f.seen, now)
		if err == nil && c == nil {
			break
		}
		if err == nil {
			err = r.gate.MayWrite()
		}
		if err == nil {
			err = r.write(ctx, f, c, failed, now)
		}
		if err != nil {
			errs = append(errs, err)
			if c == nil || c.trusts == nil {
				break
			}
			continue
		}
		r.did(f, c)
	}
	if f.ours() && len(errs) == 0 {
		errs = append(errs, r.releaseAll(ctx, f))
	}
	return f, errors.Join(errs...)
}

// did tells of a step.
func (r *Renewer) did(f *found, c *change) {
	what, lost := "trust", ""
	switch {
	case c.authority != nil:
		what = "authority"
		if k := f.seen.authority; k.now == nil && k.next == nil {
			lost = fmt.Sprintf("Secret %q", r.authority())
		}
	case c.server != nil:
		what = "server"
		if f.seen.server.now == nil {
			lost = fmt.Sprintf("Secret %q", r.server())
		}
	case c.trusts[0] == 0 && !f.trusts[0].there:
		lost = fmt.Sprintf("ConfigMap %q", r.authority())
	}
	r.written.WithLabelValues(what).Inc()
	r.log.Info("took a step of renewing certificates", "what", what, "why", c.why)
	if lost == "" {
		return
	}
	if _, told := r.conditions.Get(madeAnew); !told {
		r.lost = nil
	}
	if !slices.Contains(r.lost, lost) {
		r.lost = append(r.lost, lost)
	}
	r.conditions.SayFor(toldFor, madeAnew, strings.Join(r.lost, " and ")+" was missing or damaged, and was made anew")
}

// releaseAll does what a process that ended after a step left undone.
func (r *Renewer) releaseAll(ctx context.Context, f *found) error {
	var all []error
	for i, s := range f.secrets {
		if s != nil && held(s) {
			all = append(all, release(ctx, right{"update", "secrets", r.namespace, []string{r.authority(), r.server()}[i]}, s, r.client.CoreV1().Secrets(r.namespace).Update))
		}
	}
	if f.bundle != nil && held(f.bundle) && f.trusts[0].foreign == "" {
		all = append(all, release(ctx, right{"update", "configmaps", r.namespace, r.authority()}, f.bundle, r.client.CoreV1().ConfigMaps(r.namespace).Update))
	}
	for i, a := range f.apis {
		if a != nil && held(a) && f.trusts[i+1].foreign == "" {
			all = append(all, release(ctx, right{"update", "apiservices.apiregistration.k8s.io", "", a.GetName()}, a, r.updateAPIService))
		}
	}
	return errors.Join(all...)
}
