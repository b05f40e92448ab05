package cluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/remotewrite"
)

// crowd are many Deployments of two pods each, on nodes that are objects alone: the test says what they use, as their collectors would. They are
// paused, so that no pods are made of them.
type crowd struct {
	ns     string
	names  []string
	nodes  []string
	client kubernetes.Interface
	busy   atomic.Int64 // those from..to of them have much to do: from<<32 | to
	mu     sync.Mutex
	count  map[string]int32     // as last told
	first  map[string]time.Time // the first change of each since the load's last step
}

const crowdNodes = 10

// newCrowd makes n Deployments with their pods, and keeps their nodes alive until the test ends.
func newCrowd(t *testing.T, ns string, n int) *crowd {
	t.Helper()
	config := shared.Config()
	config.QPS = -1
	c := &crowd{ns: ns, client: kubernetes.NewForConfigOrDie(config), count: map[string]int32{}, first: map[string]time.Time{}}
	ctx := t.Context()
	for i := range crowdNodes {
		c.nodes = append(c.nodes, fmt.Sprint("made-up-", i))
	}
	c.live(t)
	var g errgroup.Group
	g.SetLimit(16)
	for i := range n {
		name := fmt.Sprintf("w%03d", i)
		c.names = append(c.names, name)
		g.Go(func() error {
			labels := map[string]string{"app": name}
			pod := corev1.PodSpec{TerminationGracePeriodSeconds: new(int64(0)), Containers: []corev1.Container{{Name: "web", Image: image, ImagePullPolicy: corev1.PullNever,
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}}}}}
			d, err := c.client.AppsV1().Deployments(ns).Create(ctx, &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.DeploymentSpec{Paused: true, Replicas: new(int32(2)),
				Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod}}}, metav1.CreateOptions{})
			if err != nil {
				return err
			}
			for k := range 2 {
				pod.NodeName = c.nodes[(i+k)%crowdNodes]
				p, err := c.client.CoreV1().Pods(ns).Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(name, "-", k), Labels: labels,
					OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: name, UID: d.UID, Controller: new(true)}}}, Spec: pod}, metav1.CreateOptions{})
				if err != nil {
					return err
				}
				long := metav1.NewTime(time.Now().Add(-time.Hour))
				p.Status = corev1.PodStatus{Phase: corev1.PodRunning, StartTime: &long, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: long}},
					ContainerStatuses: []corev1.ContainerStatus{{Name: "web", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: long}}}}}
				if _, err := c.client.CoreV1().Pods(ns).UpdateStatus(ctx, p, metav1.UpdateOptions{}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	t.Cleanup(func() { // so many objects would disturb who comes next
		now, all := metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}, metav1.ListOptions{}
		_ = c.client.AppsV1().Deployments(ns).DeleteCollection(context.Background(), now, all)
		_ = c.client.CoreV1().Pods(ns).DeleteCollection(context.Background(), now, all)
	})
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	return c
}

// live has the nodes be there and Ready.
func (c *crowd) live(t *testing.T) {
	t.Helper()
	leases := c.client.CoordinationV1().Leases("kube-node-lease")
	for _, name := range c.nodes {
		_, err := c.client.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{Unschedulable: true}}, metav1.CreateOptions{})
		if err == nil {
			now := metav1.Now()
			patch, bad := json.Marshal(corev1.Node{Status: corev1.NodeStatus{Capacity: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("64")},
				Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: now, LastTransitionTime: now}}}})
			if err = bad; err == nil {
				_, err = c.client.CoreV1().Nodes().Patch(t.Context(), name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
			}
		}
		if err == nil {
			_, err = leases.Create(t.Context(), &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: coordinationv1.LeaseSpec{HolderIdentity: &name, LeaseDurationSeconds: new(int32(40)), RenewTime: new(metav1.NowMicro())}}, metav1.CreateOptions{})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			for _, name := range c.nodes {
				if l, err := leases.Get(ctx, name, metav1.GetOptions{}); err == nil {
					l.Spec.RenewTime = new(metav1.NowMicro())
					_, _ = leases.Update(ctx, l, metav1.UpdateOptions{})
				}
			}
			select {
			case <-ctx.Done():
			case <-time.After(4 * time.Second):
			}
		}
	}()
	t.Cleanup(func() {
		stop()
		<-done
		for _, name := range c.nodes {
			_ = c.client.CoreV1().Nodes().Delete(context.Background(), name, metav1.DeleteOptions{})
			_ = leases.Delete(context.Background(), name, metav1.DeleteOptions{})
		}
	})
}

// busyOnes have those from..to use twice what they ask for, and the others 60 % of it, from now on.
func (c *crowd) busyOnes(from, to int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.first)
	c.busy.Store(int64(from)<<32 | int64(to))
}

