package metrics

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/metrics/pkg/apis/metrics"
	metricsv1 "k8s.io/metrics/pkg/apis/metrics/v1"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"
	"k8s.io/metrics/pkg/client/clientset/versioned"
	"k8s.io/metrics/pkg/client/custom_metrics"
	"k8s.io/metrics/pkg/client/external_metrics"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// FromAPI is the Source of usage that metrics.k8s.io tells of.
const FromAPI = "metrics.k8s.io"

// clients ask the three APIs.
type clients struct {
	door     *door
	usage    *versioned.Clientset
	custom   custom_metrics.CustomMetricsClient
	external external_metrics.ExternalMetricsClient
	served   map[string]*served // by group
}

func newClients(config *rest.Config) (*clients, error) {
	c := rest.CopyConfig(config)
	d := &door{}
	c.QPS = -1 // the Reader bounds how often it asks
	c.Wrap(d.wrap)
	kinds, err := discovery.NewDiscoveryClientForConfig(c)
	if err != nil {
		return nil, err
	}
	out := &clients{door: d, served: map[string]*served{}}
	for _, a := range []API{Usage, Pods, External} {
		out.served[a.group()] = &served{kinds: kinds, group: a.group()}
	}
	if out.usage, err = versioned.NewForConfig(c); err != nil {
		return nil, err
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(kinds))
	out.custom = custom_metrics.NewForConfig(c, mapper, out.served[Pods.group()])
	out.external, err = external_metrics.NewForConfig(c)
	return out, err
}

// ask asks once.
func (c *clients) ask(ctx context.Context, q Question) (a Answer, err error) {
	series, err := labels.Parse(q.Selector)
	if err != nil {
		return a, fmt.Errorf("the selector of the metric cannot be used: %w", err)
	}
	switch q.API {
	case Usage:
		a, err = c.podUsage(ctx, q)
	case Pods:
		a, err = c.podValues(q, series)
	case Object:
		a, err = c.objectValue(q, series)
	case External:
		a, err = c.externalValues(q, series)
	default:
		return a, fmt.Errorf("there is no API %q", q.API)
	}
	if err == nil {
		return a, nil
	}
	of := c.served[q.API.group()]
	of.Invalidate()
	if apierrors.IsNotFound(err) { // of the metric, or of the whole API?
		if _, missing := of.PreferredVersion(); errors.Is(missing, errNotServed) {
			return a, missing
		}
		if text, cut := strings.CutSuffix(strings.TrimSpace(err.Error()), " for"); cut { // adapters say so of what an external metric is for
			return a, errors.New(text)
		}
	}
	return a, err
}

func (c *clients) podUsage(ctx context.Context, q Question) (a Answer, err error) {
	version, err := c.served[Usage.group()].PreferredVersion()
	if err != nil {
		return a, err
	}
	var list metrics.PodMetricsList // of no version
	if version.Version == "v1" {
		var l *metricsv1.PodMetricsList
		if l, err = c.usage.MetricsV1().PodMetricses(q.Namespace).List(ctx, metav1.ListOptions{}); err == nil {
			err = metricsv1.Convert_v1_PodMetricsList_To_metrics_PodMetricsList(l, &list, nil)
		}
	} else {
		var l *metricsv1beta1.PodMetricsList
		if l, err = c.usage.MetricsV1beta1().PodMetricses(q.Namespace).List(ctx, metav1.ListOptions{}); err == nil {
			err = metricsv1beta1.Convert_v1beta1_PodMetricsList_To_metrics_PodMetricsList(l, &list, nil)
		}
	}
	if err != nil {
		return a, err
	}
	a.Usage = make(map[string]cluster.PodUsage, len(list.Items))
	for i := range list.Items {
		p := &list.Items[i]
		u := cluster.PodUsage{Pod: p.Name, Timestamp: p.Timestamp.Time, Window: p.Window.Duration, Source: FromAPI}
		for _, k := range p.Containers {
			u.Containers = append(u.Containers, usageOf(k.Name, k.Usage))
		}
		a.Usage[p.Name] = u
	}
	return a, nil
}

// usageOf is what a container uses. What is less than nothing is not known.
func usageOf(name string, list corev1.ResourceList) cluster.ContainerUsage {
	out := cluster.ContainerUsage{Name: name}
	for k, v := range list {
		if v.Sign() >= 0 {
			out.Usage = append(out.Usage, cluster.Resource{Name: k, Milli: cluster.MilliOf(v)})
		}
	}
	return out
}

