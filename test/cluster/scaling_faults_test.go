package cluster_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// scaled makes a Deployment of two pods that share a load, and a ScalePolicy for it.
func scaled(t *testing.T, ns, name string, args ...string) *demand {
	t.Helper()
	deploy(t, ns, name, 2, args...)
	if out, err := apply(t, ns, ofMany(name, 8)); err != nil {
		t.Fatal(err, out)
	}
	d := &demand{ns: ns, app: name, milli: 40}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { d.share(ctx); close(done) }()
	t.Cleanup(func() { stop(); <-done })
	return d
}

func ofMany(name string, most int) string {
	return scp(name, fmt.Sprintf("{scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: %s}, minReplicas: 2, maxReplicas: %d, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]}", name, most))
}

// TestScalingFaults has things go wrong that are not the autoscaler's fault: nothing flaps, nothing runs away, nobody else waits, and a condition says why.
func TestScalingFaults(t *testing.T) {
	ours(t)
	long(t)
	ns := namespace(t)
	autoscaling(t, ns, 8464)
	refused, well, edited := scaled(t, ns, "refused"), scaled(t, ns, "well"), scaled(t, ns, "edited")
	scaled(t, ns, "crashing", "-for=500ms", "-exit=1")
	for _, node := range []string{"node1", "node2"} { // pods with the labels of another's
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "foreign-" + node, Labels: map[string]string{"app": "edited"}}, Spec: corev1.PodSpec{NodeName: node, TerminationGracePeriodSeconds: new(int64(1)),
			Containers: []corev1.Container{container("web", "50m 16Mi", "", "-cpu=150")}}}
		if _, err := shared.Client().CoreV1().Pods(ns).Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	edited.set(0) // its pods have nothing to do, and the foreign ones three times what they ask for
	is := func(name string, ok func(int32) bool) {
		t.Helper()
		until(t, name, func() error {
			if n := count(t, ns, name); !ok(n) {
				return fmt.Errorf("%d replicas", n)
			}
			return nil
		})
	}
	for _, name := range []string{"refused", "well", "edited"} {
		until(t, name+" is not in force", func() error {
			if c := conditionOf(t, ns, name, "ScalingActive"); c.Status != "True" {
				return fmt.Errorf("%+v", c)
			}
			return nil
		})
	}
	door := admissionOf(t, ns, "10.99.0.1:9464", false, "refused")
	door.say("no more today: the month's budget is spent")
	time.Sleep(5 * time.Second)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	end := sync.OnceFunc(func() { close(stop); wg.Wait() })
	defer end()
	wg.Go(func() { // a policy that is edited every second
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Second):
			}
			if out, err := apply(t, ns, ofMany("edited", 8+i%2)); err != nil {
				t.Error(err, out)
			}
		}
	})
	began := time.Now()
	refused.set(240)
	well.set(240)
	is("well", func(n int32) bool { return n > 2 })
	t.Logf("beside a target whose changes are refused another one is changed after %.1f s", time.Since(began).Seconds())
	until(t, "what refuses is not told", func() error {
		c := conditionOf(t, ns, "refused", "AbleToScale")
		if c.Status != "False" || c.Reason != "FailedUpdateScale" || !strings.Contains(c.Message, "no more today: the month's budget is spent") {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	time.Sleep(15 * time.Second)
	asked := door.questions()
	if n := len(asked); n < 2 || n > 7 || count(t, ns, "refused") != 2 {
		t.Errorf("asked %d times in %s, %d replicas", n, time.Since(began), count(t, ns, "refused"))
	}
	for i := 3; i < len(asked); i++ {
		if a, b := asked[i-1].Sub(asked[i-2]), asked[i].Sub(asked[i-1]); b < a {
			t.Errorf("tried again after %s, and then after %s", a, b)
		}
	}
	end()
	if n := count(t, ns, "edited"); n != 2 {
		t.Errorf("%d replicas for the load of pods that another target does not own, with a policy that is edited every second", n)
	}
	if n := count(t, ns, "crashing"); n != 2 {
		t.Errorf("%d replicas of pods that crash all the time", n)
	}
	if c := conditionOf(t, ns, "crashing", "ScalingActive"); c.Status != "False" || c.Message == "" {
		t.Errorf("of pods that crash all the time: %+v", c)
	} else {
		t.Logf("of pods that crash all the time: %s: %s", c.Reason, c.Message)
	}
	edited.set(240) // its history is the same after so many editions
	is("edited", func(n int32) bool { return n > 2 })
	door.say("")
	is("refused", func(n int32) bool { return n > 2 })
	until(t, "what is not refused any more is not told", func() error {
		if c := conditionOf(t, ns, "refused", "AbleToScale"); c.Status != "True" {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
}

// TestScalingQuota has pods that cannot be made for lack of a quota: the condition says so, and the count does not run away.
func TestScalingQuota(t *testing.T) {
	ours(t)
	ns := namespace(t)
	autoscaling(t, ns, 8465)
	d := scaled(t, ns, "web")
	until(t, "the policy is not in force", func() error {
		if c := conditionOf(t, ns, "web", "ScalingActive"); c.Status != "True" {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "few"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse("5")}}} // with those of the collectors
	if _, err := shared.Client().CoreV1().ResourceQuotas(ns).Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * time.Second)
	d.set(170) // for five
	until(t, "the quota is not told", func() error {
		c := conditionOf(t, ns, "web", "ReplicasMade")
		if c.Status != "False" || c.Reason != "FailedCreate" || !strings.Contains(c.Message, "exceeded quota: few") {
			return fmt.Errorf("%d replicas, %+v", count(t, ns, "web"), c)
		}
		return nil
	})
	c := conditionOf(t, ns, "web", "ReplicasMade")
	t.Log(c.Message)
	time.Sleep(15 * time.Second)
	if n := count(t, ns, "web"); n > 6 {
		t.Errorf("%d replicas are asked for", n)
	}
	if err := shared.Client().CoreV1().ResourceQuotas(ns).Delete(t.Context(), "few", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestPausedHolder stops the process that holds the lease. Another one takes over; the first one wakes, and changes nothing.
func TestPausedHolder(t *testing.T) {
	ours(t)
	long(t)
	ns := namespace(t)
	scalePolicies(t)
	account(t, ns, "collector", collecting...)
	admin := adminToken(t, ns)
	first := server(t, 8466, "--autoscaler=on", "--lease", "kube-system/plimsoll-shared")
	is := func(p *part, line string) error {
		text, err := p.get("/metrics", admin)
		if err == nil && !strings.Contains(text, "\n"+line+"\n") {
			err = fmt.Errorf("it does not say %s", line)
		}
		return err
	}
	until(t, "the first holds no lease", func() error { return is(first, "plimsoll_lease_held 1") })
	second := server(t, 8467, "--autoscaler=on", "--lease", "kube-system/plimsoll-shared")
	deploy(t, ns, "web", 1)
	stopped := time.Now()
	goes := first.stops(t)
	until(t, "nobody takes over", func() error { return is(second, "plimsoll_lease_held 1") })
	t.Logf("another one takes over %.1f s after its holder was stopped", time.Since(stopped).Seconds())
	// What the first one finds when it wakes is new to it: three replicas are to be made, by the one that holds the lease.
	if out, err := apply(t, ns, scp("web", "{"+ofWeb+", minReplicas: 3, maxReplicas: 5}")); err != nil {
		t.Fatal(err, out)
	}
	until(t, "the second does not scale", func() error {
		if n := count(t, ns, "web"); n != 3 {
			return fmt.Errorf("%d replicas", n)
		}
		return nil
	})
	goes()
	for i := range 10 {
		if out, err := apply(t, ns, scp("web", fmt.Sprintf("{%s, minReplicas: %d, maxReplicas: 5}", ofWeb, 2+i%4))); err != nil {
			t.Fatal(err, out)
		}
		time.Sleep(time.Second)
	}
	if err := is(first, "plimsoll_lease_held 0"); err != nil {
		t.Error(err)
	}
	text, err := first.get("/metrics", admin)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, `plimsoll_autoscaler_decisions_total{action="Up"`) || strings.HasPrefix(line, `plimsoll_autoscaler_decisions_total{action="Down"`) {
			t.Errorf("who was stopped has changed a count: %s", line)
		}
	}
	if !strings.Contains(text, `plimsoll_autoscaler_decisions_total{action="Hold",reason="NotLeader"}`) {
		t.Error("who was stopped does not say that it would have changed a count, and may not")
	}
}
