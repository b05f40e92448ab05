package capacity

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"
)

//go:embed page
var pageFiles embed.FS

// page is what the template shows: one of the reports, and what surrounds it.
type page struct {
	Kind, Title, When, Foot string
	Style                   template.CSS
	Notes                   []string

	Capacity  *capacityPage
	Fit       *fitPage
	Rightsize *rightsizePage
}

// maxRows is how many rows of a table a page shows; the rest is counted. A browser and a mail have their limits.
const maxRows = 500

// write renders a page. It needs nothing from elsewhere and runs no script; names are escaped by the template.
func (p *page) write(w io.Writer, t time.Time) error {
	style, err := pageFiles.ReadFile("page/style.css")
	if err != nil {
		return fmt.Errorf("cannot read the style of reports: %w", err)
	}
	templates, err := template.ParseFS(pageFiles, "page/*.html")
	if err != nil {
		return fmt.Errorf("cannot read the templates of reports: %w", err)
	}
	p.Style = template.CSS(style) //nolint:gosec // it is our own file
	p.Foot = "Made by Plimsoll on " + t.UTC().Format("2 January 2006 at 15:04 UTC") + ". CPU in cores (1000m are one), memory in bytes (1Gi is 1024Mi)."
	if err := templates.ExecuteTemplate(w, "page", p); err != nil {
		return fmt.Errorf("cannot write the report as HTML: %w", err)
	}
	return nil
}

// HTML writes the report as one page that needs nothing else.
func (r *CapacityReport) HTML(w io.Writer) error {
	p := &page{Kind: "capacity", Title: r.title(), When: period(r.Start, r.End), Notes: r.Notes, Capacity: r.page()}
	return p.write(w, r.Time)
}

// HTML writes the report as one page that needs nothing else.
func (r *FitReport) HTML(w io.Writer) error {
	p := &page{Kind: "fit", Title: r.title(), When: period(r.Start, r.End), Notes: r.Notes, Fit: r.page()}
	return p.write(w, r.Time)
}

// HTML writes the report as one page that needs nothing else.
func (r *RightsizeReport) HTML(w io.Writer) error {
	p := &page{Kind: "right sizes", Title: r.title(), When: period(r.Start, r.End), Notes: r.Notes, Rightsize: r.page()}
	return p.write(w, r.Time)
}

// period says what time a page is about.
func period(start, end time.Time) string {
	return fmt.Sprintf("%s, from %s to %s", span(end.Sub(start)), start.UTC().Format("2 January 15:04"), end.UTC().Format("2 January 2006 15:04 UTC"))
}

// fact is a figure with its name.
type fact struct{ Name, Value, Note string }

// bar is a share of a whole, with a mark. Zero is not drawn.
type bar struct {
	Fill, Tick float64 // percent
	Hot        bool
}

// barOf draws what is used, and marks what is asked for, as parts of a whole.
func barOf(used, mark, whole *float64) bar {
	b := bar{Fill: percentOf(used, whole), Tick: percentOf(mark, whole)}
	b.Hot = b.Fill > 90
	b.Fill, b.Tick = min(b.Fill, 100), min(b.Tick, 99.5)
	return b
}

// key says what a bar and its mark are.
func (b *bar) key(fill, mark string) string {
	if b.Tick > 0 {
		fill += ", the mark what is " + mark
	}
	return "The bar is " + fill + "."
}

func percentOf(part, whole *float64) float64 {
	if part == nil || whole == nil || *whole <= 0 || *part <= 0 {
		return 0
	}
	return round1(*part / *whole * 100)
}

func round1(v float64) float64 { return float64(int64(v*10+0.5)) / 10 }

// dash writes a number for people, "–" where it is not known.
func dash(v *float64, u unit) string {
	if v == nil {
		return "–"
	}
	return strings.Replace(u.text(*v), "-", "−", 1) // as printers do
}

// capped returns how many of n rows are shown, and what is said of the rest.
func capped(n int) (shown int, more string) {
	if n <= maxRows {
		return n, ""
	}
	return maxRows, fmt.Sprintf("%d more are not shown; the table and CSV have them.", n-maxRows)
}
