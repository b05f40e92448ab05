// Package tsdb is the embedded store: Prometheus' time series engine and PromQL behind the contract of
// package store, with the decision log of package decisions beside it. It is the only importer of github.com/prometheus/prometheus,
// whose types stop here.
//
// # On disk
//
//	DIR/lock        held (flock) by the process that has the folder open; names its pid
//	DIR/tsdb/       blocks of two hours and more, the write-ahead log (wal), late samples (wbl), head chunks
//	DIR/decisions/  the decision log
//	DIR/broken/     what was damaged and set aside at an opening
//
// # What an acknowledgement means
//
// When Append or AppendDecision returns nil, the data has been handed to the kernel with write(2): it survives
// kill -9, a panic and an out-of-memory kill of this process. It survives a power cut or a kernel crash
// only after the kernel has written it back (some 30 s with Linux defaults). Late samples (see Options.OutOfOrder)
// are in the write-ahead log like all others.
//
// # What goes wrong, and what is done
//
//   - A full disk: Append returns store.ErrReadOnly, Health says DiskFull, and the store recovers by itself
//     when there is room again. 32 MiB are kept free, so that the log is not torn in the first place;
//     if a write fails all the same, the engine is reopened from its log when a probe write succeeds.
//   - A damaged log: the damaged records are left out, all others kept (a torn tail is cut). Health and the log name the file.
//   - A damaged block is set aside under broken/ and named.
//   - Samples that cannot be stored (not finite, too old, from the future) are left out and counted by reason.
//
// # Gaps
//
// Structured queries reach back exactly as far as their window, so a gap is a gap. PromQL selectors reach back
// 30 s, and a series that ended (its entity vanished or was named in Batch.Gaps) carries a
// staleness marker, at which PromQL lets go at once.
package tsdb
