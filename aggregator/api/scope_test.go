package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/scope"
)

// A decision is told to the streams that see its namespace alone, and streams of the same scope share a frame.
func TestStreamsTellWhatIsSeen(t *testing.T) {
	a := newAPI(t, nil)
	views := map[string]view{"whole": {sees: scope.Whole()}, "demo": {sees: scope.Of(false, false, "demo")}, "docker": {sees: scope.Of(false, false, "docker")},
		"its workload": {sees: scope.Of(false, false, "docker"), workload: keyOf(grow().Target)}}
	subs, many := map[string]*subscriber{}, selection{sort: "score", limit: 100}
	for name, v := range views {
		if !v.isWorkload() {
			v.sel = many
		}
		s, err := a.hub.add(v, name, func() {})
		if err != nil {
			t.Fatal(err)
		}
		subs[name] = s
	}
	a.tell(grow())
	for name, want := range map[string]int{"whole": 1, "demo": 1, "docker": 0, "its workload": 0} {
		if got := len(subs[name].drain()); got != want {
			t.Errorf("%s: got %d decisions, want %d", name, got, want)
		}
	}
	p := newPublisher(a)
	p.publish(scope.With(t.Context(), scope.Whole()), time.Now())
	for name, wants := range map[string]string{"whole": "postgres", "demo": "web-1", "docker": "postgres", "its workload": "gone"} {
		frames := subs[name].drain()
		if len(frames) != 1 || !strings.Contains(string(frames[0].bytes), wants) {
			t.Fatalf("%s: got %d frames, want one with %q", name, len(frames), wants)
		}
		if text := string(frames[0].bytes); name == "demo" && strings.Contains(text, "postgres") || name == "docker" && strings.Contains(text, "web-1") {
			t.Errorf("%s is told %s", name, text)
		}
	}
}

// Who may not see all is told so, and of what he does not see that it may be that; in the same words whether it is there or not.
func TestLimited(t *testing.T) {
	a := newAPI(t, nil)
	const may = ", or it is one that you may not see"
	for name, c := range map[string]struct {
		h       http.Handler
		limited bool
	}{
		"whole":               {seenBy(a, scope.Whole()), false},
		"every and machines":  {seenBy(a, scope.Of(true, true)), false},
		"every":               {seenBy(a, scope.Of(false, true)), true},
		"docker and machines": {seenBy(a, scope.Of(true, false, "docker")), true},
		"docker":              {seenBy(a, scope.Of(false, false, "docker")), true},
	} {
		if got := strings.Contains(get(c.h, "/plimsoll/v1/overview").Body.String(), `"limited":true`); got != c.limited {
			t.Errorf("%s: limited %v", name, got)
		}
		if rec := get(c.h, "/plimsoll/v1/workloads/docker/ProcessService/nope"); rec.Code != 404 || strings.Contains(rec.Body.String(), may) != c.limited {
			t.Errorf("%s: got %d %s", name, rec.Code, rec.Body)
		}
	}
	h := seenBy(a, scope.Of(false, false, "docker"))
	there, not := get(h, "/plimsoll/v1/workloads/demo/ProcessService/web"), get(h, "/plimsoll/v1/workloads/demo/ProcessService/wob")
	if got := strings.Replace(not.Body.String(), "wob", "web", 1); there.Code != 404 || there.Body.String() != got {
		t.Errorf("of one that is there: %s, of one that is not: %s", there.Body, not.Body)
	}
}

// Of a pod on a machine that is not shown it is told that the machine is silent, and not that nobody reads there.
func TestMissingWithoutMachines(t *testing.T) {
	s := machine()
	since := noon.Add(-time.Minute)
	for _, it := range s.Containers {
		it.Gap = &cluster.Gap{Since: since, Reason: "silent", Detail: "its machine is silent"}
	}
	a := newAPI(t, func(o *Options) { o.Pictures = pictures(func(time.Time) *live.Snapshot { return s }) })
	h := seenBy(a, scope.Of(false, false, "demo"))
	body := get(h, "/plimsoll/v1/missing").Body.String()
	if !strings.Contains(body, "its machine is silent") || strings.Contains(body, "nothing was ever heard") || strings.Contains(body, "docker") {
		t.Errorf("got %s", body)
	}
	if rec := get(h, "/plimsoll/v1/nodes"); rec.Code != 403 || !strings.Contains(rec.Body.String(), scope.NodesRight) {
		t.Errorf("nodes: got %d %s", rec.Code, rec.Body)
	}
}
