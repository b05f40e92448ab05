package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/remotewrite"
)

// reading are rights to read all that Plimsoll serves.
var reading = rbacv1.PolicyRule{NonResourceURLs: []string{"*"}, Verbs: []string{"*"}}

// world is a server with a collector on each node, and two busy pods.
type world struct {
	t         *testing.T // the whole test, as long as which parts run that a part of it starts again
	ns, admin string
	server    *part
	nodes     [2]*part // their collectors
}

func newWorld(t *testing.T, port int) *world {
	t.Helper()
	w := &world{t: t, ns: namespace(t)}
	account(t, w.ns, "collector", collecting...)
	account(t, w.ns, "viewer", rbacv1.PolicyRule{APIGroups: []string{"metrics.k8s.io"}, Resources: []string{"pods", "nodes"}, Verbs: []string{"get", "list"}}, reading)
	w.admin = token(t, w.ns, "viewer", "", nil)
	w.server = server(t, port)
	for i, node := range []string{"node1", "node2"} {
		w.nodes[i] = collectorOn(t, w.ns, node, fmt.Sprint("127.0.0.1:", port-200+i), w.server)
		create(t, w.ns, "busy-"+node, node, corev1.PodSpec{Containers: []corev1.Container{container("app", "100m 64Mi", "", "-cpu=50", "-memory=50")}})
	}
	w.well(t, "node1")
	w.well(t, "node2")
	return w
}

// well waits until a node's busy pod has the values that it should have, newer than a few seconds.
func (w *world) well(t *testing.T, node string) {
	t.Helper()
	until(t, "the busy pod of "+node, func() error { return w.sound(t, node) })
}

// sound says what is wrong with the values of a node's busy pod.
func (w *world) sound(t *testing.T, node string) error {
	m, err := usage(w.server, w.admin, w.ns, "busy-"+node)
	if err != nil {
		return err
	}
	c := w.server.containers(t, w.admin, w.ns)["busy-"+node+"/app"]
	if mib := float64(m.Containers[0].Usage.Memory().Value()) / (1 << 20); mib < 48 || mib > 52 || time.Since(m.Timestamp.Time) > 5*time.Second || c.Node != node || c.Source != "" {
		return fmt.Errorf("%.1f MiB at %v, %+v", mib, m.Timestamp.Time, c)
	}
	return nil
}

// told waits until the server tells of a condition.
func (w *world) told(t *testing.T, kind, reason, says string) {
	t.Helper()
	until(t, kind+" "+reason+" is not told", func() error {
		all := w.conditions(t)
		for _, c := range all {
			if c.Type == kind && c.Reason == reason && strings.Contains(c.Message, says) {
				t.Logf("it tells: %s: %s", c.Reason, c.Message)
				return nil
			}
		}
		return fmt.Errorf("%+v", all)
	})
}

func (w *world) conditions(t *testing.T) []condition.Condition {
	t.Helper()
	var o struct{ Conditions []condition.Condition }
	w.server.read(t, "/plimsoll/v1/overview", w.admin, &o)
	return o.Conditions
}

// missing is the reason why something has no values, with what is said of it.
func (w *world) missing(t *testing.T, level, title string) string {
	t.Helper()
	var m struct {
		Items []struct{ Level, Title, Reason, Detail string }
	}
	w.server.read(t, "/plimsoll/v1/missing", w.admin, &m)
	for _, i := range m.Items {
		if i.Level == level && i.Title == title {
			return i.Reason + ": " + i.Detail
		}
	}
	return ""
}

// counted wants a line of the server's own metrics.
func (w *world) counted(t *testing.T, lines ...string) {
	t.Helper()
	until(t, "what is counted", func() error {
		all, err := w.server.get("/metrics", w.admin)
		for _, l := range lines {
			if err == nil && !strings.Contains(all, l) {
				err = fmt.Errorf("no %q", l)
			}
		}
		return err
	})
}

// fakeNode makes a node that has no kubelet, which goes with the test.
func fakeNode(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	nodes := shared.Client().CoreV1().Nodes()
	if _, err := nodes.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Spec: corev1.NodeSpec{Unschedulable: true}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nodes.Delete(context.Background(), name, metav1.DeleteOptions{}) })
}

// fakePod makes a pod that a node which has no kubelet would run, and says that it runs.
func fakePod(t *testing.T, ns, name, node, account string) *corev1.Pod {
	t.Helper()
	pods := shared.Client().CoreV1().Pods(ns)
	p, err := pods.Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{NodeName: node, ServiceAccountName: account, Containers: []corev1.Container{{Name: "web", Image: image}}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = pods.Delete(context.Background(), name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))})
	})
	p.Status = runningStatus(p, time.Now())
	if p, err = pods.UpdateStatus(t.Context(), p, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	return p
}

