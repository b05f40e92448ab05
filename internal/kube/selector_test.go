package kube

import (
	"errors"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// A selector is read once, and of a target that is gone there is none.
func TestSelectors(t *testing.T) {
	s := &scaleServer{version: 1, count: 2, selector: "app=web"}
	selectors := NewSelectors(scalesOf(t, s))
	for range 3 {
		if got, err := selectors.Of(t.Context(), webTarget); err != nil || got != "app=web" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	gets := 0
	for _, a := range s.asked {
		if strings.HasSuffix(a, "/scale") {
			gets++
		}
	}
	if gets != 1 {
		t.Errorf("asked %v", s.asked)
	}
	for age, want := range map[time.Duration]string{noSelectorFor - time.Second: "", noSelectorFor: "app=web"} { // an operator told it later
		selectors.known[webTarget] = selector{"", "", time.Now().Add(-age)}
		if got, err := selectors.Of(t.Context(), webTarget); err != nil || got != want {
			t.Errorf("none %v ago: got %q, %v, want %q", age, got, err, want)
		}
	}
	gone := webTarget
	gone.Name = "gone"
	if _, err := selectors.Of(t.Context(), gone); !errors.Is(err, cluster.ErrNoTarget) {
		t.Errorf("got %v", err)
	}
}

// A target that was made anew under its name has its own selector as soon as its scale was read, or it was told of.
func TestSelectorOfOneMadeAnew(t *testing.T) {
	s := &scaleServer{version: 1, count: 2, uid: "first", selector: "app=web"}
	scales := scalesOf(t, s)
	selectors := NewSelectors(scales)
	is := func(what, want string) {
		t.Helper()
		if got, err := selectors.Of(t.Context(), webTarget); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", what, got, err, want)
		}
	}
	is("the first", "app=web")
	s.uid, s.selector = "second", "app=web2"
	is("nobody has seen another one", "app=web")
	if _, err := scales.get(t.Context(), webTarget); err != nil {
		t.Fatal(err)
	}
	is("another one was read", "app=web2")
	c := countsOf(scales.typed, deployments, scales.log)
	scales.counts = map[schema.GroupVersionKind]*counts{deployments: c}
	deployment := func(uid string) []any {
		return []any{&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", UID: types.UID(uid), ResourceVersion: "9"}}}
	}
	for _, told := range []string{"second", "third"} {
		s.uid, s.selector = "third", "app=web3"
		if err := c.watch.Replace(deployment(told), ""); err != nil {
			t.Fatal(err)
		}
		is("told of the "+told, map[string]string{"second": "app=web2", "third": "app=web3"}[told])
	}
	asked := len(s.asked)
	if is("once more", "app=web3"); len(s.asked) != asked {
		t.Errorf("asked %v", s.asked[asked:])
	}
}
