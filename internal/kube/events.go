package kube

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"plimsoll.dev/plimsoll/internal/turns"
)

const (
	eventQueue = 1024
	maxNote    = 1024 // bytes, the API server's
	// callFor is how long one call of what tells people may take.
	callFor = 2 * time.Second
)

// Event is something that people are told of an object.
type Event struct {
	Object       corev1.ObjectReference
	Warning      bool
	Reason, Note string // a word, a sentence
	Action       string
	Time         time.Time
}

// Teller writes Events and the status of objects.
type Teller struct {
	name, instance string
	client         kubernetes.Interface
	objects        dynamic.Interface
	queue          chan Event
	log            *slog.Logger
	untold         *prometheus.CounterVec
	turns          *turns.Turns

	mu      sync.Mutex
	failing map[string]bool // "events", "status"
}

// TellerOptions say who tells.
type TellerOptions struct {
	Config   *rest.Config
	Name     string // "plimsoll.dev/autoscaler"
	Instance string // the process
	// Turns has what is told wait for its turn, behind changes of counts; nil: nothing waits.
	Turns      *turns.Turns
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// NewTeller makes a Teller; it sends nothing before Run.
func NewTeller(o TellerOptions) (*Teller, error) {
	client, err := kubernetes.NewForConfig(o.Config)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of the API server: %w", err)
	}
	objects, err := dynamic.NewForConfig(o.Config)
	if err != nil {
		return nil, fmt.Errorf("cannot make a client of the API server: %w", err)
	}
	return &Teller{turns: cmp.Or(o.Turns, turns.New(turns.Options{})), name: o.Name, instance: o.Instance, client: client, objects: objects, queue: make(chan Event, eventQueue), log: cmp.Or(o.Logger, slog.New(slog.DiscardHandler)),
		failing: map[string]bool{}, untold: promauto.With(o.Registerer).NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_autoscaler_untold_total",
			Help: "What people could not be told, as the API server took it not, or too much waited, by what it was (events, status)."}, []string{"what"})}, nil
}

// Tell queues an event. Where too many wait it is lost, and counted.
func (t *Teller) Tell(e Event) {
	select {
	case t.queue <- e:
	default:
		t.untold.WithLabelValues("events").Inc()
	}
}

// tried notes how a call went that tells people. The first that fails after one that did not is worth a line.
func (t *Teller) tried(ctx context.Context, what string, err error) error {
	t.mu.Lock()
	was := t.failing[what]
	t.failing[what] = err != nil
	t.mu.Unlock()
	switch {
	case err == nil && was:
		t.log.Info("people can be told again", "what", what)
	case err == nil:
		return nil
	case !was && ctx.Err() == nil:
		t.log.Warn("people cannot be told of what is decided", "what", what, "err", err)
	}
	if err != nil {
		t.untold.WithLabelValues(what).Inc()
	}
	return err
}

// Run writes events until ctx ends.
func (t *Teller) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-t.queue:
			if !t.turns.Take(ctx, turns.Event) {
				return nil
			}
			_ = t.tried(ctx, "events", t.write(ctx, e)) // it is counted
		}
	}
}

func (t *Teller) write(ctx context.Context, e Event) error {
	ctx, cancel := context.WithTimeout(ctx, callFor)
	defer cancel()
	kind := corev1.EventTypeNormal
	if e.Warning {
		kind = corev1.EventTypeWarning
	}
	_, err := t.client.EventsV1().Events(e.Object.Namespace).Create(ctx, &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: e.Object.Namespace, GenerateName: e.Object.Name + "-"},
		EventTime:  metav1.NewMicroTime(e.Time), ReportingController: t.name, ReportingInstance: t.instance,
		Type: kind, Reason: e.Reason, Action: e.Action, Note: cut(e.Note, maxNote), Regarding: e.Object}, metav1.CreateOptions{})
	return err
}

// cut keeps what fits of a text, whole letters alone.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// SetStatus merges a patch, {"metadata": {"uid": ...}, "status": ...}, into an object's status. Where the object is gone, or another one
// has its name, there is nothing to tell. It waits for its turn for as long as ctx allows.
func (t *Teller) SetStatus(ctx context.Context, r schema.GroupVersionResource, namespace, name string, patch []byte) error {
	if !t.turns.Take(ctx, turns.Status) {
		return ctx.Err()
	}
	within, cancel := context.WithTimeout(ctx, callFor)
	defer cancel()
	_, err := t.objects.Resource(r).Namespace(namespace).Patch(within, name, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		err = nil
	}
	return t.tried(ctx, "status", err)
}
