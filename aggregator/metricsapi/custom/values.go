package custom

import (
	"context"
	"iter"
	"math"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/metrics/pkg/apis/custom_metrics"
	"k8s.io/metrics/pkg/apis/external_metrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/metric"
)

// kind is a kind of object that has metrics.
type kind struct {
	resource, name string
	level          metric.Level
	namespaced     bool // it is in a namespace; a namespace is asked for as if it were
}

var kinds = []kind{{"pods", "Pod", metric.Pod, true}, {"nodes", "Node", metric.Node, false}, {"namespaces", "Namespace", metric.Namespace, false}}

// nameOf is how a row is called here: a counter by its rate, "" if it has none.
func nameOf(row *metric.Row) string {
	if row.Kind == metric.Counter {
		return row.Rate
	}
	return row.Field
}

// served are the rows that the picture can have a value of at a level, and that have a name here.
func served(level metric.Level) iter.Seq[*metric.Row] {
	return func(yield func(*metric.Row) bool) {
		for i := range metric.Rows() {
			if row := &metric.Rows()[i]; row.Has(level) && !row.Past && nameOf(row) != "" && !yield(row) {
				return
			}
		}
	}
}

// find returns the row of a name at a level; nil if there is none.
func find(name string, level metric.Level) *metric.Row {
	for row := range served(level) {
		if nameOf(row) == name {
			return row
		}
	}
	return nil
}

// object is one that is asked about.
type object struct {
	namespace, name string
	labels          map[string]string
	item            *live.Item
}

// value is what is known of a row of it; ok is false where that is not the present, or not the whole.
func (o *object) value(row *metric.Row) (v live.Value, ok bool) {
	if o.item == nil || o.item.Silent() || o.item.Ended || o.item.Lacks.Has(row.ID) {
		return v, false
	}
	values := o.item.Row(row.ID)
	for i := range values {
		x := &values[i]
		if row.Sub == "interface" && x.Sub == "lo" || row.Kind == metric.Counter && x.Window == 0 {
			continue
		}
		at := x.V
		if row.Kind == metric.Counter {
			at = x.Rate
		}
		if !ok {
			v, ok = live.Value{ID: row.ID, T: x.T, V: at, Window: x.Window}, true
			continue
		}
		v.V = row.Join.Of(v.V, at)
		v.Window = min(v.Window, x.Window)
		if x.T.Before(v.T) {
			v.T = x.T
		}
	}
	return v, ok
}

// values provides what is asked for.
type values struct{ opts Options }

// asked finds the kind and the row that are asked for.
func asked(info provider.CustomMetricInfo) (kind, *metric.Row, error) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.resource == info.GroupResource.Resource && info.GroupResource.Group == "" })
	if i < 0 {
		err := provider.NewMetricNotFoundError(info.GroupResource, info.Metric)
		err.ErrStatus.Message += "; there are some for pods, nodes and namespaces"
		return kind{}, nil, err
	}
	if info.Namespaced && kinds[i].level == metric.Namespace { // which is in none: the right that was asked for is one to another's namespace
		return kind{}, nil, provider.NewMetricNotFoundError(info.GroupResource, info.Metric)
	}
	row := find(info.Metric, kinds[i].level)
	if row == nil {
		return kind{}, nil, unknown(info.GroupResource, info.Metric, kinds[i].level)
	}
	return kinds[i], row, nil
}

// objects calls f for each object of a kind, in one namespace if it is in one.
func (p *values) objects(k kind, namespace string, now time.Time, f func(object)) {
	s := p.opts.Pictures.Snapshot(now)
	switch k.level {
	case metric.Pod:
		for i := range s.Known {
			if pod := s.Known[i].Pod; pod.Namespace == namespace && !pod.Finished() {
				f(object{namespace, pod.Name, pod.Labels, s.Known[i].Item})
			}
		}
	case metric.Node:
		items := make(map[string]*live.Item, len(s.Nodes))
		for _, it := range s.Nodes {
			items[it.Entity.Node] = it
		}
		for _, n := range p.opts.Nodes.Nodes() {
			f(object{"", n.Name, n.Labels, items[n.Name]})
		}
	case metric.Namespace:
		for _, it := range s.Namespaces {
			f(object{"", it.Entity.Namespace, nil, it})
		}
	}
}

// synced is the answer while it is not known what there is.
func (p *values) synced() error {
	if err := p.opts.Synced(); err != nil {
		return apierrors.NewServiceUnavailable("cannot tell yet which pods and nodes there are: " + err.Error())
	}
	return nil
}

