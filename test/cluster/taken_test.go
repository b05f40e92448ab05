package cluster_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/test/chart"
	"plimsoll.dev/plimsoll/test/cluster/product"
)

// taking is a cluster on which Plimsoll is installed, and another who serves metrics.k8s.io too, at the Service kube-system/adapter.
type taking struct {
	product  *product.Product
	helm     *chart.Helm
	all      dynamic.ResourceInterface
	document string // the APIService as the other one has it
}

const (
	takenName = "v1beta1.metrics.k8s.io"
	takenBy   = "kube-system/adapter"
)

// TestTakenOver has another take v1beta1.metrics.k8s.io over while Plimsoll runs, as 'kubectl apply' of their manifest does and as deleting ours and making theirs
// does. We never take it back; the page, 'explain', 'doctor', 'helm upgrade' and its notes say whose it is; once it is given back all goes on.
func TestTakenOver(t *testing.T) {
	ours(t)
	x := &taking{product: built(t), all: dynamic.NewForConfigOrDie(shared.Config()).Resource(apiServices)}
	x.helm, _ = install(t, x.product, profile(t, x.product, "metrics"))
	t.Cleanup(func() {
		if to, _ := x.leads(context.Background()); to == takenBy {
			_ = x.all.Delete(context.Background(), takenName, metav1.DeleteOptions{})
		}
	})
	x.isOurs(t)
	dir := serveTLS(t, "10.99.0.1:8470", &http.Server{Handler: http.HandlerFunc(theirMetrics)})
	publish(t, "adapter", dir, 8470)
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	const form = "apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {name: v1beta1.metrics.k8s.io, labels: {k8s-app: metrics-server}}\n" +
		"spec: {group: metrics.k8s.io, version: v1beta1, groupPriorityMinimum: 100, versionPriority: 100, service: {name: adapter, namespace: kube-system}, %s}\n"
	x.document = fmt.Sprintf(form, "caBundle: "+base64.StdEncoding.EncodeToString(ca))

	t.Run("metrics-server's own document", func(t *testing.T) {
		out, err := apply(t, "default", fmt.Sprintf(form, "insecureSkipTLSVerify: true"))
		if err == nil || !strings.Contains(err.Error(), "insecureSkipTLSVerify") {
			t.Errorf("the API server takes it, beside our authority: %s %v", out, err)
		}
		x.isOurs(t)
	})
	t.Run("changed", func(t *testing.T) {
		if out, err := apply(t, "default", x.document); err != nil {
			t.Fatal(out, err)
		}
		x.isTheirs(t)
		x.told(t)
		x.upgradeIsRefused(t)
		if err := x.all.Delete(t.Context(), takenName, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		x.upgrade(t)
		x.isOurs(t)
		x.notTold(t)
	})
	t.Run("made anew", func(t *testing.T) {
		if err := x.all.Delete(t.Context(), takenName, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		if out, err := apply(t, "default", x.document); err != nil {
			t.Fatal(out, err)
		}
		x.isTheirs(t)
		x.told(t)
		x.upgradeIsRefused(t)
		if out, err := shared.Kubectl(t.Context(), "annotate", "apiservice", takenName, "helm.sh/resource-policy=keep"); err != nil {
			t.Fatal(out, err)
		}
		if notes := x.upgrade(t); !strings.Contains(notes, takenName+" of Service "+takenBy) {
			t.Errorf("the notes do not say whose it is:\n%s", notes)
		}
		x.isTheirs(t)
		x.notTold(t) // it is theirs, as was said
		if _, err := x.all.Get(t.Context(), "v1.metrics.k8s.io", metav1.GetOptions{}); err == nil {
			t.Error("the other version of the group is ours still")
		}
	})
	t.Run("given back", func(t *testing.T) {
		if err := x.all.Delete(t.Context(), takenName, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		x.upgrade(t)
		x.isOurs(t)
		x.notTold(t)
	})
	t.Run("uninstalled", func(t *testing.T) {
		if err := x.helm.Uninstall(product.Name); err != nil {
			t.Fatal(err)
		}
		if to, _ := x.leads(t.Context()); to != "" {
			t.Errorf("what was given back stays when Plimsoll is uninstalled, and leads to %s", to)
		}
	})
}

// theirMetrics answers for metrics.k8s.io with a node of theirs.
func theirMetrics(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if !strings.HasSuffix(r.URL.Path, "/nodes") {
		_, _ = io.WriteString(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"metrics.k8s.io/v1beta1","resources":[{"name":"nodes","singularName":"","namespaced":false,"kind":"NodeMetrics","verbs":["get","list"]}]}`)
		return
	}
	_, _ = fmt.Fprintf(w, `{"kind":"NodeMetricsList","apiVersion":"metrics.k8s.io/v1beta1","metadata":{},"items":[{"metadata":{"name":"theirs"},"timestamp":%q,"window":"15s","usage":{"cpu":"1m","memory":"1Mi"}}]}`, time.Now().UTC().Format(time.RFC3339))
}

// leads is to which Service the APIService leads; "": there is none.
func (x *taking) leads(ctx context.Context) (string, error) {
	o, err := x.all.Get(ctx, takenName, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	to, _, err := unstructured.NestedMap(o.Object, "spec", "service")
	return fmt.Sprint(to["namespace"], "/", to["name"]), err
}

// answers waits until the API server has what is asked of the nodes answered with a name in it.
func (x *taking) answers(t *testing.T, name string) {
	t.Helper()
	until(t, "metrics.k8s.io tells of "+name, func() error {
		raw, err := shared.Client().Discovery().RESTClient().Get().AbsPath("/apis/metrics.k8s.io/v1beta1/nodes").DoRaw(t.Context())
		if err == nil && !strings.Contains(string(raw), `"name":"`+name+`"`) {
			err = fmt.Errorf("it says %.200s", raw)
		}
		return err
	})
}

func (x *taking) isOurs(t *testing.T) {
	t.Helper()
	x.answers(t, "node1")
	if to, err := x.leads(t.Context()); err != nil || to != product.Namespace+"/"+product.Name {
		t.Errorf("it leads to %s, %v", to, err)
	}
}

// isTheirs wants it to be left to them.
func (x *taking) isTheirs(t *testing.T) {
	t.Helper()
	x.answers(t, "theirs")
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if to, err := x.leads(t.Context()); err != nil || to != takenBy {
			t.Fatalf("it leads to %s, %v", to, err)
		}
	}
}

// plimsoll is what a command of Plimsoll's prints to who may do everything.
func (x *taking) plimsoll(t *testing.T, args ...string) string {
	t.Helper()
	out, err := shared.Command(t.Context(), x.product.Binary(), append(args, "--kubeconfig", shared.Kubeconfig())...).CombinedOutput()
	if err != nil {
		t.Logf("plimsoll %s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}

// condition is what the page says of it.
func (x *taking) condition(t *testing.T) error {
	var o struct{ Conditions []condition.Condition }
	out, err := shared.Kubectl(t.Context(), "get", "--raw", viewBase+"/overview")
	if err := errors.Join(err, json.Unmarshal([]byte(out), &o)); err != nil {
		return err
	}
	for _, c := range o.Conditions {
		if c.Type == "APIsOurs" && c.Status == "False" {
			return errors.New(c.Reason + ": " + c.Message)
		}
	}
	return nil
}

// told wants it to be said whose it is, and since when.
func (x *taking) told(t *testing.T) {
	t.Helper()
	began := time.Now()
	const want = "TakenOver: the APIService " + takenName + ", which led to Service plimsoll/plimsoll, leads to Service " + takenBy
	until(t, "no condition says it", func() error {
		if err := x.condition(t); err == nil || !strings.Contains(err.Error(), want) {
			return fmt.Errorf("it says %w", err)
		}
		return nil
	})
	t.Logf("it is told %v after it was seen: %v", time.Since(began).Round(100*time.Millisecond), x.condition(t))
	until(t, "explain does not say it", func() error { // another server may answer
		if out := x.plimsoll(t, "explain", "--missing"); !strings.Contains(out, "APIsOurs, "+want) {
			return fmt.Errorf("it says %s", out)
		}
		return nil
	})
	if out := x.plimsoll(t, "doctor", "--data", t.TempDir(), "--listen", "127.0.0.1:0"); !strings.Contains(out, takenName+" leads to Service "+takenBy) || !strings.Contains(out, "v1.metrics.k8s.io leads to Service plimsoll/plimsoll") {
		t.Errorf("doctor says %s", out)
	}
}

func (x *taking) notTold(t *testing.T) {
	t.Helper()
	until(t, "a condition says that it is not ours", func() error { return x.condition(t) })
}

// upgradeIsRefused upgrades with values of all kinds.
func (x *taking) upgradeIsRefused(t *testing.T) {
	t.Helper()
	for _, create := range []any{"auto", true, false} {
		values := product.Values(profile(t, x.product, "metrics"))
		values["metricsAPI"] = chart.Values{"create": create}
		_, err := x.helm.Upgrade(t.Context(), product.Name, x.product.Chart, values)
		if want := "the APIService " + takenName + ", which this release made, is of Service " + takenBy + " by now"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("an upgrade with create: %v: %v", create, err)
		}
	}
	x.isTheirs(t)
}

func (x *taking) upgrade(t *testing.T) (notes string) {
	t.Helper()
	notes, err := x.helm.Upgrade(t.Context(), product.Name, x.product.Chart, product.Values(profile(t, x.product, "metrics")))
	if err != nil {
		t.Fatalf("%v\n%s", err, state(t))
	}
	return notes
}
