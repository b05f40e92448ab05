package grafana

import (
	"fmt"
	"slices"
)

// Source is the kind of data source that a board asks.
type Source string

// The sources.
const (
	Prometheus Source = "prometheus" // PromQL: the embedded store, or an engine that takes remote write
	Influx     Source = "influx"     // InfluxQL: InfluxDB 1.8, 2.x (with a DBRP mapping) and 3, schema v1
)

// Sources returns all sources.
func Sources() []Source { return []Source{Prometheus, Influx} }

// ParseSource reads a source's name.
func ParseSource(s string) (Source, error) {
	if slices.Contains(Sources(), Source(s)) {
		return Source(s), nil
	}
	return "", fmt.Errorf("source %q: want prometheus or influx", s)
}

// of picks what differs between the sources.
func (s Source) of(prometheus, influx string) string {
	if s == Influx {
		return influx
	}
	return prometheus
}

// plugin is the source's type in Grafana.
func (s Source) plugin() string { return s.of("prometheus", "influxdb") }

// tag marks the boards of one source, so that they link to one another and not to those of the other.
func (s Source) tag() string { return "plimsoll-" + string(s) }

// interval is the shortest time between two points. History has a sample every 10 s; an InfluxQL bucket must hold at least one of
// each series, or the sum over series would dip wherever a sample is a little late.
func (s Source) interval() string { return s.of("10s", "20s") }

// uid is the board's UID: fixed, so that links and bookmarks hold. The boards of the two sources can be on one Grafana.
func (s Source) uid(name string) string { return "plimsoll-" + name + s.of("", "-influx") }

// title is the board's title.
func (s Source) title(title string) string { return "Plimsoll / " + title + s.of("", " (InfluxDB)") }
