package grafana

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with a file of testdata, or rewrites it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s: want -, got + (rewrite with -update):\n%s", name, d)
	}
}

// each draws every board for every source.
func each(t *testing.T, f func(t *testing.T, b Board, s Source, raw []byte)) {
	t.Helper()
	for _, s := range Sources() {
		for _, b := range Boards() {
			t.Run(string(s)+"/"+b.Name, func(t *testing.T) {
				raw, err := b.JSON(s)
				if err != nil {
					t.Fatal(err)
				}
				f(t, b, s, raw)
			})
		}
	}
}

func TestGolden(t *testing.T) {
	each(t, func(t *testing.T, b Board, s Source, raw []byte) {
		golden(t, filepath.Join(string(s), b.Name+".json"), raw)
	})
}

// walk calls f for every object in a JSON value.
func walk(v any, f func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		f(v)
		for _, x := range v {
			walk(x, f)
		}
	case []any:
		for _, x := range v {
			walk(x, f)
		}
	}
}

// TestOnlyPanelsOfToday: no panel that Grafana 11 or 13 no longer draws, nothing of the old form, no fixed data source.
func TestOnlyPanelsOfToday(t *testing.T) {
	types := map[string]bool{"row": true, "text": true, "stat": true, "timeseries": true, "table": true, "bargauge": true, "gauge": true}
	each(t, func(t *testing.T, b Board, s Source, raw []byte) {
		var top map[string]any
		if err := json.Unmarshal(raw, &top); err != nil {
			t.Fatal(err)
		}
		if top["schemaVersion"] != float64(39) || top["uid"] != b.UID(s) || !strings.HasPrefix(b.UID(s), "plimsoll-") {
			t.Errorf("schema version %v, UID %v", top["schemaVersion"], top["uid"])
		}
		seen := map[float64]bool{}
		walk(top, func(o map[string]any) {
			for _, old := range []string{"rows", "span", "styles", "yaxes", "seriesOverrides", "sharedCrosshair", "isNew", "renderer"} {
				if _, ok := o[old]; ok {
					t.Errorf("%v: %q is of the old form", o["title"], old)
				}
			}
			for _, k := range []string{"mode", "drawStyle", "unit"} {
				if o[k] == "" {
					t.Errorf("%v: the SDK's empty %q came through", o, k)
				}
			}
			if d, ok := o["datasource"].(map[string]any); ok && d["uid"] != "${datasource}" && d["uid"] != "-- Grafana --" {
				t.Errorf("data source %v is fixed", d)
			}
			if _, ok := o["gridPos"]; !ok {
				return
			}
			if id, _ := o["id"].(float64); seen[id] || id == 0 {
				t.Errorf("%v: ID %v twice", o["title"], id)
			} else {
				seen[id] = true
			}
			if !types[o["type"].(string)] {
				t.Errorf("%v is drawn as %q", o["title"], o["type"])
			}
			if o["type"] != "row" && o["type"] != "text" && o["description"] == nil {
				t.Errorf("%v has no description", o["title"])
			}
		})
	})
}

// TestPanelsDoNotOverlap: the panels of a board fill its grid of 24 columns without lying on one another.
func TestPanelsDoNotOverlap(t *testing.T) {
	each(t, func(t *testing.T, _ Board, _ Source, raw []byte) {
		var top struct {
			Panels []struct {
				Title   string
				GridPos struct{ X, Y, W, H int }
			}
		}
		if err := json.Unmarshal(raw, &top); err != nil {
			t.Fatal(err)
		}
		taken := map[[2]int]string{}
		for _, p := range top.Panels {
			g := p.GridPos
			if g.W < 3 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
				t.Errorf("%s: %+v", p.Title, g)
			}
			for x := g.X; x < g.X+g.W; x++ {
				for y := g.Y; y < g.Y+g.H; y++ {
					if o := taken[[2]int{x, y}]; o != "" {
						t.Fatalf("%s lies on %s", p.Title, o)
					}
					taken[[2]int{x, y}] = p.Title + " "
				}
			}
		}
	})
}
