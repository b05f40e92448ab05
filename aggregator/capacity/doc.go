// Package capacity makes the reports: how much room is left (Capacity), how many more replicas fit into it (Fit), and what containers
// should ask for (Rightsize). It reads the live picture and the history's structured query and nothing else, so a report says the same
// on every store. Each report is made in two steps: a few queries gather facts, and pure arithmetic makes the report of them. A report
// is a value; Table and HTML write it for people.
//
// Units are cores, bytes and ratios. A number that is not known is null, never zero.
package capacity
