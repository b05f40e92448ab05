// Package remotewrite is the wire between machines: batches written as remote write 2.0 or 1.0 requests, and the HTTP handler
// that tells the two apart. It is the only importer of client_golang's remote write library.
package remotewrite