func (c *clients) podValues(q Question, series labels.Selector) (a Answer, err error) {
	of, err := labels.Parse(q.Of)
	if err != nil {
		return a, fmt.Errorf("the target's selector %q cannot be used: %w", q.Of, err)
	}
	list, err := c.custom.NamespacedMetrics(q.Namespace).GetForObjects(schema.GroupKind{Kind: "Pod"}, of, q.Metric, series)
	if err != nil {
		return a, err
	}
	for i := range list.Items {
		v := &list.Items[i]
		window := time.Minute // as the HPA takes it
		if w := v.WindowSeconds; w != nil && *w >= 0 && *w < math.MaxInt64/int64(time.Second) {
			window = time.Duration(*w) * time.Second
		}
		a.Pods = append(a.Pods, PodValue{Pod: v.DescribedObject.Name, Value: cluster.MilliOf(v.Value), At: v.Timestamp.Time, Window: window})
	}
	return a, nil
}

func (c *clients) objectValue(q Question, series labels.Selector) (a Answer, err error) {
	from := c.custom.NamespacedMetrics(q.Namespace)
	name := q.Name
	if q.Object == (schema.GroupKind{Kind: "Namespace"}) { // of namespaces there is the target's own
		from, name = c.custom.RootScopedMetrics(), q.Namespace
	}
	v, err := from.GetForObject(q.Object, name, q.Metric, series)
	if err != nil {
		return a, err
	}
	return Answer{Values: []cluster.Milli{cluster.MilliOf(v.Value)}, At: v.Timestamp.Time}, nil
}

func (c *clients) externalValues(q Question, series labels.Selector) (a Answer, err error) {
	list, err := c.external.NamespacedMetrics(q.Namespace).List(q.Metric, series)
	if err != nil {
		return a, err
	}
	for i := range list.Items {
		v := &list.Items[i]
		if v.MetricName == "" && v.Timestamp.IsZero() { // the client takes a list of anything for one of metrics, with values of zero
			return Answer{}, errors.New("the answer is no list of metrics: an item has neither a name nor a time")
		}
		a.Values = append(a.Values, cluster.MilliOf(v.Value))
		if at := v.Timestamp.Time; !at.IsZero() && (a.At.IsZero() || at.Before(a.At)) {
			a.At = at
		}
	}
	return a, nil
}

// errNotServed is an API group that the cluster does not have.
var errNotServed = errors.New("nobody serves it")

// servedFor is how long it is believed which versions of a group are served.
const servedFor = time.Minute

// served knows in which version a group is served; it is the custom client's AvailableAPIsGetter.
type served struct {
	kinds discovery.DiscoveryInterface
	group string

	mu      sync.Mutex
	version schema.GroupVersion
	until   time.Time
}

// PreferredVersion is the version that is asked for: of those that we know the one that the cluster prefers.
func (s *served) PreferredVersion() (schema.GroupVersion, error) {
	s.mu.Lock()
	if time.Now().Before(s.until) {
		defer s.mu.Unlock()
		return s.version, nil
	}
	s.mu.Unlock()
	group := &metav1.APIGroup{}
	// The interface has no context; the door ends the call.
	if err := s.kinds.RESTClient().Get().AbsPath("/apis/" + s.group).Do(context.TODO()).Into(group); apierrors.IsNotFound(err) {
		return schema.GroupVersion{}, fmt.Errorf("%w: this cluster has no API %s", errNotServed, s.group)
	} else if err != nil {
		return schema.GroupVersion{}, err
	}
	known := map[string]bool{"metrics.k8s.io/v1": true, "metrics.k8s.io/v1beta1": true, "custom.metrics.k8s.io/v1beta2": true, "custom.metrics.k8s.io/v1beta1": true, "external.metrics.k8s.io/v1beta1": true}
	for _, v := range append([]metav1.GroupVersionForDiscovery{group.PreferredVersion}, group.Versions...) {
		if known[s.group+"/"+v.Version] {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.version, s.until = schema.GroupVersion{Group: s.group, Version: v.Version}, time.Now().Add(servedFor)
			return s.version, nil
		}
	}
	return schema.GroupVersion{}, fmt.Errorf("%w: this cluster has %s in none of the versions that are known here", errNotServed, s.group)
}

// Invalidate has it asked anew.
func (s *served) Invalidate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = time.Time{}
}
