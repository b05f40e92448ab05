package access

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/kubernetes"

	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/serve"
)

const (
	scopeFor      = 20 * time.Second // how long a caller's scope is believed
	namespacesFor = 10 * time.Second // and which namespaces there are
	maxScopes     = 1024             // callers whose scopes are remembered
	maxNamespaces = 1000             // that are asked about one by one
	atOnce        = 8                // questions of one caller at a time
	callersAtOnce = 4                // callers whose namespaces are asked about at a time
	findTime      = 30 * time.Second // how long it may take to ask about all, longer than any caller waits: the next finds the answer
)

// asker asks the API server what somebody may.
type asker interface {
	Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error)
}

// scopes find out what callers see of the cluster.
type scopes struct {
	client kubernetes.Interface
	ask    asker
	places chan struct{}
	once   singleflight.Group
	now    func() time.Time

	mu    sync.Mutex
	known map[[sha256.Size]byte]remembered
	names []string // of the namespaces, in order
	named time.Time
}

type remembered struct {
	sees scope.Scope
	at   time.Time
}

func newScopes(client kubernetes.Interface, ask asker) *scopes {
	return &scopes{client: client, ask: ask, places: make(chan struct{}, callersAtOnce), now: time.Now, known: map[[sha256.Size]byte]remembered{}}
}

// Scope implements serve.Scoper: a namespace is seen by who may list pods.metrics.k8s.io in it, machines by who may list nodes.metrics.k8s.io.
func (a *Authorizer) Scope(ctx context.Context, c serve.Caller) (scope.Scope, error) {
	s := a.scopes
	key := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q", c.Name, c.UID, c.Groups, c.Extra)) // maps are written in order of their keys
	s.mu.Lock()
	found, ok := s.known[key]
	s.mu.Unlock()
	if !ok || s.now().Sub(found.at) >= scopeFor {
		// What is being asked goes on when a caller gives up, and is there for the next.
		result := s.once.DoChan(string(key[:]), func() (any, error) { return s.find(context.WithoutCancel(ctx), key, c) })
		select {
		case <-ctx.Done():
			return scope.Scope{}, ctx.Err()
		case r := <-result:
			if r.Err != nil {
				return scope.Scope{}, r.Err
			}
			found.sees = r.Val.(scope.Scope)
		}
	}
	if found.sees.Nothing() {
		return scope.Scope{}, fmt.Errorf("%w: %s in any namespace, or %s", serve.ErrDenied, scope.PodsRight, scope.NodesRight)
	}
	return found.sees, nil
}

// find asks what a caller sees: first of all namespaces, then one by one.
func (s *scopes) find(ctx context.Context, key [sha256.Size]byte, c serve.Caller) (scope.Scope, error) {
	ctx, cancel := context.WithTimeout(ctx, findTime)
	defer cancel()
	who := &user.DefaultInfo{Name: c.Name, UID: c.UID, Groups: c.Groups, Extra: c.Extra}
	nodes, err := s.may(ctx, who, "nodes", "")
	if err != nil {
		return scope.Scope{}, err
	}
	every, err := s.may(ctx, who, "pods", "")
	if err != nil {
		return scope.Scope{}, err
	}
	sees := scope.Of(nodes, every)
	if !every {
		names, cut, err := s.each(ctx, who)
		if err != nil {
			return scope.Scope{}, err
		}
		if sees = scope.Of(nodes, false, names...); cut {
			sees = sees.Cut()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxScopes {
		clear(s.known)
	}
	s.known[key] = remembered{sees, s.now()}
	return sees, nil
}

// each asks about the namespaces one by one; cut says that there are more than are asked about.
func (s *scopes) each(ctx context.Context, who user.Info) (names []string, cut bool, err error) {
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	case <-ctx.Done():
		return nil, false, ctx.Err()
	}
	all, cut, err := s.namespaces(ctx)
	if err != nil {
		return nil, false, err
	}
	seen := make([]bool, len(all))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, name := range all {
		g.Go(func() (err error) {
			if err = ctx.Err(); err == nil {
				seen[i], err = s.may(ctx, who, "pods", name)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, false, err
	}
	for i, name := range all {
		if seen[i] {
			names = append(names, name)
		}
	}
	return names, cut, nil
}

// namespaces are those of the cluster, the first in order of name; more says that there are others.
func (s *scopes) namespaces(ctx context.Context) (names []string, more bool, err error) {
	s.mu.Lock()
	names, named := s.names, s.named
	s.mu.Unlock()
	if named.IsZero() || s.now().Sub(named) >= namespacesFor {
		list, err := s.client.CoreV1().Namespaces().List(ctx, metav1.ListOptions{ResourceVersion: "0"}) // from the API server's memory
		if err != nil {
			return nil, false, fmt.Errorf("cannot list the namespaces: %w", err)
		}
		names = make([]string, 0, len(list.Items))
		for i := range list.Items {
			names = append(names, list.Items[i].Name)
		}
		slices.Sort(names)
		s.mu.Lock()
		s.names, s.named = names, s.now()
		s.mu.Unlock()
	}
	return names[:min(len(names), maxNamespaces)], len(names) > maxNamespaces, nil
}

// may asks whether somebody may list a resource of metrics.k8s.io in a namespace, or "" in all.
func (s *scopes) may(ctx context.Context, who user.Info, resource, namespace string) (bool, error) {
	decision, _, err := s.ask.Authorize(ctx, authorizer.AttributesRecord{User: who, Verb: "list", APIGroup: "metrics.k8s.io", APIVersion: "*", Resource: resource, Namespace: namespace, ResourceRequest: true})
	if decision == authorizer.DecisionAllow {
		return true, nil
	}
	return false, cmp.Or(err, ctx.Err())
}
