package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/test/cluster/day"
)

// race is one Deployment for each kind of scaler, all of the same size under the same load in the same seconds.
type race struct {
	ns      string
	server  *part
	token   string
	runners []*runner
}

// runner is a Deployment and who scales it.
type runner struct {
	name string // "policy", "hpa", "boost"
	load *demand

	mu      sync.Mutex
	counts  []counted            // each change of spec.replicas
	created map[string]time.Time // pods, as they are told of
	ready   map[string]time.Time
	gone    map[string]bool
	serves  map[string]bool // pods that are there: whether they are ready and stay
	had     []day.Crew      // each change of how many do
	served  time.Time       // when the metrics API first showed so much use that the HPA has to raise, since the load's last step
}

// size is what all Deployments of a race are to have in pods, and what a pod asks for in millicores.
type size struct{ least, most, request int }

type counted struct {
	at    time.Time
	count int32
}

// number is an environment variable.
func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// newRace starts a server, collectors, and the Deployments with their scalers: those that PLIMSOLL_TEST_SCALERS names, all of them if it is empty.
func newRace(t *testing.T, port int, of size) *race {
	t.Helper()
	r := &race{ns: namespace(t)}
	r.server, r.token = autoscaling(t, r.ns, port), adminToken(t, r.ns)
	config := shared.Config()
	config.QPS = -1
	client := kubernetes.NewForConfigOrDie(config)
	names := strings.Split(os.Getenv("PLIMSOLL_TEST_SCALERS"), ",")
	if names[0] == "" {
		names = []string{"policy", "hpa", "boost"}
	}
	if len(names) > 1 {
		aggregate(t, r.server) // what the HPAs see
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { stop(); wg.Wait() })
	for _, name := range names {
		x := &runner{name: name, load: &demand{ns: r.ns, app: name, milli: 40}, created: map[string]time.Time{}, ready: map[string]time.Time{}, gone: map[string]bool{}, serves: map[string]bool{}}
		r.runners = append(r.runners, x)
		deployAsking(t, r.ns, name, 2, of.request)
		wg.Go(func() { x.load.share(ctx) })
		wg.Go(func() { x.watch(ctx, client, r.ns) })
		target := "scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: " + name + "}, minReplicas: 2, maxReplicas: 8, "
		rest := "metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}], behavior: {scaleDown: {stabilizationWindowSeconds: 30}}"
		document := scp(name, "{"+target+rest+"}")
		if name != "policy" {
			document = fmt.Sprintf("apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: %s, annotations: {plimsoll.dev/boost: %q}}\nspec: {%s%s}\n", name, fmt.Sprint(name == "boost"), target, rest)
		}
		if out, err := apply(t, r.ns, document); err != nil {
			t.Fatal(err, out)
		}
	}
	for _, x := range r.runners {
		until(t, x.name+" does not scale yet", func() error { return r.active(t, x.name) })
	}
	return r
}

// active says whether a scaler sees what its pods use.
func (r *race) active(t *testing.T, name string) error {
	if name == "policy" {
		if c := conditionOf(t, r.ns, name, "ScalingActive"); c.Status != "True" {
			return fmt.Errorf("%+v", c)
		}
		return nil
	}
	h, err := shared.Client().AutoscalingV2().HorizontalPodAutoscalers(r.ns).Get(t.Context(), name, metav1.GetOptions{})
	if err == nil && !slices.ContainsFunc(h.Status.Conditions, func(c autoscalingv2.HorizontalPodAutoscalerCondition) bool {
		return c.Type == autoscalingv2.ScalingActive && c.Status == corev1.ConditionTrue
	}) {
		err = fmt.Errorf("%+v", h.Status.Conditions)
	}
	return err
}