// runningStatus is that of a pod whose one container runs.
func runningStatus(p *corev1.Pod, since time.Time) corev1.PodStatus {
	at := metav1.NewTime(since)
	return corev1.PodStatus{Phase: corev1.PodRunning, StartTime: &at, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		ContainerStatuses: []corev1.ContainerStatus{{Name: "web", Ready: true, Started: new(true), State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at}},
			ContainerID: "containerd://" + strings.ReplaceAll(string(p.UID), "-", "") + strings.ReplaceAll(string(p.UID), "-", "")}}}
}

// sends sends a body with a token, and returns the answer.
func (w *world) sends(token string, live bool, body []byte) (int, string, error) {
	h := http.Header{}
	if live {
		remotewrite.SetLiveHeader(h, true)
	} else {
		remotewrite.SetHeader(h, remotewrite.V2)
	}
	h.Set(remotewrite.SourceHeader, "test of "+token[max(0, len(token)-8):])
	return w.server.ask("POST", "/api/v1/write", token, h, bytes.NewReader(body))
}

// TestFaults tries what goes wrong in a cluster, one thing after the other: each is told and counted, nothing of one pod is on another, and what has nothing to
// do with it goes on.
func TestFaults(t *testing.T) {
	ours(t)
	long(t)
	w := newWorld(t, 8463)
	t.Run("clock", w.clock)
	t.Run("two claim one pod", w.twoClaim)
	t.Run("namespace deleted", w.namespaceDeleted)
	t.Run("labels", w.labels)
	t.Run("kubelet away", w.kubeletAway)
	t.Run("collector killed", w.collectorKilled)
	t.Run("server killed", w.serverKilled)
}

// clock has a node whose clock is five minutes off, behind and then ahead. All processes of one machine have one clock: the samples are the test's, sent with the
// token of a pod on a node that has no kubelet.
func (w *world) clock(t *testing.T) {
	fakeNode(t, "clock", nil)
	sender := token(t, w.ns, "collector", "plimsoll", fakePod(t, w.ns, "agent-clock", "clock", "collector"))
	fakePod(t, w.ns, "late", "clock", "default")
	for off, reason := range map[time.Duration]string{-5 * time.Minute: "ClockBehind", 5 * time.Minute: "ClockAhead"} {
		for range 8 {
			if code, body, err := w.sends(sender, true, sampleAt(t, "clock", w.ns, "late", time.Now().Add(off), 1e6)); err != nil || code != http.StatusNoContent {
				t.Errorf("%s: %d %s %v", reason, code, body, err)
			}
			time.Sleep(600 * time.Millisecond)
		}
		w.told(t, "CollectorSound/clock", reason, "5m0s")
		w.counted(t, `plimsoll_ingest_troubled_senders{reason="`+reason+`"} 1`)
		if m, err := usage(w.server, w.admin, w.ns, "late"); err == nil {
			t.Errorf("%s: it is served as a present value: %+v", reason, m)
		}
		if c := w.server.containers(t, w.admin, w.ns)["late/web"]; c.CPU != nil {
			t.Errorf("%s: it is shown as a present value: %+v", reason, c)
		}
		if err := w.sound(t, "node1"); err != nil {
			t.Errorf("%s: another node: %v", reason, err)
		}
		time.Sleep(2 * time.Second)
	}
}

// twoClaim has a second node send of a pod that is on the first.
func (w *world) twoClaim(t *testing.T) {
	fakeNode(t, "thief", nil)
	thief := token(t, w.ns, "collector", "plimsoll", fakePod(t, w.ns, "agent-thief", "thief", "collector"))
	for range 25 {
		for _, live := range []bool{true, false} {
			if code, body, err := w.sends(thief, live, sampleAt(t, "thief", w.ns, "busy-node1", time.Now(), 1e12)); err != nil || code != http.StatusBadRequest || !strings.Contains(body, "(pod)") {
				t.Fatalf("live %v: %d %s %v", live, code, body, err)
			}
		}
		if err := w.sound(t, "node1"); err != nil {
			t.Errorf("the pod has the other's values: %v", err)
		}
		time.Sleep(500 * time.Millisecond)
	}
	w.told(t, "CollectorSound/thief", "NotItsPod", w.ns+"/busy-node1")
	w.counted(t, `plimsoll_ingest_troubled_senders{reason="NotItsPod"} 1`, `plimsoll_ingest_samples_dropped_total{reason="pod"} 100`)
	for _, of := range []string{fmt.Sprintf("namespace_memory_working_set_bytes{namespace=%q}", w.ns), fmt.Sprintf(`pod_memory_working_set_bytes{namespace=%q,pod="busy-node1"}`, w.ns)} {
		if v, err := w.server.value(w.admin, "max_over_time("+of+"[1m])"); err != nil || v < 40e6 || v > 1e9 {
			t.Errorf("%s is %.3g, %v: the other's terabyte is in it, or nothing is", of, v, err)
		}
	}
}

