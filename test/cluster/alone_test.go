package cluster_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/test/chart"
	"plimsoll.dev/plimsoll/test/cluster/product"
)

// TestAutoscalerAlone installs the chart's profile that is the autoscaler alone, on metrics.k8s.io of somebody else: of metrics-server in the long form, in the short one
// of a Plimsoll that scales nothing, whose values come sooner. It scales a Deployment up and down with the rights that the chart gives, tells of it, and makes no API its own.
func TestAutoscalerAlone(t *testing.T) {
	ours(t)
	p, ns := built(t), namespace(t)
	scalePolicies(t)
	most := time.Minute
	if testing.Short() {
		account(t, ns, "collector", collecting...)
		s := server(t, 8471, "--autoscaler=off")
		collectorOn(t, ns, "node1", "127.0.0.1:8271", s)
		collectorOn(t, ns, "node2", "127.0.0.1:8272", s)
		aggregate(t, s)
	} else {
		most = 2 * time.Minute
		publish(t, "plimsoll", reference(t, 8471).dir, 8471, takenName)
	}
	values := profile(t, p, "autoscaler")
	values["autoscaler"] = chart.Values{"alone": true, "mode": "on"}
	_, notes := install(t, p, values)
	if !strings.Contains(notes, "kubectl get scp -A -o wide") || strings.Contains(notes, "helm test") {
		t.Errorf("the notes say\n%s", notes)
	}
	pods := podsOf(t)
	for _, x := range pods {
		if x.Labels["app.kubernetes.io/component"] != "server" || x.Status.Phase != corev1.PodRunning || x.Status.ContainerStatuses[0].RestartCount > 0 {
			t.Errorf("%s is %s: %+v", x.Name, x.Status.Phase, x.Status.ContainerStatuses)
		}
	}
	if len(pods) != 2 {
		t.Errorf("%d pods", len(pods))
	}
	door := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: shared.Dial, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	for path, want := range map[string]int{"/metrics": http.StatusUnauthorized, "/readyz": http.StatusOK} {
		resp, err := door.Get("https://" + net.JoinHostPort(pods[0].Status.PodIP, "8443") + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s without a login: %s, want %d", path, resp.Status, want)
		}
	}
	for _, o := range objects(t) {
		if strings.HasPrefix(o, "apiservices ") {
			t.Errorf("the release has made %s", o)
		}
	}

	deploy(t, ns, "web", 2)
	load := &demand{ns: ns, app: "web", milli: 40}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { load.share(ctx); close(done) }()
	t.Cleanup(func() { stop(); <-done })
	const spec = "{" + ofWeb + ", minReplicas: 2, maxReplicas: 8, stableWindow: 10s, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}], behavior: {scaleDown: {stabilizationWindowSeconds: 0}}}"
	if out, err := apply(t, ns, scp("web", spec)); err != nil {
		t.Fatal(err, out)
	}
	patiently(t, "the policy is not in force", most, func() error {
		if c := conditionOf(t, ns, "web", "ScalingActive"); c.Status != "True" {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	began := time.Now()
	load.set(240)
	patiently(t, "the load is large\n"+state(t), most, func() error {
		if n := count(t, ns, "web"); n < 5 {
			return fmt.Errorf("%d replicas, want 5 or more", n)
		}
		return nil
	})
	t.Logf("five replicas or more %v after the load's step", time.Since(began).Round(100*time.Millisecond))
	for args, want := range map[string]string{"get scp -o wide": "Measured by metrics.k8s.io.", "get events": "ScaledUp"} {
		patiently(t, "kubectl "+args, most, func() error { // a status may wait a second to be written
			out, err := shared.Kubectl(t.Context(), append(strings.Fields(args), "-n", ns)...)
			if err == nil && !strings.Contains(out, want) {
				err = fmt.Errorf("no %q in\n%s", want, out)
			}
			return err
		})
	}
	load.set(40)
	began = time.Now()
	patiently(t, "the load is small again", 2*most, func() error {
		if n := count(t, ns, "web"); n != 2 {
			return fmt.Errorf("%d replicas", n)
		}
		return nil
	})
	t.Logf("two replicas %v after it", time.Since(began).Round(100*time.Millisecond))

	// The one that decides ends: the other goes on.
	holder, err := shared.Kubectl(t.Context(), "get", "lease", product.Name, "-n", product.Namespace, "-o", "jsonpath={.spec.holderIdentity}")
	if err != nil {
		t.Fatal(err)
	}
	ended := ""
	for _, x := range pods {
		if strings.Contains(holder, x.Name) {
			ended = x.Name
		}
	}
	if ended == "" {
		t.Fatalf("the lease is held by %q, which names none of the pods", holder)
	}
	if out, err := shared.Kubectl(t.Context(), "delete", "pod", ended, "-n", product.Namespace, "--wait=false"); err != nil {
		t.Fatal(out, err)
	}
	load.set(240)
	patiently(t, "nobody scales after the holder of the lease has ended", most, func() error {
		if n := count(t, ns, "web"); n < 5 {
			return fmt.Errorf("%d replicas", n)
		}
		return nil
	})
	if c := conditionOf(t, ns, "web", "AbleToScale"); c.Status != "True" {
		t.Error(errors.New(c.Message))
	}
}
