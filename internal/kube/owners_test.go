package kube

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// sets is an API server that is asked for ReplicaSets.
type sets struct {
	mu     sync.Mutex
	asked  int
	status int    // 0: it hangs
	owner  string // a Deployment
}

func (s *sets) say(status int, owner string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.owner = status, owner
}

func (s *sets) times() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// RoundTrip implements http.RoundTripper.
func (s *sets) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.asked++
	status, owner := s.status, s.owner
	s.mu.Unlock()
	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	body := fmt.Sprintf(`{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":{"name":%q,"namespace":"shop","uid":%q,"ownerReferences":[{"apiVersion":"apps/v1","kind":"Deployment","name":%q,"uid":%q,"controller":true}]}}`, name, name, owner, owner)
	switch {
	case status == 0:
		<-r.Context().Done()
		return nil, r.Context().Err()
	case status != http.StatusOK:
		reason := map[int]string{http.StatusForbidden: "Forbidden", http.StatusNotFound: "NotFound"}[status]
		body = fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"reason":%q}`, status, reason)
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{"Content-Type": {"application/json"}}, Request: r}, nil
}

// namesOf are pods with the names of their owners.
func namesOf(pods []*cluster.Pod) (out []string) {
	for _, p := range pods {
		out = append(out, p.Name+" of "+p.Owner.Name)
	}
	return out
}

// onNode runs a test with the inventory of a node, whose questions are answered.
func onNode(t *testing.T, test func(t *testing.T, v *Inventory, api *sets)) {
	synctest.Test(t, func(t *testing.T) {
		api := &sets{}
		v, err := New(Options{Config: &rest.Config{Host: "http://127.0.0.1:1", Transport: api, QPS: -1}, Node: "n"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- v.answer(ctx) }()
		defer func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}()
		test(t, v, api)
	})
}

// put tells an inventory of pods, each of a ReplicaSet of its own.
func put(t *testing.T, v *Inventory, pods int) {
	t.Helper()
	for i := range pods {
		if err := v.watches[0].Update(somePod(i, types.UID(fmt.Sprint("pod-", i)), i)); err != nil {
			t.Fatal(err)
		}
	}
}

// However many controllers nobody answers for, their pods are kept back for as long as patience lasts and not a moment longer, and have another name once somebody does.
func TestPatience(t *testing.T) {
	for _, pods := range []int{1, 30} {
		onNode(t, func(t *testing.T, v *Inventory, api *sets) {
			put(t, v, pods)
			time.Sleep(patience - 1)
			if n := len(v.All()); n != 0 {
				t.Errorf("%d pods are handed out before patience ends", n)
			}
			time.Sleep(time.Millisecond)
			synctest.Wait()
			if all := v.All(); len(all) != pods || all[0].Owner.Name != "rs-0" {
				t.Errorf("%d of %d pods after patience: %q", len(all), pods, namesOf(all))
			}
			for range 5 {
				put(t, v, pods)
				if n := len(v.All()); n != pods {
					t.Fatalf("%d of %d pods are left after a change", n, pods)
				}
				time.Sleep(time.Minute)
			}
			api.say(http.StatusOK, "web")
			time.Sleep(time.Minute)
			for _, p := range v.All() {
				if p.Owner.Name != "web" {
					t.Errorf("%s is of %s, want web", p.Name, p.Owner)
				}
			}
		})
	}
}

// A controller that is slow to tell of holds no other's pods up.
func TestAskedAtOnce(t *testing.T) {
	onNode(t, func(t *testing.T, v *Inventory, api *sets) {
		put(t, v, 1)
		time.Sleep(time.Second)
		api.say(http.StatusOK, "web")
		put(t, v, 2)
		synctest.Wait()
		if all := v.All(); len(all) != 1 || all[0].Owner.Name != "web" {
			t.Errorf("while another question hangs: %q", namesOf(all))
		}
	})
}

// An answer that is old when a pod changes is asked for anew, and nothing is kept back meanwhile.
func TestAnswersAge(t *testing.T) {
	for _, x := range []struct {
		first, then int
		owner, want string // after the first answer, and after the second
		lasts       time.Duration
	}{
		{http.StatusOK, http.StatusOK, "old", "new", answerLasts}, // adopted
		{http.StatusForbidden, http.StatusOK, "rs-0", "new", refusalLasts},
		{http.StatusNotFound, http.StatusOK, "rs-0", "new", answerLasts},
		{http.StatusOK, http.StatusNotFound, "old", "old", answerLasts}, // it is gone before its pods
		{http.StatusOK, http.StatusForbidden, "old", "old", answerLasts},
	} {
		onNode(t, func(t *testing.T, v *Inventory, api *sets) {
			is := func(when, want string) {
				t.Helper()
				if all := v.All(); len(all) != 1 || all[0].Owner.Name != want {
					t.Errorf("%d, then %d: %s: got %q, want one of %s", x.first, x.then, when, namesOf(all), want)
				}
			}
			api.say(x.first, "old")
			put(t, v, 1)
			synctest.Wait()
			is("told", x.owner)
			time.Sleep(x.lasts - 1)
			api.say(0, "")
			put(t, v, 1)
			synctest.Wait()
			if n := api.times(); n != 1 {
				t.Errorf("%d, then %d: asked %d times while the answer is young", x.first, x.then, n)
			}
			time.Sleep(time.Millisecond)
			for range 10 { // a change a second, while nobody answers
				put(t, v, 1)
				is("asked again", x.owner)
				time.Sleep(time.Second)
			}
			if n := api.times(); n > 6 {
				t.Errorf("%d, then %d: asked %d times in ten seconds", x.first, x.then, n)
			}
			api.say(x.then, "new")
			time.Sleep(time.Minute)
			is("told again", x.want)
		})
	}
}

// Nothing is remembered of the question for a controller with its last pod, answered or not.
func TestNothingIsAskedForNobody(t *testing.T) {
	for _, status := range []int{0, http.StatusOK} {
		onNode(t, func(t *testing.T, v *Inventory, api *sets) {
			api.say(status, "web")
			put(t, v, 3)
			time.Sleep(time.Second)
			if err := v.watches[0].Replace(nil, "1"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			n := api.times()
			time.Sleep(time.Hour)
			if len(v.asks)+len(v.owners)+len(v.below) != 0 || api.times() != n {
				t.Errorf("asks %v, owners %v, below %v; asked %d times more", v.asks, v.owners, v.below, api.times()-n)
			}
		})
	}
}
