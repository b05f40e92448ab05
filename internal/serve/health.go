package serve

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Check asks one part of the flow whether it moves. Its error is for people.
type Check struct {
	Name string
	// Stuck says what only a restart can mend: a standstill of StuckAfter and more, as a machine that is merely too busy mends itself, and a restart is one more
	// thing that it has to do. It fails /livez; Test alone only makes the process not ready. nil: nothing of this part is mended so.
	Stuck func() error
	// Fed marks a check of what others send: without it there is nothing to show, but the process can still take it, so it is ready.
	Fed bool
	// Told marks a check that /livez lists by its name, for whoever looks for it there, and does not fail by, since a restart mends nothing.
	Told bool
	// Warns marks a check of what will go wrong, and has not yet: /readyz lists it, and fails by it only where it is asked for alone. Who is not ready
	// is asked by nobody, which would be the failure, before its time.
	Warns bool
	Test  func() error
	// Note is what there is to know all the same where the test passes, for people; "" where there is nothing. nil: there never is.
	Note func() string
}

// StuckAfter is how long a part must have stood still before its process is restarted for it.
const StuckAfter = time.Minute

// lives says whether /livez asks a check, and lively what it asks.
func (c Check) lives() bool { return c.Stuck != nil || c.Told }

func (c Check) lively() error {
	if c.Stuck != nil {
		return c.Stuck()
	}
	return c.Test()
}

// Health returns the routes /livez, /readyz and /healthz. Each check can be asked for alone
// (/readyz/collector) or left out (?exclude=store), and ?verbose lists them, as in kube-apiserver.
// They need no login, except where a web configuration file asks for one before all routes.
func Health(checks []Check) []Route {
	live := slices.DeleteFunc(slices.Clone(checks), func(c Check) bool { return !c.lives() })
	ready := slices.DeleteFunc(slices.Clone(checks), func(c Check) bool { return c.Fed })
	var out []Route
	for path, cs := range map[string][]Check{"/livez": live, "/readyz": ready, "/healthz": checks} {
		for _, pattern := range []string{path, path + "/{check...}"} {
			out = append(out, Route{Method: "GET", Pattern: pattern, Handler: healthHandler(path, cs), open: true})
		}
	}
	return out
}

func healthHandler(path string, checks []Check) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		only := r.PathValue("check")
		exclude := r.URL.Query()["exclude"]
		var b strings.Builder
		bad, asked := 0, 0
		for _, c := range checks {
			if only != "" && c.Name != only || slices.Contains(exclude, c.Name) {
				continue
			}
			asked++
			test := c.Test
			if path == "/livez" {
				test = c.lively
			}
			if err := test(); err != nil {
				if path == "/healthz" || path == "/livez" && c.Stuck != nil || path == "/readyz" && (!c.Warns || only != "") {
					bad++
				}
				fmt.Fprintf(&b, "[-]%s failed: %v\n", c.Name, err)
				continue
			}
			note := ""
			if c.Note != nil {
				note = c.Note()
			}
			if note != "" {
				note = ": " + note
			}
			fmt.Fprintf(&b, "[+]%s ok%s\n", c.Name, note)
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		switch {
		case only != "" && asked == 0:
			http.Error(w, fmt.Sprintf("there is no check %q", only), http.StatusNotFound)
		case bad > 0:
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintf(w, "%s%s check failed\n", b.String(), path[1:])
		case r.URL.Query().Has("verbose"):
			fmt.Fprintf(w, "%s%s check passed\n", b.String(), path[1:])
		default:
			fmt.Fprint(w, "ok")
		}
	})
}
