package wiring

import (
	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/aggregator/metricsapi"
	"plimsoll.dev/plimsoll/internal/kube"
)

// newMetricsAPI serves metrics.k8s.io: of the pods and nodes that the inventory knows, what the picture has.
func newMetricsAPI(e *environment, picture *live.Picture, known *kube.Inventory) (*metricsapi.API, error) {
	api, err := metricsapi.New(metricsapi.Options{Picture: picture, Inventory: known, Synced: known.NotYet, Logger: e.named("metrics.k8s.io"), Registerer: e.registry})
	if err != nil {
		return nil, err
	}
	e.checks = append(e.checks, api.Checks()...)
	e.routes = append(e.routes, api.Routes()...)
	return api, nil
}
