package capacity

import (
	"errors"
	"io"
)

var errStub = errors.New("not built yet")

// HTML writes the report as one page that needs nothing else.
func (r *CapacityReport) HTML(w io.Writer) error { return errStub }

// HTML writes the report as one page that needs nothing else.
func (r *FitReport) HTML(w io.Writer) error { return errStub }

// HTML writes the report as one page that needs nothing else.
func (r *RightsizeReport) HTML(w io.Writer) error { return errStub }
