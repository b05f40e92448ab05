package capacity

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"plimsoll.dev/plimsoll/internal/table"
)

func TestTables(t *testing.T) {
	fit, err := Fit(fixtureCapacity(), Need{CPU: at(0.5)})
	if err != nil {
		t.Fatal(err)
	}
	for name, of := range map[string]func(Style) *table.Table{"capacity": fixtureCapacity().Table, "machine": fixtureMachine().Table, "fit": fit.Table, "rightsize": fixtureRightsize().Table} {
		for _, style := range []Style{People, Raw} {
			x := of(style)
			if len(x.Rows) == 0 || len(x.Lines) == 0 == (style == People) {
				t.Errorf("%s: %d rows, %d lines in style %d", name, len(x.Rows), len(x.Lines), style)
			}
			names := map[string]bool{}
			for i, c := range x.Columns {
				if c.Name == "" || names[c.Name] {
					t.Errorf("%s has two columns %q, or one without a name", name, c.Name)
				}
				names[c.Name] = true
				for _, row := range x.Rows {
					if len(row) != len(x.Columns) {
						t.Fatalf("%s has a row of %d cells for %d columns", name, len(row), len(x.Columns))
					}
					if style == Raw && row[i] != "" && (strings.HasSuffix(c.Name, "_cores") || strings.HasSuffix(c.Name, "_bytes") || strings.HasSuffix(c.Name, "_ratio")) {
						if _, err := strconv.ParseFloat(row[i], 64); err != nil {
							t.Errorf("%s, column %s: %q is no number", name, c.Name, row[i])
						}
					}
				}
			}
		}
	}
}

func TestTableCells(t *testing.T) {
	f := func(x *table.Table, row int, column, want string) {
		t.Helper()
		for i, c := range x.Columns {
			if c.Name == column {
				if got := x.Rows[row][i]; got != want {
					t.Errorf("%s of row %d is %q, want %q", column, row, got, want)
				}
				return
			}
		}
		t.Errorf("no column %q", column)
	}
	c := fixtureCapacity()
	f(c.Table(People), 0, "SCOPE", "cluster")
	f(c.Table(People), 0, "CPU ALLOC", "31.4")
	f(c.Table(Raw), 0, "cpu_allocatable_cores", "31.4")
	f(c.Table(People), 0, "CPU FULL IN", "28 days")
	m := fixtureMachine()
	f(m.Table(People), 0, "CPU REQUESTS", "-")
	f(m.Table(Raw), 0, "cpu_requests_cores", "")
	f(m.Table(People), 0, "CPU FULL IN", "-")
	r := fixtureRightsize()
	f(r.Table(People), 0, "WORKLOAD", "payments")
	f(r.Table(People), 0, "CPU ADVISED", "210m")
	f(r.Table(Raw), 0, "cpu_saving_cores", "9.48")
	f(r.Table(People), 0, "CONFIDENCE", "high")
}

// Of several kinds that share a name in a namespace each row says its kind.
func TestRightsizeOfTwins(t *testing.T) {
	r := &RightsizeReport{}
	for _, x := range [][3]string{{"shop", "DaemonSet", "web"}, {"shop", "Deployment", "web"}, {"shop", "StatefulSet", "web"}, {"shop", "Deployment", "cart"}, {"shop", "Deployment", "cart"}, {"other", "Deployment", "web"}} {
		r.Rows = append(r.Rows, Advice{Namespace: x[0], Kind: x[1], Workload: x[2]})
	}
	for style, want := range map[Style]string{People: "DaemonSet/web Deployment/web StatefulSet/web cart cart web", Raw: "web web web cart cart web"} {
		x := r.Table(style)
		at := slices.IndexFunc(x.Columns, func(c table.Column) bool { return strings.EqualFold(c.Name, "workload") })
		var got []string
		for _, row := range x.Rows {
			got = append(got, row[at])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestJSON pins what is not known to null, and lists to lists.
func TestJSON(t *testing.T) {
	raw, err := json.Marshal(fixtureMachine())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"schema":"plimsoll.dev/capacity/v1"`, `"requests":null`, `"slope":null`, `"full":null`, `"allocatableIsCapacity":true`, `"time":"2026-11-24T12:00:00Z"`, `"step":3600`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("no %s in the JSON", want)
		}
	}
	if raw, err = json.Marshal(rightsizeOf(fixtureGrid(), nil, nil, nil)); err != nil || !strings.Contains(string(raw), `"rows":[]`) || !strings.Contains(string(raw), `"notes":[]`) {
		t.Errorf("an empty report is %s, %v", raw, err)
	}
}

func TestTotals(t *testing.T) {
	r := fixtureRightsize()
	// payments 12 × 1, index 3 × 2, suggest 2 × 0.25, pdf 2 × 0.5, web 6 × 0.2
	if got, want := r.Totals.CPU.Requests, 12+6+0.5+1+1.2; !near(got, want, 1e-9) {
		t.Errorf("requests %g, want %g", got, want)
	}
	// payments saves 12 × 0.79, pdf takes 2 × 0.19 more
	if got, want := r.Totals.CPU.Saving, 12*0.79-2*0.19; !near(got, want, 1e-9) {
		t.Errorf("saving %g, want %g", got, want)
	}
	if got, want := r.Totals.sentence(), "6 of 7 containers with advice. In all, 9.1 CPU of 20.7 requested can be given back; 18Gi memory more should be requested than the 86Gi now."; got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
}

func TestOneCoreIsOneCore(t *testing.T) {
	f := func(allocatable float64, want string) {
		t.Helper()
		s := Scope{CPU: Room{Allocatable: &allocatable}}
		if got := s.sentence(); !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(1, "none of 1 core requested")
	f(2, "none of 2 cores requested")
	f(0.5, "none of 500m cores requested")
}
