package heapster

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/model"
	"plimsoll.dev/plimsoll/internal/serve"
)

// Exported is one entity of metric-export with its newest values.
type Exported struct {
	Metrics map[string][]ExportedPoint `json:"metrics"`
	Labels  map[string]string          `json:"labels"`
}

// ExportedPoint is one value. For a cumulative metric Start is when the counter began; for a gauge both
// times are that of the sample. Value is an integer or a float, as the schema says.
type ExportedPoint struct {
	Start  time.Time         `json:"start"`
	End    time.Time         `json:"end"`
	Labels map[string]string `json:"labels,omitempty"`
	Value  any               `json:"value"`
}

// Schema is the answer of metric-export-schema.
type Schema struct {
	Metrics      []MetricDescriptor `json:"metrics"`
	CommonLabels []LabelDescriptor  `json:"common_labels"`
	PodLabels    []LabelDescriptor  `json:"pod_labels"`
}

// MetricDescriptor describes a metric of the export. Type is cumulative or gauge, ValueType int64 or double.
type MetricDescriptor struct {
	Name        string            `json:"name"`
	Description string            `json:"description"`
	Labels      []LabelDescriptor `json:"labels,omitempty"`
	Type        string            `json:"type"`
	ValueType   string            `json:"value_type"`
	Units       string            `json:"units,omitempty"` // bytes, ms, ns; Heapster left out those of counts, millicores and rates
}

// LabelDescriptor describes a label of the export.
type LabelDescriptor struct {
	Key         string `json:"key"`
	Description string `json:"description"`
}

func (a *API) getExport(w http.ResponseWriter, _ *http.Request) error {
	return serve.WriteJSON(w, a.picture(time.Now()).export(a.specs))
}

// export lists nodes, then system containers, pods and their containers, by name; pods of one name on several machines each by itself.
func (p picture) export(all model.Metrics) []Exported {
	out := []Exported{}
	for _, it := range p.nodes {
		out = p.exported(out, all, p.scope(target{level: model.Node, node: it.Entity.Node}), it)
	}
	items := slices.Clone(p.containers)
	slices.SortStableFunc(items, func(a, b *live.Item) int {
		x, y := a.Entity, b.Entity
		first := func(e *metric.Entity) int {
			if model.System(e) {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(first(x), first(y)), cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Pod, y.Pod), cmp.Compare(x.Node, y.Node), cmp.Compare(x.Container, y.Container))
	})
	for i, it := range items {
		e := it.Entity
		if model.System(e) {
			t := target{level: model.SystemContainer, node: e.Node, container: model.SystemName(e)}
			out = p.exported(out, all, scope{target: t, items: items[i : i+1]}, it)
			continue
		}
		t := target{level: model.Pod, namespace: e.Namespace, pod: e.Pod}
		if i == 0 || model.System(items[i-1].Entity) || !samePod(items[i-1], it) {
			n := i + 1
			for n < len(items) && samePod(it, items[n]) {
				n++
			}
			out = p.exported(out, all, scope{target: t, items: items[i:n]}, it)
		}
		if e.Container == "" {
			continue
		}
		t.level, t.container = model.PodContainer, e.Container
		out = p.exported(out, all, scope{target: t, items: items[i : i+1]}, it)
	}
	return out
}

// exported appends a target's values, if it has any.
func (p picture) exported(out []Exported, all model.Metrics, in scope, it *live.Item) []Exported {
	x := Exported{Metrics: map[string][]ExportedPoint{}, Labels: exportLabels(in.target, it)}
	for i := range all {
		s := &all[i]
		if !s.Export || !s.Has(in.level) {
			continue
		}
		for device, v := range p.values(s, in) {
			pt := ExportedPoint{Start: v.t.UTC(), End: v.t.UTC(), Value: v.v}
			if s.Whole && math.Abs(v.v) < math.MaxInt64 {
				pt.Value = int64(v.v)
			}
			if s.Cumulative {
				pt.Start = cmp.Or(it.Start, it.First, v.t).UTC()
			}
			if s.Labelled {
				pt.Labels = map[string]string{"resource_id": device}
			}
			x.Metrics[s.Name] = append(x.Metrics[s.Name], pt)
		}
		slices.SortFunc(x.Metrics[s.Name], func(a, b ExportedPoint) int { return cmp.Compare(a.Labels["resource_id"], b.Labels["resource_id"]) })
	}
	if len(x.Metrics) == 0 {
		return out
	}
	return append(out, x)
}

// exportLabels are Heapster's labels, and the namespace's name, which it left out.
func exportLabels(t target, it *live.Item) map[string]string {
	e := it.Entity
	out := map[string]string{"nodename": e.Node, "hostname": e.Node}
	switch t.level {
	case model.Node:
		out["container_name"] = "machine"
	case model.SystemContainer:
		out["container_name"] = t.container
	case model.Pod:
		out["container_name"] = "/pod"
	case model.PodContainer:
		out["container_name"] = e.Container
		if e.Image != "" {
			out["container_base_image"] = e.Image
		}
	}
	if t.level == model.Pod || t.level == model.PodContainer {
		out["namespace_name"], out["pod_name"], out["pod_id"] = e.Namespace, e.Pod, podID(it)
		if pod := podOf(it); pod != nil && len(pod.Labels) > 0 {
			out["labels"] = joined(pod.Labels)
		}
	}
	return out
}

// joined are labels as Heapster joined them to one.
func joined(labels map[string]string) string {
	var out []string
	for k, v := range labels {
		out = append(out, k+":"+v)
	}
	slices.Sort(out)
	return strings.Join(out, ",")
}

func (a *API) getSchema(w http.ResponseWriter, _ *http.Request) error {
	out := Schema{
		CommonLabels: []LabelDescriptor{
			{"nodename", "the machine's name"},
			{"hostname", "the same"},
			{"container_name", "the container's name; \"machine\" for a machine, \"/pod\" for a pod"},
			{"container_base_image", "the container's image, where the runtime told it"},
		},
		PodLabels: []LabelDescriptor{
			{"pod_name", "the pod's name"},
			{"pod_id", "the pod's UID; the runtime's id of the container outside Kubernetes"},
			{"namespace_name", "the namespace's name"},
			{"labels", "the pod's labels as key:value, with commas between them; in Kubernetes"},
		},
	}
	for i := range a.specs {
		s := &a.specs[i]
		if !s.Export {
			continue
		}
		d := MetricDescriptor{Name: s.Name, Description: s.Help, Type: "gauge", ValueType: "double", Units: s.Units}
		if s.Cumulative {
			d.Type = "cumulative"
		}
		if s.Whole {
			d.ValueType = "int64"
		}
		if s.Labelled {
			d.Labels = []LabelDescriptor{{"resource_id", "the device"}}
		}
		out.Metrics = append(out.Metrics, d)
	}
	return serve.WriteJSON(w, out)
}