// namespaceDeleted deletes a namespace with pods on both nodes, and makes it anew with pods of the same names.
func (w *world) namespaceDeleted(t *testing.T) {
	all, ns := shared.Client().CoreV1().Namespaces(), w.ns+"-gone"
	makes := func(memory string, nodes ...string) {
		t.Helper()
		if _, err := all.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		until(t, "the namespace's account for pods", func() error {
			_, err := shared.Client().CoreV1().ServiceAccounts(ns).Get(t.Context(), "default", metav1.GetOptions{})
			return err
		})
		for i, node := range nodes {
			create(t, ns, fmt.Sprint("p", i), node, corev1.PodSpec{Containers: []corev1.Container{container("app", "", "", memory)}})
		}
	}
	shows := func(least, most float64, nodes ...string) error {
		got := w.server.containers(t, w.admin, ns)
		for i, node := range nodes {
			c := got[fmt.Sprint("p", i, "/app")]
			if c.Node != node || c.WorkingSet == nil || *c.WorkingSet < least || *c.WorkingSet > most || c.Restarts == nil || *c.Restarts != 0 {
				return fmt.Errorf("%+v", c)
			}
		}
		return nil
	}
	t.Cleanup(func() { _ = all.Delete(context.Background(), ns, metav1.DeleteOptions{}) })
	makes("-memory=90", "node1", "node2")
	until(t, "the first", func() error { return shows(85e6, 120e6, "node1", "node2") })
	time.Sleep(12 * time.Second) // a roll-up is in the history
	if err := all.Delete(t.Context(), ns, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the namespace is still there", func() error {
		if _, err := all.Get(t.Context(), ns, metav1.GetOptions{}); err == nil {
			return errors.New("it is")
		}
		return nil
	})
	until(t, "its pods are still served", func() error {
		body, err := w.server.get("/apis/metrics.k8s.io/v1/namespaces/"+ns+"/pods", w.admin)
		if err == nil && !strings.Contains(body, `"items":[]`) {
			err = errors.New(body)
		}
		return err
	})
	if v, err := w.server.value(w.admin, fmt.Sprintf("max_over_time(namespace_memory_working_set_bytes{namespace=%q}[2m])", ns)); err != nil || v < 170e6 {
		t.Errorf("the history has %.3g of it, %v", v, err)
	}
	makes("-memory=10", "node2", "node1") // each where the other was
	until(t, "the second", func() error { return shows(5e6, 40e6, "node2", "node1") })
	for range 20 {
		if err := shows(5e6, 40e6, "node2", "node1"); err != nil {
			t.Errorf("the old ones are on the new: %v", err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// labels makes a pod with 64 KiB of labels.
func (w *world) labels(t *testing.T) {
	labels, size := map[string]string{}, 0
	for i := 0; size < 64<<10; i++ {
		k, v := fmt.Sprintf("%s.example/%s-%d", strings.Repeat("a", 40), strings.Repeat("b", 40), i), strings.Repeat("c", 60)
		labels[k], size = v, size+len(k)+len(v)
	}
	labels["app"] = "many"
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "many", Labels: labels}, Spec: corev1.PodSpec{NodeName: "node2", TerminationGracePeriodSeconds: new(int64(1)), Containers: []corev1.Container{container("app", "", "", "-memory=50")}}}
	if _, err := shared.Client().CoreV1().Pods(w.ns).Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, "it has no values", func() error {
		m, err := usage(w.server, w.admin, w.ns, "many")
		if err == nil && (len(m.Labels) != len(labels) || m.Containers[0].Usage.Memory().Value() < 40<<20) {
			err = fmt.Errorf("%d labels of %d, %v", len(m.Labels), len(labels), m.Containers[0].Usage)
		}
		return err
	})
	body, err := w.server.get("/apis/metrics.k8s.io/v1/namespaces/"+w.ns+"/pods?labelSelector=app%3Dmany", w.admin)
	if err != nil || strings.Count(body, `"containers"`) != 1 || !strings.Contains(body, `"name":"many"`) {
		t.Errorf("by a label: %.300s, %v", body, err)
	}
	if err := errors.Join(w.sound(t, "node1"), w.sound(t, "node2")); err != nil {
		t.Errorf("the others: %v", err)
	}
}

