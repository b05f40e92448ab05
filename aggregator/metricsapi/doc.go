// Package metricsapi serves Kubernetes' API group metrics.k8s.io from the live picture: what metrics-server serves, in versions v1 and v1beta1.
// Discovery, OpenAPI, encodings, selectors and tables are those of the API server's own library; it asks nobody who calls, the door did.
//
// A list of pods is kept as rows (pods.go) until it is written. Most who ask take JSON, which is written row by row as it is on the wire
// (json.go); for every other encoding the rows become the library's objects (objects.go). docs/decisions/metrics-api.md says what differs
// from metrics-server, and why.
package metricsapi