// watch notes when the count changes, and when pods come, are ready and go.
func (x *runner) watch(ctx context.Context, client kubernetes.Interface, ns string) {
	follow := func(open func() (apiwatch.Interface, error), told func(apiwatch.Event, time.Time)) {
		for ctx.Err() == nil {
			w, err := open()
			if err != nil {
				time.Sleep(100 * time.Millisecond)
				continue
			}
			for e := range w.ResultChan() {
				now := time.Now()
				x.mu.Lock()
				told(e, now)
				x.mu.Unlock()
			}
		}
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		follow(func() (apiwatch.Interface, error) {
			return client.AppsV1().Deployments(ns).Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + x.name})
		}, func(e apiwatch.Event, now time.Time) {
			if d, ok := e.Object.(*appsv1.Deployment); ok && (len(x.counts) == 0 || x.counts[len(x.counts)-1].count != *d.Spec.Replicas) {
				x.counts = append(x.counts, counted{now, *d.Spec.Replicas})
			}
		})
	})
	follow(func() (apiwatch.Interface, error) {
		return client.CoreV1().Pods(ns).Watch(ctx, metav1.ListOptions{LabelSelector: "app=" + x.name})
	}, func(e apiwatch.Event, now time.Time) {
		p, ok := e.Object.(*corev1.Pod)
		if !ok {
			return
		}
		if x.created[p.Name].IsZero() {
			x.created[p.Name] = now
		}
		ready := slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue })
		if x.ready[p.Name].IsZero() && ready {
			x.ready[p.Name] = now
		}
		x.serves[p.Name] = ready && p.DeletionTimestamp == nil
		if e.Type == apiwatch.Deleted {
			x.gone[p.Name] = true
			delete(x.serves, p.Name)
		}
		crew := day.Crew{At: now, Pods: len(x.serves)}
		for _, does := range x.serves {
			if does {
				crew.Ready++
			}
		}
		x.had = append(x.had, crew)
	})
}

// changes are those of the count since a moment.
func (x *runner) changes(since time.Time) []counted {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(x.counts), func(c counted) bool { return c.at.Before(since) })
}

// settled says whether it asks for so many and has as many, all ready.
func (x *runner) settled(n int32) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	alive, ready := 0, 0
	for name := range x.created {
		if !x.gone[name] {
			if alive++; !x.ready[name].IsZero() {
				ready++
			}
		}
	}
	if len(x.counts) == 0 || x.counts[len(x.counts)-1].count != n || alive != int(n) || ready != alive {
		return fmt.Errorf("%s: %d of %d pods are ready, want %d: %v", x.name, ready, alive, n, x.counts)
	}
	return nil
}

// stages are how long after the load's step each part of the answer was there.
type stages map[string]time.Duration

// stagesOf are their names, in order. Those up to "written" are known of our own decisions alone; "served" is when the metrics API shows what has the HPA raise.
// Everybody keeps Kubernetes's own rule, four pods or twice as many in 15 s: the final count is six, as many as it lets two become at once.
var stagesOf = []string{"oldest", "sampled", "taken in", "looked", "decided", "written", "served", "changed", "pod created", "first ready", "final count", "all ready"}

