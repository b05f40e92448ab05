package certificates

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/client-go/util/cert"

	"plimsoll.dev/plimsoll/internal/kube"
)

const (
	ns, name = "monitoring", "plimsoll"
	hours    = time.Hour     // the certificate's life
	days     = 4 * time.Hour // its authority's
	lag      = 2 * time.Minute
)

var apiNames = []string{"v1.metrics.k8s.io", "v1beta1.metrics.k8s.io"}

// gate lets one write for as long as a test wants.
type gate struct{ shut error }

func (g *gate) MayWrite() error { return g.shut }

// world is an API server with what the chart has put there, and those who read it: the API server itself at once, servers and collectors as their
// kubelets bring it to them.
type world struct {
	t      *testing.T
	client *fake.Clientset
	apis   *dynamicfake.FakeDynamicClient
	gate   *gate
	writes []string // what was written, in order
	refuse func(action clienttesting.Action) error
	denied map[string]bool // rights of which it is told that they are not there, "update secrets/plimsoll-tls"
	dark   []string        // who could not come in, and when

	leaves  []dated
	bundles []dated
	chains  map[string][]*x509.Certificate // of what was verified once
}

type dated struct {
	at   time.Time
	data []byte
}

func newWorld(t *testing.T) *world {
	t.Helper()
	now := time.Now()
	r := newRules(ns, name, hours, days)
	ca, err := newAuthority(r.authority, days, now)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.sign(r.names, hours, now)
	if err != nil {
		t.Fatal(err)
	}
	meta := func(n string) metav1.ObjectMeta {
		helm := metav1.ManagedFieldsEntry{Manager: "helm", Operation: metav1.ManagedFieldsOperationApply, APIVersion: "v1", FieldsType: "FieldsV1",
			FieldsV1: metav1.NewFieldsV1(claim)}
		return metav1.ObjectMeta{Namespace: ns, Name: n, Labels: map[string]string{"app.kubernetes.io/name": "plimsoll", "app.kubernetes.io/instance": "p"}, ManagedFields: []metav1.ManagedFieldsEntry{helm}}
	}
	secret := func(n string, p *pair) *corev1.Secret {
		c, k, err := p.pem()
		if err != nil {
			t.Fatal(err)
		}
		return &corev1.Secret{ObjectMeta: meta(n), Type: corev1.SecretTypeTLS, Data: map[string][]byte{"tls.crt": c, "tls.key": k}}
	}
	w := &world{t: t, gate: &gate{}, denied: map[string]bool{}, chains: map[string][]*x509.Certificate{}}
	w.client = fake.NewClientset(secret(name+"-ca", ca), secret(name+"-tls", leaf), &corev1.ConfigMap{ObjectMeta: meta(name + "-ca"), Data: map[string]string{"ca.crt": string(text([]*x509.Certificate{ca.cert}))}})
	var services []runtime.Object
	for _, n := range apiNames {
		services = append(services, &unstructured.Unstructured{Object: map[string]any{"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": map[string]any{"name": n},
			"spec": map[string]any{"caBundle": base64.StdEncoding.EncodeToString(text([]*x509.Certificate{ca.cert})), "service": map[string]any{"namespace": ns, "name": name, "port": int64(443)}}}})
	}
	w.apis = dynamicfake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{kube.APIServiceResource: "APIServiceList"}, services...)
	look := func(a clienttesting.Action) (bool, runtime.Object, error) {
		if q, ok := a.(clienttesting.CreateAction); ok {
			if r, ok := q.GetObject().(*authorizationv1.SelfSubjectAccessReview); ok {
				at := r.Spec.ResourceAttributes
				r.Status.Allowed = !w.denied[at.Verb+" "+at.Resource+"/"+at.Name]
				return true, r, nil
			}
		}
		if w.refuse != nil {
			if err := w.refuse(a); err != nil {
				return true, nil, err
			}
		}
		if a.GetVerb() != "get" {
			w.writes = append(w.writes, named(a))
		}
		return false, nil, nil
	}
	w.client.PrependReactor("*", "*", look)
	w.apis.PrependReactor("*", "*", look)
	return w
}

// named is what an action does, "update secrets/plimsoll-ca".
func named(a clienttesting.Action) string {
	n := ""
	switch a := a.(type) {
	case clienttesting.GetAction: // a patch is one too
		n = a.GetName()
	case clienttesting.UpdateAction:
		m, _ := a.GetObject().(metav1.Object)
		n = m.GetName()
	}
	return a.GetVerb() + " " + a.GetResource().Resource + "/" + n
}

// renewer starts one, until the returned function is called.
func (w *world) renewer() (*Renewer, func()) {
	w.t.Helper()
	r, err := newRenewer(Options{Namespace: ns, Name: name, APIServices: apiNames, Lifetime: hours, Authority: days, Gate: w.gate,
		Logger: slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})), Registerer: prometheus.NewRegistry()}, w.client, w.apis)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	synctest.Wait()
	return r, func() {
		stop()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	}
}

func (w *world) secret(n string) *corev1.Secret {
	s, err := w.client.Tracker().Get(corev1.SchemeGroupVersion.WithResource("secrets"), ns, n)
	if err != nil {
		return nil
	}
	return s.(*corev1.Secret)
}

func (w *world) bundle() *corev1.ConfigMap {
	m, err := w.client.Tracker().Get(corev1.SchemeGroupVersion.WithResource("configmaps"), ns, name+"-ca")
	if err != nil {
		return nil
	}
	return m.(*corev1.ConfigMap)
}

