// Package metrics reads the metrics APIs of a cluster, whoever serves them: metrics.k8s.io, custom.metrics.k8s.io and external.metrics.k8s.io. It
// holds the newest answer to each question that somebody keeps asking and reads it anew beside who asks, so that an API that hangs holds up
// nobody; all that ask for the same share one answer.
package metrics
