package wiring

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"testing"
)

// An API server that asks for all groups in one document is given the older list, in which each is, so that it asks for each by itself: of a document
// that has some of them it would take the others for empty, and 'kubectl api-resources' would not list them.
func TestAllGroupsAreTold(t *testing.T) {
	for _, c := range []struct {
		of   CustomMetrics
		want []string
	}{
		{CustomMetrics{Custom: true, External: true}, []string{"custom.metrics.k8s.io/v1beta2", "custom.metrics.k8s.io/v1beta1", "external.metrics.k8s.io/v1beta1", "metrics.k8s.io/v1", "metrics.k8s.io/v1beta1", "view.plimsoll.dev/v1alpha1"}},
		{CustomMetrics{}, []string{"metrics.k8s.io/v1", "metrics.k8s.io/v1beta1", "view.plimsoll.dev/v1alpha1"}},
	} {
		r := httptest.NewRequest("GET", "/apis", nil)
		r.Header.Set("Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json")
		w := httptest.NewRecorder()
		if err := groupsOf(c.of).route().Handle(w, r); err != nil {
			t.Fatal(err)
		}
		var list struct {
			Kind   string
			Groups []struct {
				Versions         []struct{ GroupVersion string }
				PreferredVersion struct{ GroupVersion string }
			}
		}
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || list.Kind != "APIGroupList" || w.Header().Get("Content-Type") != "application/json" {
			t.Fatalf("%v: %s as %q", err, w.Body, w.Header().Get("Content-Type"))
		}
		var got []string
		for _, g := range list.Groups {
			for _, v := range g.Versions {
				got = append(got, v.GroupVersion)
			}
			if g.PreferredVersion.GroupVersion != g.Versions[0].GroupVersion {
				t.Errorf("preferred is %+v", g)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
