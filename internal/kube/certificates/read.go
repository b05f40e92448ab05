package certificates

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"plimsoll.dev/plimsoll/internal/kube"
)

// What is noted on objects, and their keys beside Kubernetes' own.
const (
	renewNote   = "plimsoll.dev/renew"   // of a Secret: somebody wants it renewed
	changedNote = "plimsoll.dev/changed" // of the bundle: when it was

	bundleKey                        = "ca.crt"
	nextCert, nextKey, earlierBundle = "next.crt", "next.key", "earlier.crt"
)

// callFor is how long one call may take: less than a lease outlives the last moment at which its holder writes.
const callFor = 2 * time.Second

// found is what is there, with the objects in which it is. Those that are not there are nil.
type found struct {
	seen
	secrets [2]*corev1.Secret // the authority's, the server's
	bundle  *corev1.ConfigMap
	apis    []*unstructured.Unstructured // of trusts[1:]
}

// read reads all that there is.
func (r *Renewer) read(ctx context.Context, now time.Time) (*found, error) {
	f := &found{}
	var err error
	for i, name := range []string{r.authority(), r.server()} {
		if f.secrets[i], err = call(ctx, right{"get", "secrets", r.namespace, name}, func(ctx context.Context) (*corev1.Secret, error) {
			return r.client.CoreV1().Secrets(r.namespace).Get(ctx, name, metav1.GetOptions{})
		}); err != nil {
			return nil, err
		}
	}
	f.seen.authority, f.seen.server = readKeeper(f.secrets[0], true), readKeeper(f.secrets[1], false)
	if f.bundle, err = call(ctx, right{"get", "configmaps", r.namespace, r.authority()}, func(ctx context.Context) (*corev1.ConfigMap, error) {
		return r.client.CoreV1().ConfigMaps(r.namespace).Get(ctx, r.authority(), metav1.GetOptions{})
	}); err != nil {
		return nil, err
	}
	f.trusts = append(f.trusts, readBundle(f.bundle, now))
	for _, name := range r.apiServices {
		a, err := call(ctx, right{"get", "apiservices.apiregistration.k8s.io", "", name}, func(ctx context.Context) (*unstructured.Unstructured, error) {
			return r.apis.Resource(kube.APIServiceResource).Get(ctx, name, metav1.GetOptions{})
		})
		if err != nil {
			return nil, err
		}
		f.apis, f.trusts = append(f.apis, a), append(f.trusts, r.readAPIService(a))
	}
	return f, nil
}

// call asks the API server; what is not there is nil.
func call[T any](ctx context.Context, r right, do func(context.Context) (*T, error)) (*T, error) {
	ctx, cancel := context.WithTimeout(ctx, callFor)
	defer cancel()
	x, err := do(ctx)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case apierrors.IsForbidden(err):
		return nil, &missing{[]string{r.String()}, err}
	case err != nil:
		return nil, fmt.Errorf("cannot %s: %w", r, err)
	}
	return x, nil
}

// stranger says why an object is not ours.
func stranger(m metav1.Object) string {
	switch {
	case m.GetLabels()["app.kubernetes.io/name"] != "plimsoll":
		return "it has not the label app.kubernetes.io/name=plimsoll"
	case len(m.GetOwnerReferences()) > 0:
		o := m.GetOwnerReferences()[0]
		return fmt.Sprintf("it belongs to %s %q", o.Kind, o.Name)
	}
	for k := range m.GetAnnotations() {
		if strings.HasPrefix(k, "cert-manager.io/") {
			return "cert-manager renews it"
		}
	}
	return ""
}

func readKeeper(s *corev1.Secret, authority bool) keeper {
	if s == nil {
		return keeper{}
	}
	k := keeper{there: true, foreign: stranger(s)}
	_, k.forced = s.Annotations[renewNote]
	read := readPair
	if authority {
		read = readAuthority
		k.next, _ = readAuthority(s.Data[nextCert], s.Data[nextKey]) // what cannot be read is made anew
		k.earlier = readAuthorities(s.Data[earlierBundle])
	}
	k.now, k.why = read(s.Data[corev1.TLSCertKey], s.Data[corev1.TLSPrivateKeyKey])
	return k
}

func readBundle(m *corev1.ConfigMap, now time.Time) trust {
	if m == nil {
		return trust{file: true}
	}
	t := trust{there: true, file: true, foreign: stranger(m), certs: readAuthorities([]byte(m.Data[bundleKey]))}
	if at, err := time.Parse(time.RFC3339, m.Annotations[changedNote]); err == nil && !at.After(now) {
		t.changed = at
	}
	return t
}

// readAPIService reads whom the API server trusts where an API is; one that leads to another Service is another's.
func (r *Renewer) readAPIService(a *unstructured.Unstructured) trust {
	if a == nil {
		return trust{}
	}
	t := trust{there: true}
	if kube.ServiceOf(a) != r.namespace+"/"+r.name {
		t.foreign = "it leads to another Service"
	}
	text, _, _ := unstructured.NestedString(a.Object, "spec", "caBundle")
	raw, _ := base64.StdEncoding.DecodeString(text) // what cannot be read is written anew
	t.certs = readAuthorities(raw)
	return t
}

// right is what must be allowed.
type right struct{ verb, resource, namespace, name string }

func (r right) String() string {
	kind := map[string]string{"secrets": "Secret", "configmaps": "ConfigMap", "apiservices.apiregistration.k8s.io": "APIService"}[r.resource]
	if r.namespace == "" {
		return fmt.Sprintf("%s %s %q", r.verb, kind, r.name)
	}
	return fmt.Sprintf("%s %s %q in namespace %q", r.verb, kind, r.name, r.namespace)
}

// missing is the error of what there are no rights for.
type missing struct {
	rights []string
	err    error
}

func (m *missing) Error() string {
	return fmt.Sprintf("there is no right to %s, as the chart's roles give it to this pod's service account", strings.Join(m.rights, ", "))
}

func (m *missing) Unwrap() error { return m.err }

// rights are those that renewing takes.
func (r *Renewer) rights() (out []right) {
	for _, verb := range []string{"get", "update", "create", "patch"} {
		out = append(out, right{verb, "secrets", r.namespace, r.authority()}, right{verb, "secrets", r.namespace, r.server()}, right{verb, "configmaps", r.namespace, r.authority()})
	}
	for _, name := range r.apiServices {
		out = append(out, right{"get", "apiservices.apiregistration.k8s.io", "", name}, right{"update", "apiservices.apiregistration.k8s.io", "", name})
	}
	return out
}

// claim is what is left to us of an object that nobody else has written: a label, which is never another one.
const claim = `{"f:metadata":{"f:labels":{"f:app.kubernetes.io/name":{}}}}`

// held says of an object whether we are named as who has written what Helm writes too. Helm would not write that again, in a rollback, say.
func held(m metav1.Object) bool {
	return slices.ContainsFunc(m.GetManagedFields(), func(f metav1.ManagedFieldsEntry) bool {
		return f.Manager == manager && (f.FieldsV1 == nil || f.FieldsV1.GetRawString() != claim)
	})
}
