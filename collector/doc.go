// Package collector reads one node's containers tick by tick and sends what it finds down both lanes: the
// newest CPU and memory every second to the live lane, which keeps nothing and never waits, and everything
// every ten seconds to the live and the history lane.
package collector
