package hpa

import (
	"context"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	autoscalingclient "k8s.io/client-go/kubernetes/typed/autoscaling/v2"
	coreclient "k8s.io/client-go/kubernetes/typed/core/v1"
	autoscalinglisters "k8s.io/client-go/listers/autoscaling/v2"
	corelisters "k8s.io/client-go/listers/core/v1"
	scaleclient "k8s.io/client-go/scale"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/podautoscaler"
	podmetrics "k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"
	custom "k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
	external "k8s.io/metrics/pkg/apis/external_metrics/v1beta1"
	metrics "k8s.io/metrics/pkg/apis/metrics/v1beta1"
	resourceclient "k8s.io/metrics/pkg/client/clientset/versioned/typed/metrics/v1beta1"
	customclient "k8s.io/metrics/pkg/client/custom_metrics"
	externalclient "k8s.io/metrics/pkg/client/external_metrics"
)

const namespace, name = "ns", "web"

// hiddenScale is the error of a scale that cannot be read.
const hiddenScale = "the scale is behind a curtain"

// TestMain takes away what the controller does with an error that it only logs: to wait a millisecond, by a clock that all
// bubbles share.
func TestMain(m *testing.M) {
	utilruntime.ErrorHandlers = nil
	klog.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

// controller is the HPA controller of Kubernetes as it is, over one world: every client and informer of it reads from there.
// It makes its first pass when it is started, and one in each sync period after that.
type controller struct {
	w       *world
	pods    cache.Indexer
	hpas    cache.Indexer
	version int
	rescale string // what the event of the newest change of the count gave as its reason
	stop    context.CancelFunc
	done    chan struct{}
}

// start starts a controller in a bubble of testing/synctest.
func start(t *testing.T, w *world, sync time.Duration) *controller {
	index := cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc}
	c := &controller{
		w: w, pods: cache.NewIndexer(cache.MetaNamespaceKeyFunc, index), hpas: cache.NewIndexer(cache.MetaNamespaceKeyFunc, index), done: make(chan struct{}),
	}
	ctx, stop := context.WithCancel(t.Context())
	c.stop = stop
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{{Group: "apps", Version: "v1"}})
	mapper.Add(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}, meta.RESTScopeNamespace)
	informer := &hpaInformer{store: c.hpas}
	hc := podautoscaler.NewHorizontalController(ctx, events{c: c}, scales{c: c}, hpas{c: c}, mapper,
		podmetrics.NewRESTMetricsClient(usage{w: w}, customMetrics{w}, externalMetrics{w}), informer, podInformer{c.pods},
		sync, w.flags.DownscaleStabilization, w.flags.Tolerance, w.flags.CPUInitializationPeriod, w.flags.InitialReadinessDelay)
	c.refresh(t)
	go func() {
		defer close(c.done)
		hc.Run(ctx, 1)
	}()
	informer.handler.OnAdd(w.hpa, true)
	return c
}

// refresh brings the controller's caches up to the world.
func (c *controller) refresh(t *testing.T) {
	t.Helper()
	pods := make([]any, len(c.w.pods))
	for i, p := range c.w.pods {
		pods[i] = p
	}
	if err := errors.Join(c.pods.Replace(pods, ""), c.hpas.Replace([]any{c.w.hpa}, "")); err != nil {
		t.Fatal(err)
	}
}

// end stops the controller and waits for all of it.
func (c *controller) end() {
	c.stop()
	<-c.done
	synctest.Wait()
}

// The scale subresource and the status are written into the world.

type scales struct {
	scaleclient.ScaleInterface
	c *controller
}

func (s scales) Scales(string) scaleclient.ScaleInterface { return s }

func (s scales) Get(context.Context, schema.GroupResource, string, metav1.GetOptions) (*autoscalingv1.Scale, error) {
	if s.c.w.hidden {
		return nil, fault(hiddenScale)
	}
	return s.c.w.scale.DeepCopy(), nil
}

func (s scales) Update(_ context.Context, _ schema.GroupResource, to *autoscalingv1.Scale, _ metav1.UpdateOptions) (*autoscalingv1.Scale, error) {
	s.c.w.scale = to.DeepCopy()
	return to, nil
}

type hpas struct {
	autoscalingclient.HorizontalPodAutoscalerInterface
	c *controller
}

