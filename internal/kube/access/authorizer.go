package access

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/endpoints/filters"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/kubernetes"

	"plimsoll.dev/plimsoll/internal/serve"
)

// How long an answer of the API server is believed.
const (
	allowedFor = time.Minute
	deniedFor  = 10 * time.Second
)

// Authorizer is a serve.Authorizer that asks the API server. Paths below /apis are asked about as the resources that they are, all others as
// paths (nonResourceURLs of a ClusterRole) with the method in small letters as the verb: below /api by the names that ruled gives them.
type Authorizer struct {
	server authorizer.Authorizer
	paths  request.RequestInfoFactory
	few    few
	scopes *scopes
}

// newAuthorizer makes an Authorizer.
func newAuthorizer(client kubernetes.Interface) (*Authorizer, error) {
	server, err := authorizerfactory.DelegatingAuthorizerConfig{SubjectAccessReviewClient: client.AuthorizationV1(), AllowCacheTTL: allowedFor, DenyCacheTTL: deniedFor,
		WebhookRetryBackoff: &wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: .2, Steps: 4}}.New()
	if err != nil {
		return nil, fmt.Errorf("cannot make the question what callers may do: %w", err)
	}
	return &Authorizer{server: server, scopes: newScopes(client, server), paths: request.RequestInfoFactory{APIPrefixes: sets.NewString("apis"), GrouplessAPIPrefixes: sets.NewString()}}, nil
}

// Authorize implements serve.Authorizer.
func (a *Authorizer) Authorize(ctx context.Context, c serve.Caller, want serve.Access) error {
	if slices.Contains(c.Groups, user.SystemPrivilegedGroup) { // whom the API server asks nobody about
		return nil
	}
	info, err := a.paths.NewRequestInfo(&http.Request{Method: strings.ToUpper(want.Verb), URL: &url.URL{Path: ruled(want.Path), RawQuery: want.Query}})
	if err != nil {
		return fmt.Errorf("cannot tell what %q is: %w", want.Path, err)
	}
	ctx = request.WithUser(ctx, &user.DefaultInfo{Name: c.Name, UID: c.UID, Groups: c.Groups, Extra: c.Extra})
	about, err := filters.GetAuthorizerAttributes(request.WithRequestInfo(ctx, info))
	if err != nil {
		return err
	}
	leave, err := a.few.take(ctx, c.Name)
	if err != nil {
		return err
	}
	defer leave()
	decision, reason, err := a.server.Authorize(ctx, about)
	switch {
	case decision == authorizer.DecisionAllow:
		return nil
	case err != nil:
		return err
	}
	return missing(about, reason)
}

// apart is before those paths of ours that Kubernetes has as well.
const apart = "/plimsoll"

// nodesOf is a path by which an HPA asks for a metric of nodes, which it does below its own namespace.
var nodesOf = regexp.MustCompile(`^(/apis/custom\.metrics\.k8s\.io/[^/]+)/namespaces/[^/]+(/nodes/.*)$`)

// ruled is the path that a rule has. Nodes are in no namespace, so a right in one shows none of them. Kubernetes lets every login get what is below /api (its ClusterRole system:discovery), the paths of
// its own API: those of Prometheus and Heapster that are served here are asked about below /plimsoll/api.
func ruled(path string) string {
	if path == "/api" || strings.HasPrefix(path, "/api/") {
		return apart + path
	}
	return nodesOf.ReplaceAllString(path, "$1$2")
}

// missing says which right is missing, as a rule of a role would give it.
func missing(about authorizer.Attributes, reason string) error {
	if reason != "" {
		reason = " (" + reason + ")"
	}
	if !about.IsResourceRequest() {
		return fmt.Errorf("%w: verb %q on the nonResourceURL %q%s", serve.ErrDenied, about.GetVerb(), about.GetPath(), reason)
	}
	if about.GetResource() == "" || about.GetAPIGroup() == "" {
		return fmt.Errorf("%w: %q is no path of an API%s", serve.ErrDenied, about.GetPath(), reason)
	}
	where := "in all namespaces"
	if ns := about.GetNamespace(); ns != "" {
		where = fmt.Sprintf("in namespace %q", ns)
	}
	return fmt.Errorf("%w: verb %q on %q of API group %q %s%s", serve.ErrDenied, about.GetVerb(), about.GetResource(), about.GetAPIGroup(), where, reason)
}
