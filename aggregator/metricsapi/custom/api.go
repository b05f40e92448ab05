// Package custom serves Kubernetes' API groups custom.metrics.k8s.io and external.metrics.k8s.io from the live picture: all that it knows of pods,
// nodes, namespaces and workloads, so that an HPA can scale on pressure, throttling, disk and network. Metrics have the catalogue's field names; of
// a counter the value is its rate.
package custom

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/metrics/pkg/apis/custom_metrics"
	"k8s.io/metrics/pkg/apis/external_metrics"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/apiserver"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/aggregator/metricsapi"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/serve"
)

// The groups' names.
const (
	Group         = custom_metrics.GroupName
	ExternalGroup = external_metrics.GroupName
)

// Versions are those of custom.metrics.k8s.io that are served, the preferred one first.
func Versions() []string { return []string{"v1beta2", "v1beta1"} }

// ExternalVersions are those of external.metrics.k8s.io.
func ExternalVersions() []string { return []string{"v1beta1"} }

// Pictures has the values, with the pods that are known.
type Pictures interface {
	Snapshot(now time.Time) *live.Snapshot
}

// Nodes knows which nodes there are.
type Nodes interface {
	Nodes() []*cluster.Node
}

// Options are what an API needs.
type Options struct {
	Pictures Pictures
	Nodes    Nodes
	// Synced says why it is not known yet which pods and nodes there are; nil once it is.
	Synced func() error
	// Custom and External say which of the two groups are served.
	Custom, External bool
}

// Validate reports what is missing.
func (o *Options) Validate() error {
	if o.Pictures == nil || o.Nodes == nil || o.Synced == nil {
		return errors.New("custom metrics need pictures and who knows the nodes")
	}
	return nil
}

// API serves the groups. It is safe for concurrent use and starts no goroutine.
type API struct {
	opts    Options
	handler http.Handler
}

// New makes an API. It starts nothing.
func New(o Options) (*API, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	var custom provider.CustomMetricsProvider
	var external provider.ExternalMetricsProvider
	p := &values{opts: o}
	if o.Custom {
		custom = p
	}
	if o.External {
		external = p
	}
	config := apiserver.Config{GenericConfig: metricsapi.Library(apiserver.Codecs)}
	s, err := config.Complete(nil).New("plimsoll", custom, external)
	if err != nil {
		return nil, fmt.Errorf("cannot make the APIs of custom metrics: %w", err)
	}
	return &API{opts: o, handler: readable(s.GenericAPIServer.Handler)}, nil
}

// mostTerms is how many terms a selector may have: each is tried on each object.
const mostTerms = 500

// readable refuses a selector of metrics that cannot be read, which the library takes for a fault of its own (500), and any of very many terms.
func readable(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"metricLabelSelector", "labelSelector"} {
			for _, text := range r.URL.Query()[name] {
				s, err := labels.Parse(text)
				if err == nil {
					if terms, _ := s.Requirements(); len(terms) > mostTerms {
						err = fmt.Errorf("it has %d terms, at most %d are tried", len(terms), mostTerms)
					}
				} else if name == "labelSelector" {
					continue // which the library refuses itself
				}
				if err != nil {
					status := apierrors.NewBadRequest(fmt.Sprintf("cannot read %s %.200q: %v", name, text, err)).Status()
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(http.StatusBadRequest)
					_ = json.NewEncoder(w).Encode(&status) // the client is gone
					return
				}
			}
		}
		next.ServeHTTP(w, r)
	})
}

// Routes returns what the API answers.
func (a *API) Routes() (out []serve.Route) {
	add := func(group string) {
		for _, pattern := range []string{"/apis/" + group, "/apis/" + group + "/"} {
			out = append(out, serve.Route{Pattern: pattern, Handler: a.handler, InFlight: 400})
		}
	}
	if a.opts.Custom {
		add(Group)
	}
	if a.opts.External {
		add(ExternalGroup)
	}
	return out
}