func (w *world) put(o runtime.Object) {
	w.t.Helper()
	resource := corev1.SchemeGroupVersion.WithResource("secrets")
	if _, ok := o.(*corev1.ConfigMap); ok {
		resource = corev1.SchemeGroupVersion.WithResource("configmaps")
	}
	if err := w.client.Tracker().Update(resource, o, ns); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) remove(resource, n string) {
	w.t.Helper()
	if err := w.client.Tracker().Delete(corev1.SchemeGroupVersion.WithResource(resource), ns, n); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) api(n string) *unstructured.Unstructured {
	w.t.Helper()
	a, err := w.apis.Tracker().Get(kube.APIServiceResource, "", n)
	if err != nil {
		w.t.Fatal(err)
	}
	return a.(*unstructured.Unstructured)
}

func (w *world) caBundle(n string) []byte {
	text, _, _ := unstructured.NestedString(w.api(n).Object, "spec", "caBundle")
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		w.t.Error(err)
	}
	return raw
}

// pass lets time pass, and has those who read come in each half minute.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		time.Sleep(min(30*time.Second, time.Until(end)))
		synctest.Wait()
		w.comeIn()
	}
}

// comeIn tries whether those who ask servers know them.
func (w *world) comeIn() {
	now := time.Now()
	if s := w.secret(name + "-tls"); s != nil {
		if _, err := readPair(s.Data["tls.crt"], s.Data["tls.key"]); err == nil { // a server keeps what it had
			w.leaves = append(w.leaves, dated{now, s.Data["tls.crt"]})
		}
	}
	if m := w.bundle(); m != nil {
		w.bundles = append(w.bundles, dated{now, []byte(m.Data["ca.crt"])})
	}
	served := w.last(&w.leaves, now) // some have what there is now, some what there was
	for who, trusted := range map[string][][]byte{"the API server": {w.caBundle(apiNames[0]), w.caBundle(apiNames[1])}, "a collector": w.last(&w.bundles, now)} {
		for _, b := range trusted {
			for _, c := range served {
				if err := w.verified(c, b, now); err != nil {
					w.dark = append(w.dark, fmt.Sprintf("%s: %s: %v", now.Format(time.TimeOnly), who, err))
				}
			}
		}
	}
}

// last is what readers have: what there was within the lag.
func (w *world) last(all *[]dated, now time.Time) (out [][]byte) {
	for len(*all) > 1 && now.Sub((*all)[1].at) >= lag {
		*all = (*all)[1:]
	}
	for i, d := range *all {
		if i == 0 || !bytes.Equal(d.data, (*all)[i-1].data) {
			out = append(out, d.data)
		}
	}
	return out
}

// verified says whether a client with a bundle knows a server by its certificate.
func (w *world) verified(leaf, bundle []byte, now time.Time) error {
	key := string(leaf) + string(bundle)
	chain, known := w.chains[key]
	if !known {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(bundle)
		all, err := cert.ParseCertsPEM(leaf)
		if err != nil {
			return err
		}
		for _, host := range []string{"plimsoll.monitoring.svc", "plimsoll-live.monitoring.svc"} {
			found, err := all[0].Verify(x509.VerifyOptions{Roots: pool, DNSName: host, CurrentTime: now})
			if err != nil {
				return err
			}
			chain = found[0]
		}
		w.chains[key] = chain
	}
	for _, c := range chain {
		if now.Before(c.NotBefore) || now.After(c.NotAfter) {
			return fmt.Errorf("a certificate is from %v to %v", c.NotBefore, c.NotAfter)
		}
	}
	return nil
}

// settled wants everything to be in order, by one authority alone.
func (w *world) settled() error {
	f := &found{}
	f.seen.authority, f.seen.server = readKeeper(w.secret(name+"-ca"), true), readKeeper(w.secret(name+"-tls"), false)
	if f.seen.authority.now == nil || f.seen.server.now == nil || w.bundle() == nil {
		return errors.New("something is missing")
	}
	if f.seen.authority.next != nil || len(f.seen.authority.earlier) > 0 || f.seen.authority.forced || f.seen.server.forced {
		return fmt.Errorf("it is on its way: %+v", f.seen.authority)
	}
	want := string(text([]*x509.Certificate{f.seen.authority.now.cert}))
	if got := w.bundle().Data["ca.crt"]; got != want {
		return fmt.Errorf("the bundle has %d certificates", strings.Count(got, "BEGIN"))
	}
	for _, n := range apiNames {
		if string(w.caBundle(n)) != want {
			return fmt.Errorf("%s has another bundle", n)
		}
	}
	if f.seen.server.now.cert.CheckSignatureFrom(f.seen.authority.now.cert) != nil {
		return errors.New("another authority has signed")
	}
	for _, o := range []metav1.Object{w.secret(name + "-ca"), w.secret(name + "-tls"), w.bundle()} {
		if held(o) {
			return fmt.Errorf("we hold fields of %s", o.GetName())
		}
	}
	return nil
}

// wants fails where somebody could not come in, or all is not in order.
func (w *world) wants(what string) {
	w.t.Helper()
	if len(w.dark) > 0 {
		w.t.Errorf("%s: %d times somebody could not come in: %s", what, len(w.dark), strings.Join(w.dark[:min(3, len(w.dark))], "; "))
	}
	if err := w.settled(); err != nil {
		w.t.Errorf("%s: %v", what, err)
	}
	w.dark = nil
}

// note puts an annotation on a Secret.
func (w *world) note(n, key, value string) {
	w.t.Helper()
	s := w.secret(n).DeepCopy()
	metav1.SetMetaDataAnnotation(&s.ObjectMeta, key, value)
	w.put(s)
}
