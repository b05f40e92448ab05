package wiring

import (
	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/aggregator/metricsapi/custom"
	"plimsoll.dev/plimsoll/internal/kube"
)

// CustomMetrics says which of custom.metrics.k8s.io and external.metrics.k8s.io are served.
type CustomMetrics struct{ Custom, External bool }

// newCustomMetrics serves them: of the pods and nodes that the inventory knows, what the picture has.
func newCustomMetrics(e *environment, picture *live.Picture, known *kube.Inventory, o CustomMetrics) error {
	if !o.Custom && !o.External {
		return nil
	}
	api, err := custom.New(custom.Options{Pictures: picture, Nodes: known, Synced: known.NotYet, Custom: o.Custom, External: o.External})
	if err != nil {
		return err
	}
	e.routes = append(e.routes, api.Routes()...)
	return nil
}
