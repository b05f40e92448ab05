// Package influx keeps the history in InfluxDB 1.8, 2.x or 3: it turns batches into line protocol, sends what a
// durable queue hands it until the server has it, and sets a server up. It is the only importer of InfluxDB's client,
// of which it uses WriteAPIBlocking.WriteRecord alone: the client's buffer loses data in an outage and treats a
// partial write as success.
//
// # Schema v1
//
// InfluxDB 3 freezes a table's tags at the first write, so the schema is fixed; a test pins it.
//
//   - Measurements are the levels: container, pod, workload, namespace, node, cluster; and decision.
//   - Tags are cluster, node, namespace, workload_kind, workload, pod, container, as far as the measurement has them
//     (see [Tags]). A tag without a value is left out.
//   - Everything else is a field, named by [metric.Row.Field]; a counter has its rate beside it in [metric.Row.Rate],
//     per second between the last two samples of the series. After a reset, and after a silence of five minutes, there
//     is no rate. Numbers are floats throughout; NaN and the infinities are never written.
//   - A row with a label of its own (interface, device) is the sum over it. Where the label is a metric, which cannot be
//     summed (the load that the autoscaler saw), it is the largest.
//   - Times are Unix milliseconds. An entity has one line for each moment in a batch, which is one line a batch, since
//     the readers stamp all of an entity's points alike.
//   - Tag values that line protocol cannot carry are mapped by [TagValue] and back by [LabelValue].
//
// # Where things are
//
// On 1.x the bucket names a database, or "database/policy"; on 2.x a bucket, to which InfluxQL gets through a DBRP
// mapping of the same name; on 3 a database. A [Place] knows the names. Roll-ups have measurements, retention policies
// and (on 2.x) buckets of their own:
//
//	              raw                    one hour                                one day
//	1.x           "D"."P"."container"    "D"."plimsoll_1h"."container_1h"        "D"."plimsoll_1d"."container_1d"
//	2.x, bucket   B                      B_1h                                    B_1d
//	2.x, InfluxQL "B"."autogen"...       "B"."plimsoll_1h"."container_1h"        "B"."plimsoll_1d"."container_1d"
//
// A roll-up's tags are those of its measurement, its time is the start of the hour or (UTC) day. For each gauge and rate
// field f it has mean_f, min_f, max_f, p95_f and count_f; for each counter field f last_f. Days are made from
// hours: the mean of the hours' means, and p95_f is the 95th percentile of the hours' p95_f, an upper estimate. Roll-ups are
// made anew every 30 minutes for the last two hours (every hour for the last two days); what comes later
// than that is rolled up by [Setup.RunBackfill], soon after the last of it came.
package influx