// feed sends what every pod uses each second, from a sender for each node, until the test ends.
func (c *crowd) feed(t *testing.T, s *part) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { stop(); wg.Wait() })
	for i, node := range c.nodes {
		spec := corev1.PodSpec{NodeName: node, ServiceAccountName: "collector", TerminationGracePeriodSeconds: new(int64(0)), Containers: []corev1.Container{{Name: "web", Image: image, ImagePullPolicy: corev1.PullNever}}}
		pod, err := c.client.CoreV1().Pods(c.ns).Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "agent-" + node}, Spec: spec}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		pass := token(t, c.ns, "collector", "plimsoll", pod)
		wg.Go(func() { c.send(ctx, s, i, pass) })
	}
}

// send is the collector of one node.
func (c *crowd) send(ctx context.Context, s *part, node int, pass string) {
	rng := rand.New(rand.NewPCG(uint64(node), 1))
	began := time.Now()
	used := map[string]float64{}
	entities := map[string]*metric.Entity{}
	for i, name := range c.names {
		for k := range 2 {
			if (i+k)%crowdNodes == node {
				pod := fmt.Sprint(name, "-", k)
				entities[pod] = &metric.Entity{Level: metric.Container, Node: c.nodes[node], Namespace: c.ns, Pod: pod, WorkloadKind: "Deployment", Workload: name, Container: "web", ID: "/kubepods/" + pod, Runtime: "containerd"}
			}
		}
	}
	last := began
	for tick := began.Add(time.Duration(node) * time.Second / crowdNodes); ctx.Err() == nil; tick = tick.Add(time.Second) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(tick)):
		}
		now := time.Now()
		passed := now.Sub(last).Seconds()
		last = now
		busy := c.busy.Load()
		b := &metric.Batch{Node: c.nodes[node], Time: now, Fast: true}
		for pod, e := range entities {
			i, _ := strconv.Atoi(e.Workload[1:])
			cores := 0.06
			if int64(i) >= busy>>32 && int64(i) < busy&0xffffffff {
				cores = 0.2
			}
			used[pod] += passed * cores * max(0, 1+0.05*rng.NormFloat64())
			b.Groups = append(b.Groups, metric.Group{Entity: e, Start: began, Points: []metric.Point{{ID: metric.CPUUsage, T: now.UnixMilli(), V: used[pod]}, {ID: metric.MemoryWorkingSet, T: now.UnixMilli(), V: 1e6}}})
		}
		raw, err := remotewrite.Encode(b, identity.Wire)
		if err != nil {
			continue
		}
		req, err := http.NewRequestWithContext(ctx, "POST", "https://"+s.address+"/api/v1/write", bytes.NewReader(raw))
		if err != nil {
			continue
		}
		remotewrite.SetLiveHeader(req.Header, true)
		req.Header.Set(remotewrite.SourceHeader, c.nodes[node])
		req.Header.Set("Authorization", "Bearer "+pass)
		if resp, err := s.client.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
	}
}

// watch notes when counts change, until the test ends.
func (c *crowd) watch(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			w, err := c.client.AppsV1().Deployments(c.ns).Watch(ctx, metav1.ListOptions{})
			if err != nil {
				continue
			}
			for e := range w.ResultChan() {
				if d, ok := e.Object.(*appsv1.Deployment); ok {
					c.mu.Lock()
					if was, known := c.count[d.Name]; known && was < *d.Spec.Replicas && c.first[d.Name].IsZero() {
						c.first[d.Name] = time.Now()
					}
					c.count[d.Name] = *d.Spec.Replicas
					c.mu.Unlock()
				}
			}
		}
	}()
	t.Cleanup(func() { stop(); <-done })
	time.Sleep(time.Second) // what there is is told first
}

// answered are how long after the load's step the first changes of those from..to came.
func (c *crowd) answered(began time.Time, from, to int) (took []time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range c.names[from:to] {
		if at := c.first[name]; !at.IsZero() {
			took = append(took, at.Sub(began))
		}
	}
	return took
}

// cpu is how much processor time a process has used.
func (p *part) cpu(t *testing.T) time.Duration {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(raw), ") ")
	f := strings.Fields(after)
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// cores is the part of a processor that a process uses for some time.
func (p *part) cores(t *testing.T, d time.Duration) float64 {
	t.Helper()
	at, before := time.Now(), p.cpu(t)
	time.Sleep(d)
	return (p.cpu(t) - before).Seconds() / time.Since(at).Seconds()
}