// kubeletAway ends a node's kubelet for 40 s: use goes on under its names, the cluster's word for the node is shown, and pods that begin after are seen.
func (w *world) kubeletAway(t *testing.T) {
	at := time.Now()
	if err := shared.End("kubelet-node2"); err != nil {
		t.Fatal(err)
	}
	back := func() {
		for _, n := range shared.NodeList() {
			if n.Name == "node2" {
				if err := n.StartKubelet(); err != nil {
					t.Error(err)
				}
			}
		}
	}
	status := func(want string) func() error {
		return func() error {
			var all struct {
				Items []struct{ Name, Status string }
			}
			w.server.read(t, "/plimsoll/v1/nodes", w.admin, &all)
			for _, n := range all.Items {
				if n.Name == "node2" && n.Status == want {
					return nil
				}
			}
			return fmt.Errorf("%+v", all)
		}
	}
	until(t, "the node is not told to be NotReady", status("NotReady"))
	for time.Since(at) < 40*time.Second {
		if err := w.sound(t, "node2"); err != nil {
			t.Errorf("without its kubelet: %v", err)
		}
		time.Sleep(time.Second)
	}
	back()
	until(t, "the node is not told to be Ready", status("Ready"))
	w.whole(t, "busy-node2", at, 3)
	create(t, w.ns, "after", "node2", corev1.PodSpec{Containers: []corev1.Container{container("app", "", "", "-memory=20")}})
	until(t, "a pod after it", func() error { _, err := usage(w.server, w.admin, w.ns, "after"); return err })
}

// whole wants a sample in the history for each two seconds since a time, but for some.
func (w *world) whole(t *testing.T, pod string, since time.Time, lacks float64) {
	t.Helper()
	until(t, "the history of "+pod+" has a hole", func() error {
		took := time.Since(since)
		n, err := w.server.value(w.admin, fmt.Sprintf(`count_over_time(container_memory_working_set_bytes{namespace=%q,pod=%q,container="app"}[%ds])`, w.ns, pod, int(took.Seconds())))
		if want := took.Seconds()/2 - lacks; err == nil && n < want {
			err = fmt.Errorf("%v samples, want %v", n, want)
		}
		return err
	})
}

// collectorKilled kills a collector while its server does not take what it sends: what its queue has taken arrives when both are back, and in between its node
// is said to be silent, and its kubelet asked.
func (w *world) collectorKilled(t *testing.T) {
	goes := w.server.stops(t)
	at := time.Now()
	time.Sleep(12 * time.Second) // six readings are in the queue
	w.nodes[1].kill(t)
	killed := time.Now()
	goes()
	until(t, "its silence is not told", func() error {
		if why := w.missing(t, "node", "node2"); !strings.Contains(why, "silent") {
			return fmt.Errorf("%q", why)
		}
		return nil
	})
	until(t, "its kubelet is not asked", func() error {
		if c := w.server.containers(t, w.admin, w.ns)["busy-node2/app"]; c.Source != "kubelet" || c.CPU == nil {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	if err := w.sound(t, "node1"); err != nil {
		t.Errorf("another node: %v", err)
	}
	w.nodes[1] = w.nodes[1].again(w.t)
	w.well(t, "node2")
	until(t, "what the queue had taken is lost", func() error {
		n, err := w.server.value(w.admin, fmt.Sprintf(`count_over_time(container_memory_working_set_bytes{namespace=%q,pod="busy-node2",container="app"}[%ds] @ %d)`, w.ns, int(killed.Sub(at).Seconds()), killed.Unix()))
		if err == nil && n < 5 { // the last second may not be on disk yet
			err = fmt.Errorf("%v samples", n)
		}
		return err
	})
}

// serverKilled kills the server: what it had said that it has is there when it is back, and what was measured meanwhile comes.
func (w *world) serverKilled(t *testing.T) {
	time.Sleep(20 * time.Second)
	of := func(at time.Time) (float64, error) {
		return w.server.value(w.admin, fmt.Sprintf(`count_over_time(container_memory_working_set_bytes{namespace=%q,pod="busy-node1",container="app"}[15s] @ %d)`, w.ns, at.Unix()))
	}
	at := time.Now()
	before, err := of(at)
	if err != nil || before < 6 {
		t.Fatal(before, err)
	}
	w.server.kill(t)
	time.Sleep(5 * time.Second)
	began := time.Now()
	w.server = w.server.again(w.t)
	until(t, "it does not serve", func() error { return w.sound(t, "node1") })
	t.Logf("a server that was killed serves %v after its start", time.Since(began).Round(100*time.Millisecond))
	if after, err := of(at); err != nil || after < before {
		t.Errorf("of %v samples it has %v, %v", before, after, err)
	}
	w.whole(t, "busy-node1", at, 3)
	w.whole(t, "busy-node2", at, 3)
}
