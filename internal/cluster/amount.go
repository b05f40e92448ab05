package cluster

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// DesiredReplicas is a number of replicas that somebody asks for: what the scale subresource has in its spec, and
// what a decision wants there.
type DesiredReplicas int32

// ObservedReplicas is a number of replicas that were seen to exist.
type ObservedReplicas int32

// maxQuantity is how long a quantity may be, and hugeExponent finds powers of ten of four digits and more, on which the parser of quantities works
// for minutes, or for ever.
const maxQuantity = 256

var hugeExponent = regexp.MustCompile(`[eE][+-]?[0-9.]{4,}$`)

// WithinReach says why the parser of quantities would not soon come back from a text; nil: it would.
func WithinReach(s string) error {
	switch {
	case len(s) > maxQuantity:
		return fmt.Errorf("the value is longer than %d characters", maxQuantity)
	case hugeExponent.MatchString(strings.TrimSpace(s)): // as quantities in JSON are read
		return fmt.Errorf("%q has an exponent that is out of reach", s)
	}
	return nil
}

// beyond is an amount, thousand E, from which on the library writes quantities wrong: without their suffix.
const beyond = 1e21

// ParseQuantity reads an amount as Kubernetes writes them, from whoever it comes, if it is less than a thousand E.
func ParseQuantity(s string) (resource.Quantity, error) {
	if err := WithinReach(s); err != nil {
		return resource.Quantity{}, err
	}
	q, err := resource.ParseQuantity(s)
	if err != nil {
		return q, err
	}
	if math.Abs(q.AsApproximateFloat64()) >= beyond {
		return resource.Quantity{}, fmt.Errorf("%q is out of reach: want less than 1000E", s)
	}
	return q, nil
}

// Milli is an amount in thousandths of its unit: millicores, thousandths of a byte. The HPA computes in these.
type Milli int64

// Plus adds, held at the ends of the range.
func (m Milli) Plus(more Milli) Milli {
	s := m + more
	switch {
	case m > 0 && more > 0 && s < 0:
		return math.MaxInt64
	case m < 0 && more < 0 && s >= 0:
		return math.MinInt64
	}
	return s
}

// MilliOf turns a quantity into thousandths, rounded up as the HPA does, and held at the ends of the range
// instead of wrapping.
func MilliOf(q resource.Quantity) Milli {
	f := q.AsApproximateFloat64()
	switch {
	case f >= math.MaxInt64/1000:
		return math.MaxInt64
	case f <= math.MinInt64/1000:
		return math.MinInt64
	}
	return Milli(q.MilliValue())
}

// MilliOfFloat turns a number in the base unit (cores, bytes) into thousandths, rounded up like MilliOf. What is
// not a number is zero.
func MilliOfFloat(f float64) Milli {
	switch f = math.Ceil(f * 1000); {
	case math.IsNaN(f):
		return 0
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	}
	return Milli(f)
}

// Float gives the amount in its base unit.
func (m Milli) Float() float64 { return float64(m) / 1000 }

// String writes the amount as Kubernetes does: "150m", "2", "64Mi" never (the HPA writes decimal).
func (m Milli) String() string {
	if m >= 0 && m < 1000 {
		if m == 0 {
			return "0"
		}
		return strconv.FormatInt(int64(m), 10) + "m"
	}
	return resource.NewMilliQuantity(int64(m), resource.DecimalSI).String()
}

// ResourceName is Kubernetes' name of what containers ask for and use.
type ResourceName = corev1.ResourceName

// Resources are amounts by resource name. They are few, so they are searched, not hashed.
type Resources []Resource

// Resource is one amount.
type Resource struct {
	Name  ResourceName
	Milli Milli
}

// Get returns the amount of a resource.
func (r Resources) Get(name ResourceName) (Milli, bool) {
	for i := range r {
		if r[i].Name == name {
			return r[i].Milli, true
		}
	}
	return 0, false
}
