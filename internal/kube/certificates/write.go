package certificates

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"plimsoll.dev/plimsoll/internal/kube"
)

// manager is who the API server is told writes.
const manager = "plimsoll-certificates"

// write carries a step out. Of trusts each is tried, as one that cannot be written must not keep the others from knowing; it is marked in failed.
func (r *Renewer) write(ctx context.Context, f *found, c *change, failed map[int]bool, now time.Time) error {
	switch {
	case c.authority != nil:
		return r.writeAuthority(ctx, f, c.authority)
	case c.server != nil:
		return r.writePair(ctx, f, 1, c.server, nil)
	}
	var all []error
	// APIServices are in force at once; the bundle, whose time counts, comes last.
	for _, i := range slices.Backward(c.trusts) {
		if err := r.gate.MayWrite(); err != nil {
			return errors.Join(append(all, err)...)
		}
		var err error
		if i == 0 {
			err = r.writeBundle(ctx, f, text(c.certs), now)
		} else {
			err = r.writeAPIService(ctx, f.apis[i-1], text(c.certs))
		}
		if err != nil {
			failed[i] = true
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// writeAuthority writes all that is kept of the authorities at once.
func (r *Renewer) writeAuthority(ctx context.Context, f *found, k *keeper) error {
	more := map[string][]byte{nextCert: nil, nextKey: nil, earlierBundle: text(k.earlier)}
	if k.next != nil {
		var err error
		if more[nextCert], more[nextKey], err = k.next.pem(); err != nil {
			return err
		}
	}
	return r.writePair(ctx, f, 0, k.now, more)
}

// writePair writes a Secret with a pair, nil for none that can be used, and more; what of that is empty is taken out.
func (r *Renewer) writePair(ctx context.Context, f *found, i int, p *pair, more map[string][]byte) error {
	name := []string{r.authority(), r.server()}[i]
	data := map[string][]byte{corev1.TLSCertKey: {}, corev1.TLSPrivateKeyKey: {}} // which a Secret of the type must have
	if p != nil {
		var err error
		if data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey], err = p.pem(); err != nil {
			return err
		}
	}
	was := f.secrets[i]
	if was == nil {
		maps.Copy(data, more)
		maps.DeleteFunc(data, func(k string, v []byte) bool {
			return len(v) == 0 && more != nil && k != corev1.TLSCertKey && k != corev1.TLSPrivateKeyKey
		})
		s := &corev1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, ObjectMeta: r.meta(f, name), Type: corev1.SecretTypeTLS, Data: data}
		return create(ctx, right{"create", "secrets", r.namespace, name}, s, r.client.CoreV1().Secrets(r.namespace).Patch)
	}
	s := was.DeepCopy()
	if s.Data == nil {
		s.Data = map[string][]byte{}
	}
	for _, m := range []map[string][]byte{data, more} {
		for k, v := range m {
			if len(v) > 0 || k == corev1.TLSCertKey || k == corev1.TLSPrivateKeyKey {
				s.Data[k] = v
			} else {
				delete(s.Data, k)
			}
		}
	}
	delete(s.Annotations, renewNote)
	return update(ctx, right{"update", "secrets", r.namespace, name}, s, r.client.CoreV1().Secrets(r.namespace).Update)
}

func (r *Renewer) writeBundle(ctx context.Context, f *found, text []byte, now time.Time) error {
	note := now.UTC().Format(time.RFC3339)
	if f.bundle == nil {
		m := &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: r.meta(f, r.authority()), Data: map[string]string{bundleKey: string(text)}}
		m.Annotations = map[string]string{changedNote: note}
		return create(ctx, right{"create", "configmaps", r.namespace, r.authority()}, m, r.client.CoreV1().ConfigMaps(r.namespace).Patch)
	}
	m := f.bundle.DeepCopy()
	if m.Data == nil {
		m.Data = map[string]string{}
	}
	m.Data[bundleKey] = string(text)
	metav1.SetMetaDataAnnotation(&m.ObjectMeta, changedNote, note)
	return update(ctx, right{"update", "configmaps", r.namespace, r.authority()}, m, r.client.CoreV1().ConfigMaps(r.namespace).Update)
}

func (r *Renewer) writeAPIService(ctx context.Context, was *unstructured.Unstructured, text []byte) error {
	a := was.DeepCopy()
	if err := unstructured.SetNestedField(a.Object, base64.StdEncoding.EncodeToString(text), "spec", "caBundle"); err != nil {
		return fmt.Errorf("APIService %q is none: %w", a.GetName(), err)
	}
	return update(ctx, right{"update", "apiservices.apiregistration.k8s.io", "", a.GetName()}, a, r.updateAPIService)
}

func (r *Renewer) updateAPIService(ctx context.Context, a *unstructured.Unstructured, o metav1.UpdateOptions) (*unstructured.Unstructured, error) {
	return r.apis.Resource(kube.APIServiceResource).Update(ctx, a, o)
}

// meta is that of an object of ours that is made anew, with the labels of one that is there.
func (r *Renewer) meta(f *found, name string) metav1.ObjectMeta {
	labels := map[string]string{"app.kubernetes.io/name": "plimsoll"}
	switch {
	case f.secrets[0] != nil:
		labels = f.secrets[0].Labels
	case f.secrets[1] != nil:
		labels = f.secrets[1].Labels
	case f.bundle != nil && f.trusts[0].foreign == "":
		labels = f.bundle.Labels
	}
	return metav1.ObjectMeta{Namespace: r.namespace, Name: name, Labels: labels}
}

// create makes an object by applying it: of that, other than of a POST, RBAC knows the name. One that somebody has made meanwhile is a conflict.
func create[T any](ctx context.Context, r right, x any, patch func(context.Context, string, types.PatchType, []byte, metav1.PatchOptions, ...string) (*T, error)) error {
	raw, err := json.Marshal(x)
	if err != nil {
		return err
	}
	_, err = call(ctx, r, func(ctx context.Context) (*T, error) {
		return patch(ctx, r.name, types.ApplyPatchType, raw, metav1.PatchOptions{FieldManager: manager})
	})
	return err
}

// update writes an object over the one that was read, and none that is newer.
func update[T any, P interface {
	*T
	metav1.Object
}](ctx context.Context, r right, x P, do func(context.Context, P, metav1.UpdateOptions) (P, error)) error {
	now, err := call(ctx, r, func(ctx context.Context) (*T, error) { return do(ctx, x, metav1.UpdateOptions{FieldManager: manager}) })
	if err != nil || now == nil {
		return err
	}
	return release(ctx, r, P(now), do)
}

// release takes us out of those who are said to have written fields of an object: its values are as good as Helm's, which else refuses a rollback.
func release[T any, P interface {
	*T
	metav1.Object
}](ctx context.Context, r right, x P, do func(context.Context, P, metav1.UpdateOptions) (P, error)) error {
	if !held(x) {
		return nil
	}
	others := slices.DeleteFunc(slices.Clone(x.GetManagedFields()), func(f metav1.ManagedFieldsEntry) bool { return f.Manager == manager })
	if len(others) == 0 { // an empty list would mean that they are left as they are
		first := x.GetManagedFields()[0]
		first.FieldsV1 = metav1.NewFieldsV1(claim)
		others = append(others, first)
	}
	x.SetManagedFields(others)
	_, err := call(ctx, r, func(ctx context.Context) (*T, error) { return do(ctx, x, metav1.UpdateOptions{FieldManager: manager}) })
	return err
}
