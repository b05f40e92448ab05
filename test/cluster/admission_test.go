package cluster_test

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// admission is a webhook that is asked before a scale of some objects of a namespace is written.
type admission struct {
	mu     sync.Mutex
	refuse string // a sentence; "": nothing is refused
	asked  []time.Time
}

// admissionOf starts a webhook for the scales of the named Deployments, until the test ends. One that hangs answers nobody.
func admissionOf(t *testing.T, ns, address string, hangs bool, names ...string) *admission {
	t.Helper()
	a := &admission{}
	ctx, stop := context.WithCancel(context.Background())
	dir := serveTLS(t, address, &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		a.mu.Lock()
		a.asked = append(a.asked, time.Now())
		refuse := a.refuse
		a.mu.Unlock()
		if hangs {
			select {
			case <-ctx.Done():
			case <-r.Context().Done():
			}
			return
		}
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: refuse == ""}
		if refuse != "" {
			review.Response.Result = &metav1.Status{Message: refuse, Code: http.StatusForbidden}
		}
		_ = json.NewEncoder(w).Encode(review)
	})})
	t.Cleanup(stop) // before the server ends: no answer hangs then
	ca, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := json.Marshal(names)
	if err != nil {
		t.Fatal(err)
	}
	config := &registrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: ns}, Webhooks: []registrationv1.ValidatingWebhook{{Name: "scales.test.plimsoll.dev",
		ClientConfig:      registrationv1.WebhookClientConfig{URL: new("https://" + address + "/"), CABundle: ca},
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": ns}},
		Rules: []registrationv1.RuleWithOperations{{Operations: []registrationv1.OperationType{registrationv1.Update},
			Rule: registrationv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments/scale"}}}},
		MatchConditions: []registrationv1.MatchCondition{{Name: "named", Expression: "request.name in " + string(list)}},
		FailurePolicy:   new(registrationv1.Fail), SideEffects: new(registrationv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"}, TimeoutSeconds: new(int32(10))}}}
	all := shared.Client().AdmissionregistrationV1().ValidatingWebhookConfigurations()
	if _, err := all.Create(t.Context(), config, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = all.Delete(context.Background(), ns, metav1.DeleteOptions{}) })
	return a
}

// say has it refuse from now on, or not any more.
func (a *admission) say(refuse string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuse, a.asked = refuse, nil
}

// questions are when it was asked since say.
func (a *admission) questions() []time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]time.Time{}, a.asked...)
}
