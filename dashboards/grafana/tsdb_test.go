package grafana_test

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/dashboards/grafana"
	"plimsoll.dev/plimsoll/dashboards/grafana/boardtest"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/store/tsdb"
)

// TestEmbeddedStore asks the embedded store every query of every panel, as Grafana's Prometheus source does, and compares the newest
// values with what was put in.
func TestEmbeddedStore(t *testing.T) {
	end := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
	day := boardtest.NewDay(end, 24*time.Hour, 20*time.Second)
	for name, labels := range map[string][]metric.Label{"cluster": {{Name: "cluster", Value: boardtest.Cluster}}, "no cluster": nil} {
		t.Run(name, func(t *testing.T) {
			db, err := tsdb.Open(tsdb.Options{Dir: t.TempDir(), ExternalLabels: labels, Now: func() time.Time { return end }})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if err := day.Fill(t.Context(), db); err != nil {
				t.Fatal(err)
			}
			for name, v := range boardtest.Views() {
				if labels == nil && v.Chosen != nil {
					continue // there is no cluster to choose
				}
				t.Run(name, func(t *testing.T) { askAll(t, db, day, v) })
			}
		})
	}
}

// TestTurns asks about what was there one after the other: it is shown as what was there at once, however long the range is.
func TestTurns(t *testing.T) {
	end := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
	turns := boardtest.NewTurns(end)
	db, err := tsdb.Open(tsdb.Options{Dir: t.TempDir(), Now: func() time.Time { return end }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := turns.Fill(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	for name, v := range turns.Looks() {
		t.Run(name, func(t *testing.T) {
			for _, b := range grafana.Boards() {
				asks, err := turns.Asks(b, grafana.Prometheus, v)
				if err != nil {
					t.Fatal(err)
				}
				for _, a := range asks {
					for _, wrong := range a.CheckTurns(get(t, db, a)) {
						t.Error(wrong)
					}
				}
			}
		})
	}
}

// TestYoung asks about what is twenty seconds old: its rates are what it uses, as they are later on.
func TestYoung(t *testing.T) {
	end := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
	day := boardtest.NewDay(end, 20*time.Second, 10*time.Second)
	db, err := tsdb.Open(tsdb.Options{Dir: t.TempDir(), Now: func() time.Time { return end }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := day.Fill(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	for _, step := range []time.Duration{10 * time.Second, 10 * time.Minute} {
		for _, b := range grafana.Boards() {
			asks, err := day.Asks(b, grafana.Prometheus, boardtest.View{Range: 10 * time.Second, Step: step})
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range asks {
				if !strings.Contains(a.Text, "rate(") {
					continue
				}
				for _, wrong := range a.Check(get(t, db, a)) {
					t.Error(step, wrong)
				}
			}
		}
	}
}

// TestVariablesAndAnnotations asks for the choices at the boards' tops, and for the decisions.
func TestVariablesAndAnnotations(t *testing.T) {
	end := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
	day := boardtest.NewDay(end, 3*time.Hour, 20*time.Second)
	db, err := tsdb.Open(tsdb.Options{Dir: t.TempDir(), ExternalLabels: []metric.Label{{Name: "cluster", Value: boardtest.Cluster}}, Now: func() time.Time { return end }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := day.Fill(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	view := boardtest.View{Range: 3 * time.Hour, Step: 20 * time.Second, Chosen: boardtest.Chosen{"namespace": {"a"}}}
	want := map[string]string{"cluster": "c1", "node": "n1 n2", "namespace": "a b", "pod": "web-1 web-2", "workload": "web"}
	for _, b := range grafana.Boards() {
		vars, err := day.Variables(b, grafana.Prometheus, view)
		if err != nil || len(vars) != len(b.Vars) {
			t.Fatalf("%s: %v, %v", b.Name, vars, err)
		}
		for name, definition := range vars {
			var answer struct{ Data []string }
			inner := strings.TrimSuffix(strings.TrimPrefix(definition, "label_values("), ")")
			comma := strings.LastIndex(inner, ", ")
			selector, label := inner[:comma], inner[comma+2:]
			ask(t, db, "/api/v1/label/"+label+"/values", url.Values{"match[]": {selector}}, &answer)
			if got := strings.Join(answer.Data, " "); got != want[name] || label != name {
				t.Errorf("%s: %s: got %q, want %q", b.Name, definition, got, want[name])
			}
		}
	}
	notes, err := day.Annotations(grafana.Boards()[2], grafana.Prometheus, view)
	if err != nil || len(notes) != 2 {
		t.Fatalf("annotations: %v, %v", notes, err)
	}
	for name, text := range notes {
		at := map[string]time.Time{"Scaled down": day.Start.Add(time.Hour), "Scaled up": day.Start.Add(2 * time.Hour)}[name]
		var answer struct {
			Data struct {
				Result []struct{ Values [][2]any }
			}
		}
		ask(t, db, "/api/v1/query_range", url.Values{"query": {text}, "start": {strconv.FormatInt(day.Start.Unix(), 10)}, "end": {strconv.FormatInt(day.End.Unix(), 10)}, "step": {"20"}}, &answer)
		if r := answer.Data.Result; len(r) != 1 || len(r[0].Values) != 1 || r[0].Values[0][0] != float64(at.Unix()) {
			t.Errorf("%s: got %v, want one at %d\n%s", name, r, at.Unix(), text)
		}
	}
}

func askAll(t *testing.T, db *tsdb.DB, day *boardtest.Day, v boardtest.View) {
	for _, b := range grafana.Boards() {
		asks, err := day.Asks(b, grafana.Prometheus, v)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range asks {
			for _, wrong := range a.Check(get(t, db, a)) {
				t.Error(wrong)
			}
		}
	}
}

// get asks like Grafana.
func get(t *testing.T, db *tsdb.DB, a boardtest.Ask) boardtest.Got {
	t.Helper()
	form, path := url.Values{"query": {a.Text}}, "/api/v1/query_range"
	unix := func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
	if a.Now {
		path = "/api/v1/query"
		form.Set("time", unix(a.To))
	} else {
		form.Set("start", unix(a.From))
		form.Set("end", unix(a.To))
		form.Set("step", unix(time.Unix(int64(a.Step.Seconds()), 0)))
	}
	var answer struct {
		Error string
		Data  struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
				Values [][2]any
			}
		}
	}
	ask(t, db, path, form, &answer)
	if answer.Error != "" {
		t.Fatalf("%s: %s\n%s", a.Panel, answer.Error, a.Text)
	}
	out := boardtest.Got{}
	for _, r := range answer.Data.Result {
		if a.Now {
			r.Values = [][2]any{r.Value}
		}
		k := boardtest.Key(a.By, func(l string) string { return r.Metric[l] })
		for _, v := range r.Values {
			x, err := strconv.ParseFloat(v[1].(string), 64)
			if err != nil {
				t.Fatal(err)
			}
			out[k] = append(out[k], x)
		}
	}
	return out
}

func ask(t *testing.T, db *tsdb.DB, path string, form url.Values, answer any) {
	t.Helper()
	r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if strings.HasSuffix(path, "/values") {
		r = httptest.NewRequest("GET", path+"?"+form.Encode(), nil)
	}
	w := httptest.NewRecorder()
	db.API().ServeHTTP(w, r.WithContext(scope.With(r.Context(), scope.Whole())))
	if err := json.Unmarshal(w.Body.Bytes(), answer); err != nil {
		t.Fatalf("%s: %v: %s", path, err, w.Body)
	}
}