// answer reads how a runner has answered a step, once it has; the server knows the stages of its own decisions.
func (r *race) answer(t *testing.T, x *runner, began time.Time, final int32) (stages, string) {
	out := stages{}
	for _, c := range x.changes(began) {
		if _, ok := out["changed"]; !ok {
			out["changed"] = c.at.Sub(began)
		}
		if c.count >= final {
			out["final count"] = c.at.Sub(began)
			break
		}
	}
	x.mu.Lock()
	for name, at := range x.created {
		if after := at.Sub(began); after > 0 && (out["pod created"] == 0 || after < out["pod created"]) {
			out["pod created"] = after
		}
		after := x.ready[name].Sub(began)
		if after > 0 && (out["first ready"] == 0 || after < out["first ready"]) {
			out["first ready"] = after
		}
		out["all ready"] = max(out["all ready"], after)
	}
	if after := x.served.Sub(began); after > 0 {
		out["served"] = after
	}
	x.mu.Unlock()
	if x.name == "hpa" {
		return out, ""
	}
	var list struct {
		Items []struct {
			Time   time.Time
			Detail struct {
				Look  *struct{ Window, Noise string }
				Times *policy.Times
			}
		}
	}
	q := url.Values{"namespace": {r.ns}, "name": {x.name}, "action": {"Up"}, "start": {began.UTC().Format(time.RFC3339Nano)}}
	r.server.read(t, "/plimsoll/v1/decisions?"+q.Encode(), r.token, &list)
	if len(list.Items) == 0 {
		return out, ""
	}
	d := list.Items[len(list.Items)-1].Detail
	if d.Times != nil {
		for name, at := range map[string]time.Time{"oldest": d.Times.Oldest, "sampled": d.Times.Sampled, "taken in": d.Times.TakenIn, "looked": d.Times.Looked, "decided": d.Times.Decided, "written": d.Times.Written} {
			if !at.IsZero() {
				out[name] = at.Sub(began)
			}
		}
	}
	look := ""
	if d.Look != nil {
		look = fmt.Sprintf("look %s, noise %s", d.Look.Window, d.Look.Noise)
	}
	return out, look
}

// follow notes when the metrics API first says that all pods together use more than so many millicores.
func (r *race) follow(ctx context.Context, x *runner, above int64) {
	for ; ctx.Err() == nil; time.Sleep(100 * time.Millisecond) {
		raw, err := shared.Client().CoreV1().RESTClient().Get().AbsPath("/apis/metrics.k8s.io/v1beta1/namespaces/"+r.ns+"/pods").Param("labelSelector", "app="+x.name).DoRaw(ctx)
		var list struct {
			Items []struct {
				Containers []struct{ Usage map[string]resource.Quantity }
			}
		}
		if err != nil || json.Unmarshal(raw, &list) != nil {
			continue
		}
		sum := int64(0)
		for _, p := range list.Items {
			for _, c := range p.Containers {
				cpu := c.Usage["cpu"]
				sum += cpu.MilliValue()
			}
		}
		if sum > above {
			x.mu.Lock()
			x.served = time.Now()
			x.mu.Unlock()
			return
		}
	}
}

// quantile is that of a list, the nearest one.
func quantile(list []time.Duration, q float64) time.Duration {
	slices.Sort(list)
	return list[max(0, int(math.Ceil(q*float64(len(list))))-1)]
}

