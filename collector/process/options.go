package process

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/metric"
)

// Target is one thing to measure: a process with everything it has started, or alone.
type Target struct {
	// Entity names it. The pointer stays the same while the process lives.
	Entity *metric.Entity
	// PID is the first process.
	PID int
	// Start is when it was started, as far as the caller knows: a process of this PID that the kernel says began more
	// than five seconds earlier or later is another one. Zero: whatever process has the PID at the first
	// reading is meant.
	Start time.Time
	// Alone measures the process without what it has started, living or dead: for one whose children are measured themselves.
	Alone bool
}

// Options says what a Reader measures.
type Options struct {
	// List returns the targets of this tick. Required. It is called at the beginning of each Read.
	List func() []Target
	// Registerer takes the reader's own metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer

	proc string // where the proc file system is mounted: /proc, but in tests
}

// Validate reports the first thing that is wrong with the options.
func (o Options) Validate() error {
	if o.List == nil {
		return errors.New("cannot measure processes without a list of targets")
	}
	return nil
}
