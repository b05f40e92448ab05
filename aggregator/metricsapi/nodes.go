package metricsapi

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/metrics/pkg/apis/metrics"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// nodes makes the objects of the nodes that are wanted and have values, in their order.
func (a *API) nodes(now time.Time, wanted func(*cluster.Node) bool) []metrics.NodeMetrics {
	out, missing := []metrics.NodeMetrics{}, 0
	for _, n := range a.opts.Inventory.Nodes() {
		if !wanted(n) {
			continue
		}
		used, ok := a.opts.Picture.NodeUsed(now, n.Name, a.opts.Window)
		if !ok {
			missing++
			continue
		}
		a.meters.freshness.Observe(now.Sub(used.Time).Seconds())
		out = append(out, metrics.NodeMetrics{ObjectMeta: metav1.ObjectMeta{Name: n.Name, Labels: n.Labels, CreationTimestamp: metav1.NewTime(now)},
			Timestamp: metav1.NewTime(used.Time), Window: metav1.Duration{Duration: used.Window}, Usage: usage(&used)})
	}
	a.meters.count("nodes", len(out), missing)
	return out
}

// nodeStorage is the resource nodes.
type nodeStorage struct{ api *API }

func (nodeStorage) New() runtime.Object     { return &metrics.NodeMetrics{} }
func (nodeStorage) NewList() runtime.Object { return &metrics.NodeMetricsList{} }
func (nodeStorage) Kind() string            { return "NodeMetrics" }
func (nodeStorage) NamespaceScoped() bool   { return false }
func (nodeStorage) GetSingularName() string { return "" }
func (nodeStorage) Destroy()                {}

// List implements rest.Lister.
func (s nodeStorage) List(_ context.Context, o *internalversion.ListOptions) (runtime.Object, error) {
	if err := s.api.synced(); err != nil {
		return nil, err
	}
	label, field, err := selectors(o)
	if err != nil {
		return nil, err
	}
	now, wanted := time.Now(), map[string]bool{}
	items := s.api.nodes(now, func(n *cluster.Node) bool {
		wanted[n.Name] = label.Matches(labels.Set(n.Labels)) && field.Matches(fields.Set{"metadata.name": n.Name})
		return wanted[n.Name]
	})
	if len(items) == 0 {
		if err := s.api.blind(now, "node", func(p *cluster.Pod) bool { return wanted[p.Node] }); err != nil {
			return nil, err
		}
	}
	return &metrics.NodeMetricsList{Items: items}, nil
}

// Get implements rest.Getter.
func (s nodeStorage) Get(_ context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	if err := s.api.synced(); err != nil {
		return nil, err
	}
	known := false
	items := s.api.nodes(time.Now(), func(n *cluster.Node) bool {
		known = known || n.Name == name
		return n.Name == name
	})
	switch {
	case !known:
		return nil, apierrors.NewNotFound(corev1.Resource("nodes"), name)
	case len(items) == 0:
		err := apierrors.NewNotFound(metrics.Resource("nodemetrics"), name)
		err.ErrStatus.Message += ": nothing recent is known of it"
		return nil, err
	}
	return &items[0], nil
}
