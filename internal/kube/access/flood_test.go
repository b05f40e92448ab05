package access

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"

	"plimsoll.dev/plimsoll/internal/serve"
)

// queued is a fake. It stands for the client of an API server that takes fifty questions a second, one after the other.
type queued struct {
	turn chan struct{}
	most atomic.Int64
	now  atomic.Int64
}

func (q *queued) authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if n := q.now.Add(1); a.GetUser().GetName() == "mallory" && n > q.most.Load() {
		q.most.Store(n)
	}
	defer q.now.Add(-1)
	select {
	case q.turn <- struct{}{}:
	case <-ctx.Done():
		return authorizer.DecisionNoOpinion, "", ctx.Err()
	}
	time.Sleep(20 * time.Millisecond)
	<-q.turn
	return authorizer.DecisionAllow, "", nil
}

// A caller who asks for ever new paths, a thousand at a time, has a few questions under way; another's is answered at once.
func TestFloodOfPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queued{turn: make(chan struct{}, 1)}
		a := &Authorizer{server: authorizer.AuthorizerFunc(q.authorize), paths: request.RequestInfoFactory{APIPrefixes: sets.NewString("apis"), GrouplessAPIPrefixes: sets.NewString()}}
		ctx, stop := context.WithCancel(t.Context())
		ask := func(ctx context.Context, name, path string) error {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			return a.Authorize(ctx, serve.Caller{Name: name}, serve.Access{Verb: "get", Path: path})
		}
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					_ = ask(ctx, "mallory", fmt.Sprintf("/made/up/%d/%d", i, n))
				}
			})
		}
		time.Sleep(time.Second)
		for range 20 {
			began := time.Now()
			if err := ask(t.Context(), "ann", "/plimsoll/v1/overview"); err != nil || time.Since(began) > 200*time.Millisecond {
				t.Errorf("got %v after %v, want yes at once", err, time.Since(began))
			}
		}
		stop()
		wg.Wait()
		if n := q.most.Load(); n > asked+1 {
			t.Errorf("%d questions of one caller's at a time", n)
		}
		if len(a.few.by) != 0 {
			t.Errorf("%d callers are remembered", len(a.few.by))
		}
	})
}

// What is longer than any token is sent to nobody.
func TestLongTokens(t *testing.T) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://x/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+strings.Repeat("x", longestToken+1))
	if _, err := (&Authenticator{}).Authenticate(t.Context(), r); !errors.Is(err, serve.ErrLogin) {
		t.Errorf("got %v", err)
	}
}