func (h hpas) HorizontalPodAutoscalers(string) autoscalingclient.HorizontalPodAutoscalerInterface {
	return h
}

func (h hpas) UpdateStatus(_ context.Context, to *autoscalingv2.HorizontalPodAutoscaler, _ metav1.UpdateOptions) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	h.c.version++
	to = to.DeepCopy()
	to.ResourceVersion = strconv.Itoa(h.c.version)
	h.c.w.hpa = to
	return to, h.c.hpas.Update(to)
}

// events keeps the reason of each change of the count.
type events struct {
	coreclient.EventInterface
	c *controller
}

func (e events) Events(string) coreclient.EventInterface { return e }

func (e events) CreateWithEventNamespace(event *corev1.Event) (*corev1.Event, error) {
	if event.Reason == "SuccessfulRescale" {
		_, e.c.rescale, _ = strings.Cut(event.Message, "; reason: ")
	}
	return event, nil
}

func (e events) UpdateWithEventNamespace(event *corev1.Event) (*corev1.Event, error) {
	return event, nil
}

func (e events) PatchWithEventNamespace(event *corev1.Event, _ []byte) (*corev1.Event, error) {
	return e.CreateWithEventNamespace(event)
}

// The informers are stores that the test fills; nothing watches.

type hpaInformer struct {
	cache.SharedIndexInformer
	store   cache.Indexer
	handler cache.ResourceEventHandler
}

func (i *hpaInformer) Informer() cache.SharedIndexInformer { return i }
func (i *hpaInformer) HasSynced() bool                     { return true }
func (i *hpaInformer) GetStore() cache.Store               { return upToDate{i.store} }
func (i *hpaInformer) Lister() autoscalinglisters.HorizontalPodAutoscalerLister {
	return autoscalinglisters.NewHorizontalPodAutoscalerLister(i.store)
}

func (i *hpaInformer) AddEventHandlerWithResyncPeriod(h cache.ResourceEventHandler, _ time.Duration) (cache.ResourceEventHandlerRegistration, error) {
	i.handler = h
	return nil, nil
}

// upToDate is a store that is never behind the controller's own writes.
type upToDate struct{ cache.Store }

func (upToDate) LastStoreSyncResourceVersion() string { return "1000000" }

type podInformer struct{ store cache.Indexer }

func (i podInformer) Informer() cache.SharedIndexInformer { return &hpaInformer{store: i.store} }
func (i podInformer) Lister() corelisters.PodLister       { return corelisters.NewPodLister(i.store) }

// The three metrics APIs answer from the world.

type usage struct {
	resourceclient.PodMetricsInterface
	w *world
}

func (u usage) PodMetricses(string) resourceclient.PodMetricsInterface { return u }
func (u usage) NodeMetricses() resourceclient.NodeMetricsInterface     { return nil }
func (u usage) List(context.Context, metav1.ListOptions) (*metrics.PodMetricsList, error) {
	return &metrics.PodMetricsList{Items: u.w.usage}, fault(u.w.errs.Usage)
}

type customMetrics struct{ w *world }

func (c customMetrics) RootScopedMetrics() customclient.MetricsInterface       { return c }
func (c customMetrics) NamespacedMetrics(string) customclient.MetricsInterface { return c }

func (c customMetrics) GetForObject(kind schema.GroupKind, name, metric string, selector labels.Selector) (*custom.MetricValue, error) {
	v, ok := c.w.object[series{metric, selector.String(), kind.Kind + "/" + name}]
	if !ok {
		return nil, errors.New("not found")
	}
	return &v, fault(c.w.errs.ObjectMetrics)
}

func (c customMetrics) GetForObjects(_ schema.GroupKind, _ labels.Selector, metric string, selector labels.Selector) (*custom.MetricValueList, error) {
	return &custom.MetricValueList{Items: c.w.custom[series{metric: metric, selector: selector.String()}]}, fault(c.w.errs.PodsMetrics)
}

type externalMetrics struct{ w *world }

func (e externalMetrics) NamespacedMetrics(string) externalclient.MetricsInterface { return e }
func (e externalMetrics) List(metric string, selector labels.Selector) (*external.ExternalMetricValueList, error) {
	return &external.ExternalMetricValueList{Items: e.w.external[series{metric: metric, selector: selector.String()}]}, fault(e.w.errs.ExternalMetrics)
}

// fault is the error of an API that fails with a text.
func fault(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(text)
}
