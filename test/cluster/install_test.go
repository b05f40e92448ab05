package cluster_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/metadata"

	"plimsoll.dev/plimsoll/test/chart"
	"plimsoll.dev/plimsoll/test/cluster/product"
)

// helm is Helm on the shared cluster.
func helm(t *testing.T) *chart.Helm {
	t.Helper()
	h, err := product.Helm(shared, slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// built is the product, with its image on all nodes.
func built(t *testing.T) *product.Product {
	t.Helper()
	p, err := checkout()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Load(t.Context(), shared); err != nil {
		t.Fatal(err)
	}
	return p
}

// profile are the values of one of the chart's.
func profile(t *testing.T, p *product.Product, name string) chart.Values {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(p.Chart.Dir, "profiles", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	values, err := chart.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// room waits until nothing is left of an installation before, and has that of this test taken away with it.
func room(t *testing.T, h *chart.Helm) {
	t.Helper()
	within(t, 2*time.Minute, "the namespace of an installation before is still there", func() error {
		switch n, err := shared.Client().CoreV1().Namespaces().Get(t.Context(), product.Namespace, metav1.GetOptions{}); {
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return err
		case n.DeletionTimestamp == nil:
			return nil // the test has made it
		default:
			return fmt.Errorf("%+v", n.Status.Conditions)
		}
	})
	t.Cleanup(func() {
		_ = h.Uninstall(product.Name)
		_ = shared.Client().CoreV1().Namespaces().Delete(context.Background(), product.Namespace, metav1.DeleteOptions{})
	})
}

// install installs the chart and takes it away with the test.
func install(t *testing.T, p *product.Product, values chart.Values) (*chart.Helm, string) {
	t.Helper()
	h := helm(t)
	room(t, h)
	notes, err := h.Install(t.Context(), product.Name, p.Chart, product.Values(values))
	if err != nil {
		t.Fatalf("%v\n%s", err, state(t))
	}
	return h, notes
}

// TestChart installs the chart from the image of this checkout, tests it, upgrades it and takes it away.
func TestChart(t *testing.T) {
	ours(t)
	p, h, ctx := built(t), helm(t), t.Context()
	room(t, h)
	before := objects(t)
	began := time.Now()
	values := product.Values(chart.Values{"boards": chart.Values{"enabled": true}, "networkPolicy": chart.Values{"enabled": true}})
	notes, err := h.Install(ctx, product.Name, p.Chart, values)
	if err != nil {
		t.Fatalf("%v\n%s", err, state(t))
	}
	t.Logf("all ready after %.1f s; notes:\n%s", time.Since(began).Seconds(), notes)
	var top string
	until(t, "kubectl top tells of both nodes", func() (err error) {
		if top, err = shared.Kubectl(ctx, "top", "nodes"); err == nil && (!strings.Contains(top, "node1") || !strings.Contains(top, "node2")) {
			err = fmt.Errorf("it says %s", top)
		}
		return err
	})
	t.Logf("kubectl top answers after %.1f s", time.Since(began).Seconds())
	running(t)
	standards(t)
	printed, err := h.Test(product.Name)
	if err != nil || !strings.Contains(printed, "node1") || !strings.Contains(printed, "node2") {
		t.Errorf("helm test: %v\n%s\n%s", err, printed, state(t))
	}
	t.Logf("helm test prints\n%s", printed)

	pods, certificate := uids(t), tlsOf(t)
	values["networkPolicy"] = chart.Values{"enabled": false}
	if _, err := h.Upgrade(ctx, product.Name, p.Chart, values); err != nil {
		t.Fatalf("%v\n%s", err, state(t))
	}
	if got := uids(t); !slices.Equal(got, pods) || tlsOf(t) != certificate {
		t.Errorf("an upgrade that changes no pod made pods anew, or the certificate: %v, before %v", got, pods)
	}
	if err := h.Uninstall(product.Name); err != nil {
		t.Errorf("%v\n%s", err, state(t))
	}
	until(t, "something of the release is left", func() error {
		if left := slices.DeleteFunc(objects(t), func(s string) bool { return slices.Contains(before, s) }); len(left) > 0 {
			return fmt.Errorf("%s", strings.Join(left, "\n"))
		}
		return nil
	})
}

func podsOf(t *testing.T) []corev1.Pod {
	t.Helper()
	list, err := shared.Client().CoreV1().Pods(product.Namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + product.Name})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func uids(t *testing.T) (out []string) {
	t.Helper()
	for _, p := range podsOf(t) {
		out = append(out, p.Name+" "+string(p.UID))
	}
	slices.Sort(out)
	return out
}

func tlsOf(t *testing.T) string {
	t.Helper()
	s, err := shared.Client().CoreV1().Secrets(product.Namespace).Get(t.Context(), product.Name+"-tls", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(s.Data["tls.crt"])
}

// running wants one server and a collector on each node, all Ready and none started twice.
func running(t *testing.T) {
	t.Helper()
	var where []string
	for _, p := range podsOf(t) {
		ready := slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
			return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
		})
		if p.Status.Phase != corev1.PodRunning || !ready || p.Status.ContainerStatuses[0].RestartCount > 0 {
			t.Errorf("%s is %s, ready %v: %+v", p.Name, p.Status.Phase, ready, p.Status.ContainerStatuses)
		}
		if part := p.Labels["app.kubernetes.io/component"]; part == "collector" {
			where = append(where, p.Spec.NodeName)
		} else if part != "server" {
			t.Errorf("a pod %s", p.Name)
		}
	}
	if slices.Sort(where); !slices.Equal(where, []string{"node1", "node2"}) || len(podsOf(t)) != 3 {
		t.Errorf("collectors on %v, %d pods in all", where, len(podsOf(t)))
	}
}

// standards tries the pods in a namespace whose PodSecurity is "restricted": the server passes, the collector fails for what it sees of its node and nothing else.
func standards(t *testing.T) {
	t.Helper()
	ns := namespace(t)
	label := []byte(`{"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}`)
	if _, err := shared.Client().CoreV1().Namespaces().Patch(t.Context(), ns, "application/merge-patch+json", label, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, p := range podsOf(t) {
		spec := p.Spec.DeepCopy()
		spec.ServiceAccountName, spec.DeprecatedServiceAccount, spec.NodeName = "default", "", ""
		spec.Volumes = slices.DeleteFunc(spec.Volumes, func(v corev1.Volume) bool { return strings.HasPrefix(v.Name, "kube-api-access") })
		for i := range spec.Containers {
			spec.Containers[i].VolumeMounts = slices.DeleteFunc(spec.Containers[i].VolumeMounts, func(v corev1.VolumeMount) bool { return strings.HasPrefix(v.Name, "kube-api-access") })
		}
		until(t, "a service account in "+ns, func() error {
			_, err := shared.Client().CoreV1().ServiceAccounts(ns).Get(t.Context(), "default", metav1.GetOptions{})
			return err
		})
		_, err := shared.Client().CoreV1().Pods(ns).Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: p.Name}, Spec: *spec}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if p.Labels["app.kubernetes.io/component"] == "server" {
			if err != nil {
				t.Errorf("the server in a restricted namespace: %v", err)
			}
			continue
		}
		_, why, _ := strings.Cut(fmt.Sprint(err), "restricted:latest\": ")
		for _, w := range strings.Split(why, "), ") {
			if !strings.HasPrefix(w, "host namespaces (hostPID=true") && !strings.HasPrefix(w, "hostPath volumes (volume \"host\"") && !strings.HasPrefix(w, "restricted volume types (volume \"host\"") {
				t.Errorf("the collector fails for %q in a restricted namespace: %v", w, err)
			}
		}
	}
}

// objects are all objects that have the release's label or name, of every kind that the API server knows.
func objects(t *testing.T) (out []string) {
	t.Helper()
	lists, err := shared.Client().Discovery().ServerPreferredResources()
	if len(lists) == 0 {
		t.Fatal(err)
	}
	client, err := metadata.NewForConfig(shared.Config())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lists {
		gv, err := schema.ParseGroupVersion(l.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range l.APIResources {
			if !slices.Contains(r.Verbs, "list") || r.Name == "events" || strings.HasSuffix(gv.Group, "metrics.k8s.io") {
				continue
			}
			found, err := client.Resource(gv.WithResource(r.Name)).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Logf("%s: %v", r.Name, err)
				continue
			}
			for _, o := range found.Items {
				if o.Labels["app.kubernetes.io/instance"] == product.Name || o.Namespace == product.Namespace && o.Name != "kube-root-ca.crt" && o.Name != "default" {
					out = append(out, r.Name+" "+o.Namespace+"/"+o.Name)
				}
			}
		}
	}
	return out
}

// state tells of the release's pods, for whoever reads why a test failed.
func state(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, args := range [][]string{{"get", "pods", "-o", "wide"}, {"get", "events"}, {"logs", "-l", "app.kubernetes.io/instance=" + product.Name, "--prefix", "--tail=20"}} {
		out, err := shared.Kubectl(context.Background(), append([]string{"-n", product.Namespace}, args...)...)
		fmt.Fprintln(&b, out, err)
	}
	return b.String()
}
