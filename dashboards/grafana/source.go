package grafana

import "fmt"

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
	for _, x := range Sources() {
		if string(x) == s {
			return x, nil
		}
	}
	return "", fmt.Errorf("source %q: want prometheus or influx", s)
}

// plugin is the source's type in Grafana.
func (s Source) plugin() string {
	if s == Influx {
		return "influxdb"
	}
	return "prometheus"
}

// tag marks the boards of one source, so that they link to one another and not to those of the other.
func (s Source) tag() string { return "plimsoll-" + string(s) }

// interval is the shortest time between two points. History has a sample every 10 s; an InfluxQL bucket must hold at least one of
// each series, or the sum over series would dip wherever a sample is a little late.
func (s Source) interval() string {
	if s == Influx {
		return "20s"
	}
	return "10s"
}

// uid is the board's UID: fixed, so that links and bookmarks hold. The boards of the two sources can be on one Grafana.
func (s Source) uid(name string) string {
	if s == Influx {
		return "plimsoll-" + name + "-influx"
	}
	return "plimsoll-" + name
}

// title is the board's title.
func (s Source) title(title string) string {
	if s == Influx {
		return "Plimsoll / " + title + " (InfluxDB)"
	}
	return "Plimsoll / " + title
}
