package cluster_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	metricsv1beta1 "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"plimsoll.dev/plimsoll/test/chart"
	"plimsoll.dev/plimsoll/test/cluster/product"
)

// TestCertificatesAreRenewed has the authority of the chart's server changed, and its certificate, one of whose Secrets somebody deletes meanwhile, while metrics.k8s.io is
// asked ten times a second through the API server and collectors send: every request is answered, no value is old, and nothing is started anew. Then the release is upgraded,
// which leaves all as the server has made it, and rolled back.
func TestCertificatesAreRenewed(t *testing.T) {
	ours(t)
	long(t)
	p, ctx := built(t), t.Context()
	values := chart.Values{"server": chart.Values{"kubeletFallback": false},
		"tls": chart.Values{"certificateLifetime": "20m", "authorityLifetime": "40m"}} // an authority is trusted for two minutes before it signs
	h, _ := install(t, p, values)
	until(t, "metrics.k8s.io does not answer", func() error { return usageAt(ctx, "nodes") })
	pods, first, began := uids(t), authorityOf(t), time.Now()
	d, ends := asking(ctx, "nodes")
	defer ends()
	after := func() string { return time.Since(began).Round(time.Second).String() }
	oldest := time.Duration(0)
	wait := func(what string, most time.Duration, ok func() error) {
		t.Helper()
		var err error
		for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(time.Second) {
			if age, err := ageOfNodes(ctx); err == nil {
				oldest = max(oldest, age)
			}
			if err = ok(); err == nil {
				t.Logf("%s: %s", after(), what)
				return
			}
		}
		t.Fatalf("%s: not yet: %s: %v\n%s", after(), what, err, state(t))
	}
	secrets := shared.Client().CoreV1().Secrets(product.Namespace)
	note := []byte(`{"metadata": {"annotations": {"plimsoll.dev/renew": "now"}}}`)
	if _, err := secrets.Patch(ctx, product.Name+"-ca", "application/merge-patch+json", note, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	before, err := secrets.Get(ctx, product.Name+"-tls", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := secrets.Delete(ctx, product.Name+"-tls", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	wait("two authorities are trusted, the certificate that was deleted is there again", 90*time.Second, func() error {
		if n := bundles(t); slices.Min(n) < 2 {
			return fmt.Errorf("%v are trusted", n)
		}
		s, err := secrets.Get(ctx, product.Name+"-tls", metav1.GetOptions{})
		if err == nil && bytes.Equal(s.Data["tls.crt"], before.Data["tls.crt"]) {
			err = errors.New("it is the old one")
		}
		return err
	})
	if got := authorityOf(t); !got.Equal(first) {
		t.Errorf("%s: the new authority took over when nobody could know it", after())
	}
	wait("the new authority has taken over", 4*time.Minute, func() error {
		if authorityOf(t).Equal(first) {
			return errors.New("it is the old one")
		}
		return nil
	})
	wait("the server serves a certificate of it", 3*time.Minute, func() error { return servedBy(t, authorityOf(t)) })
	wait("half a minute of it", time.Minute, func() error {
		time.Sleep(30 * time.Second)
		return nil
	})
	ends()
	t.Logf("%d answers, %d others: %s; the slowest took %v, the oldest value was %v old", d.answered, len(d.failed), strings.Join(d.failed[:min(len(d.failed), 5)], "; "), d.slowest.Round(time.Millisecond), oldest.Round(time.Second))
	if len(d.failed) > 0 || d.answered < 1000 {
		t.Errorf("%d requests were answered and %d were not", d.answered, len(d.failed))
	}
	if oldest > 20*time.Second {
		t.Errorf("a collector was not heard for %v", oldest)
	}
	if got := uids(t); !slices.Equal(got, pods) {
		t.Errorf("pods are others, %v, before %v", got, pods)
	}
	running(t)

	now, trusted := tlsOf(t), authorityOf(t)
	values["boards"] = chart.Values{"enabled": true}
	if _, err := h.Upgrade(ctx, product.Name, p.Chart, product.Values(values)); err != nil {
		t.Fatalf("%v\n%s", err, state(t))
	}
	if tlsOf(t) != now || !authorityOf(t).Equal(trusted) {
		t.Error("an upgrade wrote over what the server had renewed")
	}
	if err := h.Rollback(product.Name, 1); err != nil {
		t.Fatalf("a rollback over a renewal: %v", err)
	}
	back := time.Now() // kubelets take up to two minutes to bring the old certificate to the servers
	within(t, 3*time.Minute, "metrics.k8s.io does not answer after a rollback", func() error { return usageAt(ctx, "nodes") })
	t.Logf("it answers %v after a rollback", time.Since(back).Round(time.Second))
}

func ageOfNodes(ctx context.Context) (oldest time.Duration, err error) {
	raw, err := shared.Client().Discovery().RESTClient().Get().AbsPath("/apis/metrics.k8s.io/v1beta1/nodes").DoRaw(ctx)
	if err != nil {
		return 0, err
	}
	var list metricsv1beta1.NodeMetricsList
	if err := json.Unmarshal(raw, &list); err != nil {
		return 0, err
	}
	if len(list.Items) != 2 {
		return time.Hour, nil
	}
	for _, n := range list.Items {
		oldest = max(oldest, time.Since(n.Timestamp.Time))
	}
	return oldest, nil
}

// authorityOf is the authority that signs.
func authorityOf(t *testing.T) *x509.Certificate {
	t.Helper()
	s, err := shared.Client().CoreV1().Secrets(product.Namespace).Get(t.Context(), product.Name+"-ca", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(s.Data[corev1.TLSCertKey])
	if block == nil {
		t.Fatalf("no certificate in %q", s.Data)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// bundles says how many authorities are trusted, by each who reads that.
func bundles(t *testing.T) (out []int) {
	t.Helper()
	const begin = "-----BEGIN CERTIFICATE-----"
	m, err := shared.Client().CoreV1().ConfigMaps(product.Namespace).Get(t.Context(), product.Name+"-ca", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out = append(out, strings.Count(m.Data["ca.crt"], begin))
	all, err := dynamic.NewForConfigOrDie(shared.Config()).Resource(apiServices).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/instance=" + product.Name})
	if err != nil || len(all.Items) != 6 {
		t.Fatal(err, len(all.Items))
	}
	for _, a := range all.Items {
		text, _, _ := unstructured.NestedString(a.Object, "spec", "caBundle")
		var raw []byte
		if err := json.Unmarshal([]byte(`"`+text+`"`), &raw); err != nil {
			t.Fatal(err)
		}
		out = append(out, bytes.Count(raw, []byte(begin)))
	}
	return out
}

// servedBy wants the server to show a certificate that an authority has signed.
func servedBy(t *testing.T, authority *x509.Certificate) error {
	t.Helper()
	c, err := shown(t)
	if err != nil {
		return err
	}
	return c.CheckSignatureFrom(authority)
}

// serves wants the server to show a certificate, as a Secret has it.
func serves(t *testing.T, secret string) error {
	t.Helper()
	c, err := shown(t)
	if err != nil {
		return err
	}
	text, err := base64.StdEncoding.DecodeString(secret)
	if block, _ := pem.Decode(text); err != nil || block == nil || !bytes.Equal(block.Bytes, c.Raw) {
		return errors.New("it shows another one")
	}
	return nil
}

// shown is the certificate that the server shows.
func shown(t *testing.T) (*x509.Certificate, error) {
	t.Helper()
	for _, pod := range podsOf(t) {
		if pod.Labels["app.kubernetes.io/component"] != "server" {
			continue
		}
		raw, err := shared.Dial(t.Context(), "tcp", pod.Status.PodIP+":8443")
		if err != nil {
			return nil, err
		}
		c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true}) // it is for whoever asks to look at it
		err = c.HandshakeContext(t.Context())
		_ = c.Close()
		if err != nil {
			return nil, err
		}
		return c.ConnectionState().PeerCertificates[0], nil
	}
	return nil, errors.New("there is no server")
}
