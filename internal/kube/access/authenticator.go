package access

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/group"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	"k8s.io/apiserver/pkg/authentication/request/x509"
	"k8s.io/apiserver/pkg/authentication/token/cache"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"

	"plimsoll.dev/plimsoll/internal/serve"
)

// Audience is what tokens of senders are made out to: such a token is worth nothing at the API server, or anywhere else.
const Audience = "plimsoll"

// How long an answer is believed. A token for Audience can do no more than send samples of its own node, and there is one a node; it ends with
// its pod, up to sendersFor later here. Any other is asked about as often as the API server's own extensions ask.
const (
	sendersFor = 2 * time.Minute
	othersFor  = 10 * time.Second
	wrongFor   = 10 * time.Second
)

// longestToken is more than any token has: what is longer is not sent to the API server.
const longestToken = 16 << 10

// The configuration by which the API server says who it is when it passes requests on.
const (
	configNamespace = "kube-system"
	configName      = "extension-apiserver-authentication"
)

// Where a token's node and pod are in what the API server tells of it.
const (
	nodeClaim = "authentication.kubernetes.io/node-name"
	podClaim  = "authentication.kubernetes.io/pod-name"
)

// errUnreachable is an API server that did not answer.
var errUnreachable = errors.New("the API server cannot be asked")

// Authenticator is a serve.Authenticator that asks the API server. Run keeps it up to date about the API server's own certificates; before that
// only tokens are known.
type Authenticator struct {
	senders, others authenticator.Token
	front, certs    authenticator.Request // requests passed on by the API server; client certificates of the cluster
	run             []func(context.Context, int)
}

// newAuthenticator makes an Authenticator; it asks nothing yet.
func newAuthenticator(client kubernetes.Interface) (*Authenticator, error) {
	frontCA, err := dynamiccertificates.NewDynamicCAFromConfigMapController("front-proxy", configNamespace, configName, "requestheader-client-ca-file", client)
	if err != nil {
		return nil, fmt.Errorf("cannot watch the API server's certificates: %w", err)
	}
	clientCA, err := dynamiccertificates.NewDynamicCAFromConfigMapController("client-ca", configNamespace, configName, "client-ca-file", client)
	if err != nil {
		return nil, fmt.Errorf("cannot watch the cluster's client certificates: %w", err)
	}
	headers := headerrequest.NewRequestHeaderAuthRequestController(configName, configNamespace, client, "requestheader-username-headers", "requestheader-uid-headers",
		"requestheader-group-headers", "requestheader-extra-headers-prefix", "requestheader-allowed-names")
	of := func(f func() []string) headerrequest.StringSliceProvider {
		return headerrequest.StringSliceProviderFunc(f)
	}
	return &Authenticator{
		senders: cache.New(&reviews{client: client, audiences: []string{Audience}}, false, sendersFor, wrongFor),
		others:  cache.New(&reviews{client: client}, false, othersFor, wrongFor),
		front: group.NewAuthenticatedGroupAdder(headerrequest.NewDynamicVerifyOptionsSecure(frontCA.VerifyOptions, of(headers.AllowedClientNames), of(headers.UsernameHeaders),
			of(headers.UIDHeaders), of(headers.GroupHeaders), of(headers.ExtraHeaderPrefixes))),
		certs: group.NewAuthenticatedGroupAdder(x509.NewDynamic(clientCA.VerifyOptions, x509.CommonNameUserConversion)),
		run:   []func(context.Context, int){frontCA.Run, clientCA.Run, headers.Run},
	}, nil
}

// Run follows the API server's certificates until ctx ends.
func (a *Authenticator) Run(ctx context.Context) error {
	for _, run := range a.run {
		go run(ctx, 1) // each ends with ctx
	}
	<-ctx.Done()
	return nil
}

// Authenticate implements serve.Authenticator. A caller whose token is not made out to Audience speaks for no node, whatever it is bound to.
func (a *Authenticator) Authenticate(ctx context.Context, r *http.Request) (serve.Caller, error) {
	if token := bearer(r); len(token) > longestToken {
		return serve.Caller{}, fmt.Errorf("%w: a token has at most %d bytes", serve.ErrLogin, longestToken)
	} else if token != "" {
		return a.byToken(ctx, token)
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return serve.Caller{}, fmt.Errorf("%w: show a token of the cluster (Authorization: Bearer), or ask through the API server", serve.ErrLogin)
	}
	r = r.WithContext(ctx)
	var errs error
	for _, way := range []struct {
		proof string
		by    authenticator.Request
	}{{"front proxy", a.front}, {"certificate", a.certs}} {
		res, ok, err := way.by.AuthenticateRequest(r)
		if ok {
			return callerOf(res.User, way.proof), nil
		}
		errs = cmp.Or(errs, err)
	}
	return serve.Caller{}, fmt.Errorf("%w: the certificate is none of this cluster's (%w)", serve.ErrLogin, cmp.Or(errs, errors.New("its authority is not known here")))
}

func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(strings.TrimSpace(r.Header.Get("Authorization")), " ")
	if !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

func (a *Authenticator) byToken(ctx context.Context, token string) (serve.Caller, error) {
	res, ok, err := a.senders.AuthenticateToken(ctx, token)
	if ok {
		c := callerOf(res.User, "token for "+Audience)
		c.Nodes, c.Pod = append(c.Nodes, res.User.GetExtra()[nodeClaim]...), strings.Join(res.User.GetExtra()[podClaim], "")
		return c, nil
	}
	if !errors.Is(err, errUnreachable) {
		if res, ok, err = a.others.AuthenticateToken(ctx, token); ok {
			return callerOf(res.User, "token"), nil
		}
	}
	if errors.Is(err, errUnreachable) {
		return serve.Caller{}, err
	}
	why := ""
	if err != nil {
		why = ": " + err.Error()
	}
	return serve.Caller{}, fmt.Errorf("%w: the token is wrong, over, or made out to somebody else%s", serve.ErrLogin, why)
}

// callerOf is a user as a caller who speaks for no node.
func callerOf(u user.Info, proof string) serve.Caller {
	return serve.Caller{Name: u.GetName(), UID: u.GetUID(), Groups: u.GetGroups(), Extra: u.GetExtra(), Proof: proof, Nodes: []string{}}
}

// reviews asks the API server about tokens.
type reviews struct {
	client    kubernetes.Interface
	audiences []string // nil: the API server's own
}

// AuthenticateToken implements authenticator.Token.
func (t *reviews) AuthenticateToken(ctx context.Context, token string) (*authenticator.Response, bool, error) {
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: t.audiences}}
	review, err := t.client.AuthenticationV1().TokenReviews().Create(ctx, review, metav1.CreateOptions{})
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("%w: %w", errUnreachable, err)
	case !review.Status.Authenticated && review.Status.Error != "":
		return nil, false, errors.New(review.Status.Error)
	case !review.Status.Authenticated:
		return nil, false, nil
	case len(t.audiences) > 0 && !slices.ContainsFunc(t.audiences, func(a string) bool { return slices.Contains(review.Status.Audiences, a) }): // an API server that knows no audiences
		return nil, false, nil
	}
	u := review.Status.User
	extra := make(map[string][]string, len(u.Extra))
	for k, v := range u.Extra {
		extra[k] = v
	}
	return &authenticator.Response{User: &user.DefaultInfo{Name: u.Username, UID: u.UID, Groups: u.Groups, Extra: extra}}, true, nil
}
