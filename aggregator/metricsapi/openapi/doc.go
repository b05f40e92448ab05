// Package openapi has the OpenAPI definitions of the types that metrics.k8s.io answers with; all but this file is generated, see the
// target generated of the Makefile.
package openapi
