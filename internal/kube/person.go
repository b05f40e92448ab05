package kube

import (
	"fmt"
	"net/http"
	"net/url"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Person is how somebody reaches the API server: as their kubectl does, plugins for their login included.
type Person struct {
	Server    *url.URL
	Transport http.RoundTripper // shows their login, to that server alone
	Namespace string            // of their context

	config *rest.Config
}

// NewPerson reads a kubeconfig as kubectl does: the file that is given, else those in KUBECONFIG, else the one in the home folder; the context that is
// given, else the current one. It connects to nothing yet.
func NewPerson(kubeconfig, context, agent string) (*Person, error) {
	config, namespace, err := personConfig(kubeconfig, context, agent)
	if err != nil {
		return nil, err
	}
	server, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("cannot use the address %q of the API server: %w", config.Host, err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, fmt.Errorf("cannot log in to %q as the kubeconfig says: %w", config.Host, err)
	}
	return &Person{Server: server, Transport: only{server.Host, server.Scheme, transport}, Namespace: namespace, config: config}, nil
}

// personConfig is what a kubeconfig says, with the namespace of its context.
func personConfig(kubeconfig, context, agent string) (config *rest.Config, namespace string, err error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context})
	if config, err = loader.ClientConfig(); err == nil {
		namespace, _, err = loader.Namespace()
	}
	if err != nil {
		return nil, "", fmt.Errorf("cannot tell how to reach the cluster: %w; give --kubeconfig and --context as for kubectl", err)
	}
	config.UserAgent, config.WarningHandler = agent, rest.NoWarnings{}
	return config, namespace, nil
}

// only is a transport that takes nobody's login elsewhere.
type only struct {
	host, scheme string
	next         http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (o only) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != o.host || r.URL.Scheme != o.scheme {
		return nil, fmt.Errorf("a login for %q is not shown to %q", o.host, r.URL.Host)
	}
	return o.next.RoundTrip(r)
}
