package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/kubernetes/fake"

	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/serve"
)

// rights is a fake. It stands for an API server's SubjectAccessReviews: it gives what it has of "user resource/namespace", and counts.
type rights struct {
	mu    sync.Mutex
	has   map[string]bool
	away  error
	asked []string

	at, most atomic.Int32
}

func (r *rights) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if n := r.at.Add(1); n > r.most.Load() {
		r.most.Store(n)
	}
	defer r.at.Add(-1)
	time.Sleep(time.Millisecond)
	r.mu.Lock()
	defer r.mu.Unlock()
	q := fmt.Sprintf("%s %s/%s", a.GetUser().GetName(), a.GetResource(), a.GetNamespace())
	r.asked = append(r.asked, q)
	if a.GetVerb() != "list" || a.GetAPIGroup() != "metrics.k8s.io" || !a.IsResourceRequest() {
		return authorizer.DecisionDeny, "", fmt.Errorf("asked for %q of %q", a.GetVerb(), a.GetAPIGroup())
	}
	if r.has[q] {
		return authorizer.DecisionAllow, "", nil
	}
	return authorizer.DecisionNoOpinion, "", r.away
}

func scoper(r *rights, namespaces ...string) *Authorizer {
	var objects []runtime.Object
	for _, n := range namespaces {
		objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: n}})
	}
	return &Authorizer{scopes: newScopes(fake.NewClientset(objects...), r)}
}

func TestScope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rights{has: map[string]bool{"ann pods/shop": true, "bob pods/": true, "cid nodes/": true, "dan pods/": true, "dan nodes/": true}}
		a := scoper(r, "till", "shop", "kube-system")
		f := func(name string, want scope.Scope, asked int) {
			t.Helper()
			r.asked = nil
			got, err := a.Scope(t.Context(), serve.Caller{Name: name})
			if got != want || err != nil || len(r.asked) != asked {
				t.Errorf("%s: got %+v, %v after %q, want %+v after %d questions", name, got, err, r.asked, want, asked)
			}
		}
		f("ann", scope.Of(false, false, "shop"), 5)
		f("ann", scope.Of(false, false, "shop"), 0)
		f("bob", scope.Of(false, true), 2)
		f("cid", scope.Of(true, false), 5)
		f("dan", scope.Of(true, true), 2)
		if _, err := a.Scope(t.Context(), serve.Caller{Name: "eve"}); !errors.Is(err, serve.ErrDenied) || !strings.Contains(err.Error(), scope.PodsRight) || !strings.Contains(err.Error(), scope.NodesRight) {
			t.Errorf("eve: got %v", err)
		}
		if got, err := a.Scope(t.Context(), serve.Caller{Name: "ann", Groups: []string{"other"}}); err != nil || got != scope.Of(false, false, "shop") || len(r.asked) != 12 {
			t.Errorf("ann in another group: got %+v, %v after %q: another's answer", got, err, r.asked)
		}
		// What is given and taken is seen before long; while nobody can be asked, nobody is let in by what was.
		delete(r.has, "ann pods/shop")
		r.has["ann pods/till"] = true
		time.Sleep(scopeFor)
		f("ann", scope.Of(false, false, "till"), 5)
		time.Sleep(scopeFor)
		r.away = errors.New("the API server is away")
		if got, err := a.Scope(t.Context(), serve.Caller{Name: "ann"}); err == nil || errors.Is(err, serve.ErrDenied) || !got.Nothing() {
			t.Errorf("away: got %+v, %v", got, err)
		}
	})
}

// Of a cluster of very many namespaces some are not asked about, which is known; few are asked about at once, and once for all that wait.
func TestScopeOfVeryMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names []string
		for i := range maxNamespaces + 10 {
			names = append(names, fmt.Sprintf("n%05d", i))
		}
		r := &rights{has: map[string]bool{"ann pods/n00007": true, "ann pods/" + names[maxNamespaces]: true}}
		a := scoper(r, names...)
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				got, err := a.Scope(t.Context(), serve.Caller{Name: "ann"})
				if got != scope.Of(false, false, "n00007").Cut() || !got.IsCut() || err != nil {
					t.Errorf("got %+v, %v", got, err)
				}
			})
		}
		wg.Wait()
		if n := len(r.asked); n != maxNamespaces+2 || r.most.Load() > atOnce {
			t.Errorf("%d questions, %d at once", n, r.most.Load())
		}
	})
}

// Who gives up leaves the answer to the next.
func TestScopeIsFoundForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rights{has: map[string]bool{"ann pods/": true}}
		a := scoper(r)
		ctx, cancel := context.WithTimeout(t.Context(), time.Microsecond)
		defer cancel()
		if _, err := a.Scope(ctx, serve.Caller{Name: "ann"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Second)
		if got, err := a.Scope(t.Context(), serve.Caller{Name: "ann"}); got != scope.Of(false, true) || err != nil || len(r.asked) != 2 {
			t.Errorf("got %+v, %v after %q", got, err, r.asked)
		}
	})
}
