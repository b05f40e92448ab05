// Package openapi has the OpenAPI definitions of the types that metrics.k8s.io answers with. All but this file is written by openapi-gen, which
// 'make update' runs.
package openapi
