// Package grafana stands at the end of the river beside the page: it writes Grafana boards, in Go, from structured
// queries over the catalogue, and brings them to a Grafana as files or through its API. It is the only importer
// of github.com/grafana-tools/sdk.
//
// A board is defined once and drawn for two sources: Prometheus (the embedded store's API, or any engine that takes
// remote write) in PromQL, and InfluxDB (schema v1) in InfluxQL. A new board is a Go literal: see machine.go.
//
// The SDK's board model is of 2022. What it lacks (gauges, overrides, variables, annotations) goes through a thin layer over its
// JSON, which also drops what Grafana no longer reads; see layer.go.
package grafana