// GetMetricByName implements provider.CustomMetricsProvider.
func (p *values) GetMetricByName(_ context.Context, name types.NamespacedName, info provider.CustomMetricInfo, of labels.Selector) (*custom_metrics.MetricValue, error) {
	k, row, err := asked(info)
	if err == nil {
		err = p.synced()
	}
	if err != nil {
		return nil, err
	}
	var out *custom_metrics.MetricValue
	p.objects(k, name.Namespace, time.Now(), func(o object) {
		if o.name != name.Name {
			return
		}
		if v, ok := o.value(row); ok && of.Empty() {
			out = k.of(&o, info.Metric, &v)
		}
	})
	if out == nil {
		return nil, provider.NewMetricNotFoundForError(info.GroupResource, info.Metric, name.Name)
	}
	return out, nil
}

// GetMetricBySelector implements provider.CustomMetricsProvider. Objects without a value are left out.
func (p *values) GetMetricBySelector(_ context.Context, namespace string, selector labels.Selector, info provider.CustomMetricInfo, of labels.Selector) (*custom_metrics.MetricValueList, error) {
	k, row, err := asked(info)
	if err == nil {
		err = p.synced()
	}
	if err != nil {
		return nil, err
	}
	out := &custom_metrics.MetricValueList{Items: []custom_metrics.MetricValue{}}
	p.objects(k, namespace, time.Now(), func(o object) {
		if !selector.Matches(labels.Set(o.labels)) || !of.Empty() {
			return
		}
		if v, ok := o.value(row); ok {
			out.Items = append(out.Items, *k.of(&o, info.Metric, &v))
		}
	})
	return out, nil
}

// of is a value in the API's words.
func (k kind) of(o *object, name string, v *live.Value) *custom_metrics.MetricValue {
	out := &custom_metrics.MetricValue{DescribedObject: custom_metrics.ObjectReference{APIVersion: "v1", Kind: k.name, Namespace: o.namespace, Name: o.name},
		Metric: custom_metrics.MetricIdentifier{Name: name}, Timestamp: metav1.NewTime(v.T), Value: quantity(v.V)}
	if seconds := int64(math.Round(v.Window.Seconds())); seconds > 0 {
		out.WindowSeconds = &seconds
	}
	return out
}

// quantity has millionths where there is room for them.
func quantity(v float64) resource.Quantity {
	if v *= 1e6; math.Abs(v) < math.MaxInt64 {
		return *resource.NewScaledQuantity(int64(v), resource.Micro)
	}
	return *resource.NewQuantity(int64(max(min(v/1e6, 1<<62), -1<<62)), resource.DecimalSI)
}

// ListAllMetrics implements provider.CustomMetricsProvider.
func (p *values) ListAllMetrics() (out []provider.CustomMetricInfo) {
	for _, k := range kinds {
		for row := range served(k.level) {
			out = append(out, provider.CustomMetricInfo{GroupResource: schema.GroupResource{Resource: k.resource}, Namespaced: k.namespaced, Metric: nameOf(row)})
		}
	}
	return out
}

// GetExternalMetric implements provider.ExternalMetricsProvider: the values of the namespace's workloads, which are selected by workload_kind and
// workload. What is asked for of several is added up by whoever asks.
func (p *values) GetExternalMetric(_ context.Context, namespace string, selector labels.Selector, info provider.ExternalMetricInfo) (*external_metrics.ExternalMetricValueList, error) {
	row := find(info.Metric, metric.Workload)
	if row == nil {
		return nil, unknown(schema.GroupResource{}, info.Metric, metric.Workload)
	}
	if err := p.synced(); err != nil {
		return nil, err
	}
	out := &external_metrics.ExternalMetricValueList{Items: []external_metrics.ExternalMetricValue{}}
	for _, it := range p.opts.Pictures.Snapshot(time.Now()).Workloads {
		of := map[string]string{"workload_kind": it.Entity.WorkloadKind, "workload": it.Entity.Workload}
		if it.Entity.Namespace != namespace || !selector.Matches(labels.Set(of)) {
			continue
		}
		o := object{item: it}
		v, ok := o.value(row)
		if !ok {
			continue
		}
		x := external_metrics.ExternalMetricValue{MetricName: info.Metric, MetricLabels: of, Timestamp: metav1.NewTime(v.T), Value: quantity(v.V)}
		if seconds := int64(math.Round(v.Window.Seconds())); seconds > 0 {
			x.WindowSeconds = &seconds
		}
		out.Items = append(out.Items, x)
	}
	return out, nil
}

// ListAllExternalMetrics implements provider.ExternalMetricsProvider.
func (p *values) ListAllExternalMetrics() (out []provider.ExternalMetricInfo) {
	for row := range served(metric.Workload) {
		out = append(out, provider.ExternalMetricInfo{Metric: nameOf(row)})
	}
	return out
}
