package metricsapi

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/metrics/pkg/apis/metrics"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// podRow is one pod of a list: its containers are a part of the list's.
type podRow struct {
	pod    *cluster.Pod
	used   []live.Used
	at     time.Time
	window time.Duration
}

// podList is a list of pods that is not made of the library's objects yet.
type podList struct {
	asked time.Time
	rows  []podRow
}

// pods makes the list of the pods that have values, in their order.
func (a *API) pods(now time.Time, pods []*cluster.Pod) *podList {
	out := &podList{asked: now, rows: make([]podRow, 0, len(pods))}
	var room []live.Used
	left := 0
	a.opts.Picture.PodsUsed(now, pods, a.opts.Window, func(i int, used []live.Used) {
		pod := pods[i]
		if pod.Phase != corev1.PodRunning {
			return
		}
		if cap(room)-len(room) < len(used) {
			room = make([]live.Used, 0, max(1024, len(used)))
		}
		from := len(room)
		var whole bool
		if room, whole = running(room, pod, used); !whole {
			room = room[:from]
			left++
			return
		}
		row := podRow{pod: pod, used: room[from:len(room):len(room)]}
		oldest := slices.MinFunc(row.used, func(x, y live.Used) int { return x.Time.Compare(y.Time) })
		row.at, row.window = oldest.Time, oldest.Window
		a.meters.freshness.Observe(now.Sub(row.at).Seconds())
		out.rows = append(out.rows, row)
	})
	a.meters.count("pods", len(out.rows), left)
	return out
}

// running appends what the containers used that run, and says whether that is all of them, and any.
func running(out []live.Used, pod *cluster.Pod, used []live.Used) ([]live.Used, bool) {
	before, n := len(out), 0
	for _, list := range [...][]cluster.Container{pod.Containers, pod.InitContainers, pod.Ephemeral} {
		for i := range list {
			if !list[i].Started.IsZero() {
				n++
			}
		}
	}
	for i := range used {
		if c := pod.Container(used[i].Name); c != nil && !c.Started.IsZero() {
			out = append(out, used[i])
			n--
		}
	}
	return out, n == 0 && len(out) > before
}

// inNamespace are the pods of one namespace, of those that are in order; "" for all.
func inNamespace(pods []*cluster.Pod, namespace string) []*cluster.Pod {
	if namespace == "" {
		return pods
	}
	from, _ := slices.BinarySearchFunc(pods, namespace, func(p *cluster.Pod, ns string) int { return strings.Compare(p.Namespace, ns) })
	to := from
	for to < len(pods) && pods[to].Namespace == namespace {
		to++
	}
	return pods[from:to:to]
}

// podStorage is the resource pods.
type podStorage struct{ api *API }

func (podStorage) New() runtime.Object     { return &metrics.PodMetrics{} }
func (podStorage) NewList() runtime.Object { return &metrics.PodMetricsList{} }
func (podStorage) Kind() string            { return "PodMetrics" }
func (podStorage) NamespaceScoped() bool   { return true }
func (podStorage) GetSingularName() string { return "" }
func (podStorage) Destroy()                {}

// List implements rest.Lister.
func (s podStorage) List(ctx context.Context, o *internalversion.ListOptions) (runtime.Object, error) {
	if err := s.api.synced(); err != nil {
		return nil, err
	}
	label, field, err := selectors(o)
	if err != nil {
		return nil, err
	}
	pods := inNamespace(s.api.opts.Inventory.All(), request.NamespaceValue(ctx))
	if !label.Empty() || !field.Empty() {
		pods = slices.DeleteFunc(slices.Clone(pods), func(p *cluster.Pod) bool {
			return !label.Matches(labels.Set(p.Labels)) || !field.Matches(fields.Set{"metadata.name": p.Name, "metadata.namespace": p.Namespace})
		})
	}
	now := time.Now()
	list := s.api.pods(now, pods)
	if len(list.rows) == 0 {
		wanted := make(map[*cluster.Pod]bool, len(pods))
		for _, p := range pods {
			wanted[p] = true
		}
		if err := s.api.blind(now, "pod", func(p *cluster.Pod) bool { return wanted[p] }); err != nil {
			return nil, err
		}
	}
	if wantsObjects(ctx) {
		return list.objects(), nil
	}
	return list, nil
}

// Get implements rest.Getter.
func (s podStorage) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	if err := s.api.synced(); err != nil {
		return nil, err
	}
	namespace, now := request.NamespaceValue(ctx), time.Now()
	pods := inNamespace(s.api.opts.Inventory.All(), namespace)
	from, found := slices.BinarySearchFunc(pods, name, func(p *cluster.Pod, name string) int { return cmp.Compare(p.Name, name) })
	if !found {
		return nil, apierrors.NewNotFound(corev1.Resource("pods"), name)
	}
	to := from
	for to < len(pods) && pods[to].Name == name {
		to++
	}
	list := s.api.pods(now, pods[from:to])
	if len(list.rows) == 0 {
		return nil, s.api.missing(now, pods[to-1])
	}
	return &list.objects().Items[0], nil
}

// missing is the answer about a pod that exists and has no values, with the reason.
func (a *API) missing(now time.Time, pod *cluster.Pod) error {
	err := apierrors.NewNotFound(metrics.Resource("podmetrics"), pod.Namespace+"/"+pod.Name)
	why, _ := a.opts.Picture.Gap(now, pod)
	switch {
	case pod.Phase != corev1.PodRunning:
		why = "it does not run: " + cmp.Or(pod.Status.State, string(pod.Phase))
	case slices.ContainsFunc(pod.Containers, func(c cluster.Container) bool { return why != "" && c.Rests() == why }): // a word of the kubelet's
		why = "it does not run: " + why
	case why == "" && !slices.ContainsFunc(pod.Containers, func(c cluster.Container) bool { return !c.Started.IsZero() }):
		why = "it does not run: " + cmp.Or(pod.Status.State, string(pod.Phase))
	case why == "":
		why = a.opts.Picture.Unheard(now, pod, a.opts.Window)
	}
	err.ErrStatus.Message += ": " + why
	return err
}

// synced is the answer while it is not known which pods and nodes there are.
func (a *API) synced() error {
	if err := a.opts.Synced(); err != nil {
		return apierrors.NewServiceUnavailable("cannot tell yet which pods and nodes there are: " + err.Error())
	}
	return nil
}

// mostTerms is how many terms the selectors of a list may have: each is tried on each object.
const mostTerms = 500

// selectors are those of a list; everything where it has none.
func selectors(o *internalversion.ListOptions) (labels.Selector, fields.Selector, error) {
	label, field := labels.Everything(), fields.Everything()
	if o != nil && o.LabelSelector != nil {
		label = o.LabelSelector
	}
	if o != nil && o.FieldSelector != nil {
		field = o.FieldSelector
	}
	terms, _ := label.Requirements()
	if n := len(terms) + len(field.Requirements()); n > mostTerms {
		return nil, nil, apierrors.NewBadRequest(fmt.Sprintf("the selectors have %d terms; at most %d are tried", n, mostTerms))
	}
	return label, field, nil
}