// TestReaction measures what becomes of a step of the load, stage by stage: of a ScalePolicy, of the cluster's own HPA on our metrics, and of a boosted
// HPA, which share the machine and the load's steps. PLIMSOLL_TEST_STEPS says how many there are (make bench-scaling).
func TestReaction(t *testing.T) {
	ours(t)
	n := number(t, "PLIMSOLL_TEST_STEPS", 0)
	if n == 0 {
		t.Skip("it takes two minutes for each step: PLIMSOLL_TEST_STEPS says how many there are to be")
	}
	r := newRace(t, 8461, size{2, 8, 50})
	took := map[string]map[string][]time.Duration{}
	for i := range n {
		for _, x := range r.runners {
			patiently(t, x.name+" does not come to rest", 3*time.Minute, func() error { return x.settled(2) })
		}
		time.Sleep(20*time.Second + time.Duration(i*370%1000)*time.Millisecond) // at another phase of everybody's clocks each time; noise of the last step dies down
		began, shown, stop := map[string]time.Time{}, t.Context(), func() {}
		var wg sync.WaitGroup
		rise := func(x *runner) {
			began[x.name] = time.Now()
			x.load.set(205) // which six pods of 50 millicores need at 70 %, while five are above that by more than the tolerance and a noise of 2 millicores
			if x.name == "hpa" {
				shown, stop = context.WithTimeout(t.Context(), time.Minute)
				wg.Go(func() { r.follow(shown, x, 2*50*77/100) }) // two pods at 70 % of 50 millicores, and the HPA's tolerance of a tenth
			}
		}
		answered := func(x *runner) {
			patiently(t, x.name+" does not answer", 2*time.Minute, func() error {
				for more := int32(7); more <= 8; more++ {
					if x.settled(more) == nil {
						return nil
					}
				}
				return x.settled(6)
			})
		}
		for _, x := range r.runners { // the boosted HPA has its step after the others, as the pods of two that react at once start at once
			if x.name != "boost" {
				rise(x)
			}
		}
		for _, name := range []string{"policy", "boost", "hpa"} {
			x := r.runners[slices.IndexFunc(r.runners, func(x *runner) bool { return x.name == name })]
			if name == "boost" {
				rise(x)
			}
			answered(x)
		}
		stop()
		wg.Wait()
		for _, x := range r.runners {
			s, look := r.answer(t, x, began[x.name], 6)
			line := ""
			for _, stage := range stagesOf {
				if d, ok := s[stage]; ok {
					if took[x.name] == nil {
						took[x.name] = map[string][]time.Duration{}
					}
					took[x.name][stage] = append(took[x.name][stage], d)
					line += fmt.Sprintf("  %s %.2f", stage, d.Seconds())
				}
			}
			for _, c := range x.changes(began[x.name]) {
				line += fmt.Sprintf("  %d at %.2f", c.count, c.at.Sub(began[x.name]).Seconds())
			}
			t.Logf("step %d, %s:%s  %s", i+1, x.name, line, look)
			x.load.set(40)
		}
	}
	for _, x := range r.runners {
		t.Logf("%s, %d steps: after the load's step, median / 95th percentile / longest", x.name, n)
		for _, stage := range stagesOf {
			if list := took[x.name][stage]; len(list) > 0 {
				t.Logf("  %-12s %6.2f %6.2f %6.2f s", stage, quantile(list, 0.5).Seconds(), quantile(list, 0.95).Seconds(), list[len(list)-1].Seconds())
			}
		}
	}
	for _, stage := range []string{"changed", "final count", "all ready"} {
		if list := took["policy"][stage]; len(list) >= 20 && (quantile(list, 0.5) > 3*time.Second || quantile(list, 0.95) > 5*time.Second) {
			t.Errorf("%s after %v, want a median of 3 s at most and a 95th percentile of 5 s", stage, list)
		}
	}
}

// TestSteadyNoise has a load that is the same in the mean and scatters by a quarter each second: nobody should change a count for it, ours once at most in ten minutes.
// PLIMSOLL_TEST_MINUTES says how many there are (make bench-scaling).
func TestSteadyNoise(t *testing.T) {
	ours(t)
	minutes := number(t, "PLIMSOLL_TEST_MINUTES", 0)
	if minutes == 0 {
		t.Skip("PLIMSOLL_TEST_MINUTES says how long it is to be")
	}
	r := newRace(t, 8462, size{2, 8, 50})
	rng := rand.New(rand.NewPCG(1, 2))
	noisy := func(d time.Duration) {
		for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
			milli := int(140 * max(0.2, 1+0.25*rng.NormFloat64())) // of four pods of 50 millicores at 70 %
			for _, x := range r.runners {
				x.load.set(milli)
			}
		}
	}
	noisy(2 * time.Minute) // from two pods to four
	began := time.Now()
	noisy(time.Duration(minutes) * time.Minute)
	for _, x := range r.runners {
		all := x.changes(began)
		line := ""
		for _, c := range all {
			line += fmt.Sprintf("  %d after %.0f s", c.count, c.at.Sub(began).Seconds())
		}
		t.Logf("%s: %d changes in %d minutes of noise%s", x.name, len(all), minutes, line)
		if x.name == "policy" && len(all) > max(1, minutes/10) {
			t.Errorf("%d changes of a ScalePolicy's target:%s", len(all), line)
		}
	}
}

// patiently is until for longer than a minute.
func patiently(t *testing.T, what string, most time.Duration, ok func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(most); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if err = ok(); err == nil {
			return
		}
	}
	t.Fatalf("%s: %v", what, err)
}
