package capacity

import (
	"context"
	"errors"
	"io"

	"plimsoll.dev/plimsoll/aggregator/live"
)

var errStub = errors.New("not built yet")

// ErrBadOptions is a window, size or name that no report can be made for; callers answer it as wrong usage.
var ErrBadOptions = errors.New("bad options")

// Capacity reports how much room is left. h may be nil: then the report has the present only, and says so.
func Capacity(ctx context.Context, h History, s *live.Snapshot, o CapacityOptions) (*CapacityReport, error) {
	return nil, errStub
}

// Fit reports how many more replicas of a size fit beside what a capacity report has seen. The error wraps ErrBadOptions.
func Fit(r *CapacityReport, n Need) (*FitReport, error) { return nil, errStub }

// Rightsize reports what each container asks for and what it should.
func Rightsize(ctx context.Context, h History, s *live.Snapshot, targets []Target, o RightsizeOptions) (*RightsizeReport, error) {
	return nil, errStub
}

// Table gives the report as header and rows.
func (r *CapacityReport) Table(style Style) Table { return Table{} }

// Table gives the report as header and rows.
func (r *FitReport) Table(style Style) Table { return Table{} }

// Table gives the report as header and rows.
func (r *RightsizeReport) Table(style Style) Table { return Table{} }

// HTML writes the report as one page that needs nothing else.
func (r *CapacityReport) HTML(w io.Writer) error { return errStub }

// HTML writes the report as one page that needs nothing else.
func (r *FitReport) HTML(w io.Writer) error { return errStub }

// HTML writes the report as one page that needs nothing else.
func (r *RightsizeReport) HTML(w io.Writer) error { return errStub }
