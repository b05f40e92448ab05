// Package remote keeps the history in any engine that takes remote write, 2.0 or 1.0, and reads it back through its
// Prometheus HTTP API: Prometheus itself, Mimir, Thanos, VictoriaMetrics.
//
// # Writing
//
// [Encode] makes a record for the durable queue of a batch; a [Writer] takes records from a lane of the queue and gives
// them to a [Sender] until the engine has them. The Sender begins with remote write 2.0 and falls back to 1.0 when the engine
// answers 415, or says success without saying how many samples it wrote: an engine that does not know 2.0 reads such a
// request as an empty one of 1.0. What the engine refuses for ever (400) is halved until the series that it refuses stands
// alone, which then goes to the dead letters with the engine's words; everything else is written. What a person can mend is kept and sent
// again: a limit of series, a series that is too large for a request, a login, and a refusal of everything that speaks of no sample.
//
// Samples must come in order unless the engine has a window for late ones (Prometheus: storage.tsdb.out_of_order_time_window),
// so the queue's lane for the backlog alone is to be used, which hands records out in order.
//
// # Reading
//
// The structured query is rendered to PromQL as for the embedded store. Engines differ in whether a range selector
// includes the sample at its left end (Prometheus before 3.0 does): the reader asks a question that shows it, and shortens windows by
// a millisecond where it does, so that windows are (t-w, t] everywhere.
//
// Remote write carries numbers only, so that there is no place for the decision log here.
package remote
