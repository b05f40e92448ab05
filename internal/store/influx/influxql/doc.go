// Package influxql renders the structured query of package store to InfluxQL, the language that InfluxDB 1.8, 2.x and 3
// all answer on /query, over schema v1 of package influx. It is pure: [Render] makes a [Plan], which is text to send;
// whoever sends it hands each row of the answer to the plan's [Answer], which gives the series.
//
// # What the engine does
//
// Where it does not depend on who was there when, or would take too many samples ([RenderSamples] reads them), everything: the function over time, and the join of
// series by a subquery over it.
//
//   - A step with a window of the same length is GROUP BY time(step, offset), with the offset such that a group is
//     (t-step, t], as in PromQL, and not InfluxQL's [t, t+step).
//   - A single point, and a quantile over windows that overlap, is one statement for each point.
//   - Other windows (a mean over 5 m every 1 m) are asked for in pieces of their common divisor, one row for each piece and
//     series; the answer puts the pieces together and joins the series. No raw points are pulled.
//   - Rates are means of the rate field that schema v1 keeps beside each counter. A counter without one is derived by
//     NON_NEGATIVE_DERIVATIVE, and growth by NON_NEGATIVE_DIFFERENCE.
//   - Rates that are summed are summed in pieces of some five minutes, with how many samples there were, and in how many moments
//     of the history's interval any was there, each of as many samples as one member sends in it, so that members that were there one after the other are not added up. So are the mean, the greatest, the least and quantiles of
//     a sum of a gauge. The piece that goes on, in which nobody has as many samples as in a whole one, is read at every moment. The
//     greatest over up to six hours, and a quantile from the median on, is that of the sums of every moment.
//   - The newest value of series together is made by the answer of each one's newest sample, with its time, which a statement tells only of a window by
//     itself; so up to 24 windows are one each, and of more the last is. The others are the sums of each window's newest moment, or the mean of its last minutes.
//   - Ranges of more than two days at an hour or coarser are read from the hourly roll-ups, of more than 60 days at a day or
//     coarser from the daily ones, as far as they reach; what is newer or older is read raw.
//   - Where one query may cover a limited time (InfluxDB 3 Core), each statement stays below it. A quantile over
//     a longer window than that is the one thing for which raw points are pulled.
//
// # Where it differs from the embedded store
//
//   - PERCENTILE is the nearest rank and does not interpolate between two samples.
//   - A rate weighs its intervals alike, however long they are; so one over a hole counts as one. Growth is counted over holes of any length.
//   - Labels that schema v1 has no tag for (id, image, interface, device) are those of no series: they match "" only.
//   - From roll-ups, a quantile of 0.9 or more is that of the hours' 95th percentiles (an upper estimate), a lower one that of
//     the hours' means; a mean over them weighs each hour by its samples where windows are put together, and alike where the engine does it.
//     Growth is the mean rate by the number of samples, each for ten seconds, and of a counter without a rate the difference of the last values.
//     An hour belongs to the window that holds its middle.
package influxql
