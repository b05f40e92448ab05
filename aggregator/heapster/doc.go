// Package heapster serves the model API of Heapster 1.5 (/api/v1/model, metric-export, historical), so that
// whatever was written for it goes on working.
//
// On one machine Heapster's things are: a node for each machine; a free (system) container for each systemd unit
// and plain cgroup, named by its unit or by its path without the leading slash; and namespaces, pods and containers for
// the rest (Docker, Compose projects, process services, ...). Their names are Plimsoll's.
//
// What is as it was, because clients rely on it: an unknown entity or metric is answered with 200 and an empty list
// or series (latestTimestamp 0001-01-01T00:00:00Z); labels= must match a labelled metric exactly; start and end are
// both included; the model reaches 15 minutes back. A path that Heapster did not have is 404; a bad time,
// label, bucket or aggregation is 400.
//
// What a pod says of itself is the pod's, the rest is the sum of its containers; a request or limit that is not set is 0; what a machine does not
// say of itself it does not have, and one that is only named by what runs on it is on no list; the export's schema leaves out the units of counts,
// millicores and rates.
//
// What is better: name lists are sorted and hold the labelled metrics (filesystem, disk); node lists hold node names; a
// counter that was reset gives no negative rate; the newest point carries its sample's own time. A point's "value"
// is the number without its fraction, never below zero, which is what clients that read a uint64 can take; where
// that is not the number itself, "floatValue" holds it, to a millionth. So 0.71 is {"value":0,"floatValue":0.71}
// and 250 is {"value":250}. One missing series of several is empty and does not fail the others.
//
// Older points come from the store and lie on a grid of the resolution (10 s): each is the newest value of the step
// that ends there. Ranges of more than 10,000 steps get longer steps, and averages of them; one that begins long before the
// data is cut to where the data begins.
package heapster
