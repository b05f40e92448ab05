package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"plimsoll.dev/plimsoll/test/chart"
	"plimsoll.dev/plimsoll/test/cluster/product"
	"plimsoll.dev/plimsoll/test/cluster/rig"
)

// TestCertManager has cert-manager's own controllers make and renew the certificates of the chart's server: on a release whose certificates were the chart's before, and that
// goes back to them after.
func TestCertManager(t *testing.T) {
	ours(t)
	long(t)
	p, ctx := built(t), t.Context()
	certManager(t)
	with := func(source string) chart.Values {
		return product.Values(chart.Values{"tls": chart.Values{"source": source}})
	}
	h, _ := install(t, p, chart.Values{})
	until(t, "metrics.k8s.io does not answer", func() error { return usageAt(ctx, "nodes") })
	change := func(what string, limit time.Duration, do func(), done func() error) {
		t.Helper()
		d, end := asking(ctx, "nodes")
		defer end()
		began := time.Now()
		do()
		within(t, limit, what, done)
		took := time.Since(began)
		time.Sleep(20 * time.Second) // what else it may do
		end()
		t.Logf("%s: after %v; %d answers, %d others within %v: %s", what, took.Round(time.Second), d.answered, len(d.failed), d.last.Sub(d.first).Round(time.Millisecond), strings.Join(d.failed[:min(len(d.failed), 3)], "; "))
		if !d.first.IsZero() && d.last.Sub(d.first) > 10*time.Second {
			t.Errorf("%s: metrics.k8s.io was dark for %v", what, d.last.Sub(d.first))
		}
	}
	upgrade := func(source string) func() {
		return func() {
			t.Helper()
			if _, err := h.Upgrade(ctx, product.Name, p.Chart, with(source)); err != nil {
				t.Fatalf("%v\n%s", err, state(t))
			}
		}
	}
	served := func() error { return errors.Join(usageAt(ctx, "nodes"), servedBy(t, authorityOf(t)), heard(ctx)) }
	change("cert-manager's certificate is served in place of the chart's", 4*time.Minute, upgrade("cert-manager"), func() error {
		if s, err := shared.Client().CoreV1().Secrets(product.Namespace).Get(ctx, product.Name+"-tls", metav1.GetOptions{}); err != nil || s.Annotations["cert-manager.io/certificate-name"] != product.Name {
			return fmt.Errorf("the Secret is not cert-manager's: %v, %w", s.Annotations, err)
		}
		return served()
	})
	before := tlsOf(t)
	change("a certificate that cert-manager has renewed is served", 4*time.Minute, func() { renew(t) }, func() error {
		if tlsOf(t) == before {
			return errors.New("it is the old one")
		}
		return errors.Join(served(), serves(t, tlsOf(t)))
	})
	change("the chart's certificate is served again", 4*time.Minute, upgrade("helm"), func() error { return served() })
	running(t)
	upgrade("cert-manager")()
	if err := h.Uninstall(product.Name); err != nil {
		t.Errorf("%v\n%s", err, state(t))
	}
	until(t, "more is left than cert-manager's Secrets", func() error {
		left := slices.DeleteFunc(objects(t), func(s string) bool {
			return strings.HasPrefix(s, "secrets ") && strings.Contains(s, "/"+product.Name+"-")
		})
		if len(left) > 0 {
			return fmt.Errorf("%s", strings.Join(left, "\n"))
		}
		return nil
	})
}

// certManager runs the controllers, with their kinds, until the test ends.
func certManager(t *testing.T) {
	t.Helper()
	kinds, err := rig.CertManager(t.Context(), os.Stderr, bin)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := shared.Kubectl(t.Context(), "apply", "--server-side", "-f", kinds); err != nil {
		t.Fatal(out, err)
	}
	t.Cleanup(func() {
		if out, err := shared.Kubectl(context.Background(), "delete", "--ignore-not-found", "-f", kinds); err != nil {
			t.Error(out, err)
		}
	})
	c := &part{dir: t.TempDir()}
	c.launch(t, "cert-manager", bin+"/cert-manager", "--kubeconfig", shared.Kubeconfig())
}

// renew asks cert-manager for another certificate of the server, as its own command line does.
func renew(t *testing.T) {
	t.Helper()
	r := dynamic.NewForConfigOrDie(shared.Config()).Resource(schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificates"}).Namespace(product.Namespace)
	c, err := r.Get(t.Context(), product.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	status, _ := c.Object["status"].(map[string]any)
	conditions, _ := status["conditions"].([]any)
	status["conditions"] = append(conditions, map[string]any{"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": "by a test",
		"lastTransitionTime": time.Now().UTC().Format(time.RFC3339), "observedGeneration": c.GetGeneration()})
	if _, err := r.UpdateStatus(t.Context(), c, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// heard wants the newest values of both nodes, which collectors send over the connection that the certificate is for.
func heard(ctx context.Context) error {
	age, err := ageOfNodes(ctx)
	if err == nil && age > 15*time.Second {
		err = fmt.Errorf("a node was not heard for %v", age)
	}
	return err
}