// TestManyPolicies has a thousand ScalePolicies in force: what they cost, how fast half of them are answered that must change at once, and whether ten
// whose calls hang delay the others. PLIMSOLL_TEST_POLICIES says how many there are.
func TestManyPolicies(t *testing.T) {
	ours(t)
	long(t)
	n := number(t, "PLIMSOLL_TEST_POLICIES", 1000)
	half, stuck := n/2, n/100
	ns := namespace(t)
	scalePolicies(t)
	account(t, ns, "collector", collecting...)
	s := server(t, 8463, "--autoscaler=on")
	c := newCrowd(t, ns, n)
	c.busyOnes(0, 0)
	c.feed(t, s)
	c.watch(t)
	time.Sleep(10 * time.Second)
	without := s.cores(t, 20*time.Second)

	config := shared.Config()
	config.QPS = -1
	policies := dynamic.NewForConfigOrDie(config).Resource(schema.GroupVersionResource{Group: "plimsoll.dev", Version: "v1alpha1", Resource: "scalepolicies"}).Namespace(ns)
	t.Cleanup(func() {
		_ = policies.DeleteCollection(context.Background(), metav1.DeleteOptions{}, metav1.ListOptions{})
	})
	var g errgroup.Group
	g.SetLimit(16)
	for _, name := range c.names {
		g.Go(func() error {
			u := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "plimsoll.dev/v1alpha1", "kind": "ScalePolicy", "metadata": map[string]any{"name": name},
				"spec": map[string]any{"scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": name}, "minReplicas": int64(2), "maxReplicas": int64(10),
					"metrics": []any{map[string]any{"type": "Resource", "resource": map[string]any{"name": "cpu", "target": map[string]any{"type": "Utilization", "averageUtilization": int64(70)}}}}}}}
			_, err := policies.Create(t.Context(), u, metav1.CreateOptions{})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	made := time.Now()
	patiently(t, "not all policies say that they are in force", 3*time.Minute, func() error {
		list, err := policies.List(t.Context(), metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return err
		}
		told := 0
		for i := range list.Items {
			if conditions, _, _ := unstructured.NestedSlice(list.Items[i].Object, "status", "conditions"); slices.ContainsFunc(conditions, func(c any) bool {
				m, _ := c.(map[string]any)
				return m["type"] == "ScalingActive" && m["status"] == "True"
			}) {
				told++
			}
		}
		if told < n {
			return fmt.Errorf("%d of %d do", told, n)
		}
		return nil
	})
	t.Logf("%d policies: all statuses are written %.1f s after the last was made", n, time.Since(made).Seconds())
	time.Sleep(30 * time.Second)
	with := s.cores(t, 30*time.Second)
	t.Logf("%d policies each second: %.3f core, and %.3f core for what the server does beside (it takes in %d pods each second)", n, with-without, without, 2*n)
	if with-without > 0.2*float64(n)/1000 {
		t.Errorf("%d policies take %.3f core", n, with-without)
	}
	step := func(what string, from, to, want int) (p95 time.Duration) {
		began := time.Now()
		c.busyOnes(from, to)
		var took []time.Duration
		for time.Since(began) < 20*time.Second && len(took) < want {
			time.Sleep(100 * time.Millisecond)
			took = c.answered(began, from, to)
		}
		if len(took) < want {
			t.Fatalf("%s: %d of %d were changed", what, len(took), want)
		}
		slices.Sort(took)
		first, last := took[0], took[len(took)-1]
		t.Logf("%s: %d targets changed, the first %.2f s after the load's step, then within %.2f s; median %.2f s, 95th percentile %.2f s, last %.2f s", what, len(took), first.Seconds(), (last - first).Seconds(),
			quantile(took, 0.5).Seconds(), quantile(took, 0.95).Seconds(), last.Seconds())
		if last > 5*time.Second {
			t.Errorf("%s: the last was changed after %s", what, last)
		}
		return quantile(took, 0.95)
	}
	if took := c.answered(time.Now(), 0, n); len(took) > 0 {
		t.Errorf("%d were raised without a reason", len(took))
	}
	alone := step("at once", 0, half, half)
	time.Sleep(5 * time.Second)
	admissionOf(t, ns, "10.99.0.1:9463", true, c.names[n-stuck:]...)
	time.Sleep(2 * time.Second)
	beside := step(fmt.Sprintf("beside %d whose calls hang", stuck), half, n, n-half-stuck)
	if beside > alone*5/4+300*time.Millisecond {
		t.Errorf("the 95th percentile is %s beside those that hang, and %s without", beside, alone)
	}
	metrics, err := s.get("/metrics", adminToken(t, ns))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(metrics) {
		if strings.HasPrefix(line, "plimsoll_autoscaler_call_wait") || strings.HasPrefix(line, "plimsoll_autoscaler_hung") || strings.HasPrefix(line, "plimsoll_autoscaler_untold") || strings.HasPrefix(line, "plimsoll_autoscaler_lost") {
			t.Log(strings.TrimSpace(line))
		}
	}
}
