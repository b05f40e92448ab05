package kube

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
)

// An Event and a status are written as the API server takes them; what is not is counted, and a status of what is gone is no failure.
func TestTeller(t *testing.T) {
	var got eventsv1.Event
	code := http.StatusCreated
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodPatch {
			w.WriteHeader(code)
			_, _ = w.Write([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"no","reason":"` + map[int]string{404: "NotFound", 409: "Conflict", 403: "Forbidden"}[code] + `"}`))
			return
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil || r.URL.Path != "/apis/events.k8s.io/v1/namespaces/shop/events" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		_, _ = w.Write([]byte(`{"kind":"Event","apiVersion":"events.k8s.io/v1"}`))
	}))
	defer h.Close()
	teller, err := NewTeller(TellerOptions{Config: &rest.Config{Host: h.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}, Name: "plimsoll.dev/autoscaler", Instance: "one"})
	if err != nil {
		t.Fatal(err)
	}
	e := Event{Object: corev1.ObjectReference{Kind: "ScalePolicy", Namespace: "shop", Name: "web", UID: "u"}, Reason: "ScaledUp", Action: "Scale", Note: strings.Repeat("ä", 2000), Time: time.Now()}
	if err := teller.write(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if bad := validation.NameIsDNSSubdomain(got.GenerateName, true); len(bad) > 0 || got.Type != "Normal" || got.Regarding != e.Object || got.EventTime.IsZero() || len(got.Note) > 1024 || !strings.HasSuffix(got.Note, "ä…") {
		t.Errorf("%v: %+v", bad, got)
	}
	r := schema.GroupVersionResource{Group: "plimsoll.dev", Version: "v1alpha1", Resource: "scalepolicies"}
	for c, fails := range map[int]bool{404: false, 409: false, 403: true} {
		code = c
		if err := teller.SetStatus(t.Context(), r, "shop", "web", []byte(`{}`)); (err != nil) != fails {
			t.Errorf("%d: %v", c, err)
		}
	}
}
