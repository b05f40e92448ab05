package influx

import (
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// RollUp is a resolution of the history.
type RollUp uint8

// The resolutions.
const (
	Raw RollUp = iota
	Hour
	Day
)

// Every is the distance between two points; zero for Raw.
func (r RollUp) Every() time.Duration {
	return [...]time.Duration{0, time.Hour, 24 * time.Hour}[r]
}

// String is the suffix of a resolution's names: "", "1h", "1d".
func (r RollUp) String() string { return [...]string{"", "1h", "1d"}[r] }

// Place knows the names of where the data is, in the words of the server's generation.
type Place struct {
	Major    int
	Database string // of InfluxQL; on 2.x also the bucket
	Policy   string // the retention policy of the raw data; "" : the database's default
}

// Place returns the names for a server's generation.
func (c *Conn) Place(v Version) Place { return PlaceOf(c.opts.Bucket, v.Major) }

// PlaceOf returns the names of a bucket as it was given by the user.
func PlaceOf(bucket string, major int) Place {
	p := Place{Major: major, Database: bucket}
	if major == 1 {
		p.Database, p.Policy, _ = strings.Cut(bucket, "/")
	}
	if major == 2 {
		p.Policy = "autogen"
	}
	return p
}

// PolicyOf is the retention policy of a resolution in InfluxQL; "" means the database's default.
func (p Place) PolicyOf(r RollUp) string {
	if r == Raw || p.Major == 3 {
		return p.Policy
	}
	return "plimsoll_" + r.String()
}

// Bucket is the bucket of a resolution on 2.x.
func (p Place) Bucket(r RollUp) string {
	if r == Raw {
		return p.Database
	}
	return p.Database + "_" + r.String()
}

// Measurement is the measurement of a level at a resolution.
func (p Place) Measurement(l metric.Level, r RollUp) string {
	if r == Raw {
		return l.String()
	}
	return l.String() + "_" + r.String()
}

// From is what stands after FROM in InfluxQL, quoted, database and policy included.
func (p Place) From(l metric.Level, r RollUp) string { return p.from(p.Measurement(l, r), r) }

func (p Place) from(measurement string, r RollUp) string {
	if p.Major == 3 { // a database has no policies there
		return ident(measurement)
	}
	policy := p.PolicyOf(r)
	if policy != "" {
		policy = ident(policy)
	}
	return ident(p.Database) + "." + policy + "." + ident(measurement)
}

// Fields of roll-ups are a field's name with a prefix.
const (
	PrefixMean  = "mean_"
	PrefixMin   = "min_"
	PrefixMax   = "max_"
	PrefixP95   = "p95_"
	PrefixCount = "count_"
	PrefixLast  = "last_" // counters only, and they have nothing else
)
