package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/aggregator/api/params"
	"plimsoll.dev/plimsoll/aggregator/capacity"
	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/duration"
	"plimsoll.dev/plimsoll/internal/scope"
	"plimsoll.dev/plimsoll/internal/serve"
	"plimsoll.dev/plimsoll/internal/store"
)

// A report reads weeks of history: it may take long, and few are made at once.
const (
	reportTime    = 2 * time.Minute
	reportsAtOnce = 2
)

// reportCSP lets a report show what is in it, and its own style, which it names by its hash: no script, no other style, nothing fetched.
func reportCSP(page []byte) string {
	style := "'none'"
	if _, rest, ok := bytes.Cut(page, []byte("<style>")); ok {
		if text, _, ok := bytes.Cut(rest, []byte("</style>")); ok {
			sum := sha256.Sum256(text)
			style = "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
		}
	}
	return "default-src 'none'; style-src " + style + "; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// report is what package capacity makes.
type report interface{ HTML(w io.Writer) error }

// getCapacity answers GET /plimsoll/v1/capacity?window=&level=&format=.
func (a *API) getCapacity(w http.ResponseWriter, r *http.Request) error {
	p := params.Read(r, "window", "level", "format")
	window, page := windowOf(p), p.WantsPage(r)
	level := p.OneOfOr("level", "", capacity.ClusterLevel, capacity.PoolLevel, capacity.NodeLevel, capacity.NamespaceLevel)
	if p.Err != nil {
		return p.Err
	}
	c, note, err := a.capacity(r.Context(), window, p.Values.Has("window"))
	if err != nil {
		return err
	}
	c.Notes = append(note, c.Notes...)
	if !scope.From(r.Context()).Nodes() {
		c.Notes = append(c.Notes, "Of machines and of the whole cluster this tells nothing: they are shown to whoever has the right to them, "+scope.NodesRight+".")
	}
	if level != "" { // a page has the cluster on top in any case
		c.Scopes = slices.DeleteFunc(c.Scopes, func(s capacity.Scope) bool { return s.Level != level && !(page && s.Level == capacity.ClusterLevel) })
	}
	return answerReport(w, c, page)
}

// getFit answers GET /plimsoll/v1/fit?cpu=&memory=&by=&window=&format=.
func (a *API) getFit(w http.ResponseWriter, r *http.Request) error {
	p := params.Read(r, "cpu", "memory", "by", "window", "format")
	window, page := windowOf(p), p.WantsPage(r)
	by := p.OneOf("by", string(capacity.ByRequest), string(capacity.ByUse))
	need := capacity.Need{CPU: p.Amount("cpu", "500m"), Memory: p.Amount("memory", "1Gi"), By: capacity.By(by)}
	if need.CPU == nil && need.Memory == nil {
		p.Fail("neither cpu nor memory is given: say how large a replica is, such as cpu=500m&memory=1Gi")
	}
	if p.Err != nil {
		return p.Err
	}
	c, note, err := a.capacity(r.Context(), window, p.Values.Has("window"))
	if err != nil {
		return err
	}
	f, err := capacity.Fit(c, need)
	if err != nil {
		return reportError(err)
	}
	f.Notes = append(note, f.Notes...)
	return answerReport(w, f, page)
}

// getRightsize answers GET /plimsoll/v1/rightsize?window=&namespace=&kind=&name=&format=.
func (a *API) getRightsize(w http.ResponseWriter, r *http.Request) error {
	p := params.Read(r, "window", "namespace", "kind", "name", "format")
	page := p.WantsPage(r)
	o := capacity.RightsizeOptions{Window: windowOf(p),
		Namespace: p.Text("namespace"), Kind: p.Text("kind"), Name: p.Text("name")}
	if p.Err != nil {
		return p.Err
	}
	if a.opts.History == nil {
		return serve.NotFound("there is no history: this process keeps none, and advice takes an hour of it")
	}
	now := time.Now()
	sees := scope.From(r.Context())
	snap, err := a.snapshot(now, sees)
	if err != nil {
		return err
	}
	rs, err := capacity.Rightsize(r.Context(), a.history(sees), snap, a.picture(now, sees).called(a.scaled(now, sees)), o)
	if err != nil {
		return reportError(err)
	}
	if o.Name != "" && len(rs.Rows)+len(rs.Notes) == 0 {
		k := workloadKey{o.Namespace, o.Kind, o.Name}
		return serve.NotFound("there is no workload %q, nor was there in this time%s; /plimsoll/v1/workloads lists those that there are", k, orHidden(sees))
	}
	return answerReport(w, rs, page)
}

// capacity makes the report that two paths look at. Without a history it has the present only, and says so. A long window ends with the
// last whole hour, of which a new installation has none: unless a window was asked for, it is told of its first minutes, with a note.
func (a *API) capacity(ctx context.Context, window time.Duration, asked bool) (r *capacity.CapacityReport, note []string, err error) {
	sees := scope.From(ctx)
	snap, err := a.snapshot(time.Now(), sees)
	if err != nil {
		return nil, nil, err
	}
	r, err = capacity.Capacity(ctx, a.history(sees), snap, a.capacityOptions(window, sees))
	if err != nil {
		return nil, nil, reportError(err)
	}
	if asked || a.opts.History == nil || !young(r, snap.Time) {
		return r, []string{}, nil
	}
	first, err := capacity.Capacity(ctx, a.history(sees), snap, a.capacityOptions(capacity.MinWindow, sees))
	if err != nil {
		return nil, nil, reportError(err)
	}
	if oldest(first).IsZero() {
		return r, []string{}, nil
	}
	return first, []string{"There is not an hour of history yet, so this looks at the newest hour alone."}, nil
}

// capacityOptions have with the window what the cluster says of machines: their pools, and why they take no new pods.
func (a *API) capacityOptions(window time.Duration, sees scope.Scope) capacity.CapacityOptions {
	o := capacity.CapacityOptions{Window: window, Pools: map[string]string{}, Unschedulable: map[string]string{}}
	for _, n := range a.nodes(sees) {
		if n.Pool != "" {
			o.Pools[n.Name] = n.Pool
		}
		var why []string
		if n.Unschedulable {
			why = append(why, "cordoned")
		}
		if n.Ready != "" && n.Ready != "True" { // the node controller taints it
			why = append(why, "not Ready")
		}
		if len(why) > 0 {
			o.Unschedulable[n.Name] = strings.Join(why, " and ")
		}
	}
	return o
}

// young says whether the history had nothing, or began less than an hour ago.
func young(c *capacity.CapacityReport, now time.Time) bool {
	first := oldest(c)
	return first.IsZero() || now.Sub(first) < capacity.MinWindow
}

// oldest is when the history of a report begins; zero: it had nothing.
func oldest(c *capacity.CapacityReport) (first time.Time) {
	for i := range c.Scopes {
		if at := c.Scopes[i].Data.First; at != nil && (first.IsZero() || at.Before(first)) {
			first = *at
		}
	}
	return first
}

// history is what a scope sees of the past; nil where there is none.
func (a *API) history(sees scope.Scope) capacity.History {
	if a.opts.History == nil {
		return nil
	}
	return seen{a.opts.History, sees}
}

// seen is the part of a history that a scope sees; there is nothing of the rest.
type seen struct {
	of   History
	sees scope.Scope
}

// Query implements History.
func (h seen) Query(ctx context.Context, q store.Query) ([]store.Series, error) {
	q, ok := q.Within(h.sees)
	if !ok {
		return nil, nil
	}
	return h.of.Query(ctx, q)
}

// snapshot is of the newest picture what a scope sees; a report of nothing would look like one of an empty cluster.
func (a *API) snapshot(now time.Time, sees scope.Scope) (*live.Snapshot, error) {
	if s := a.opts.Pictures.Snapshot(now); s != nil {
		return s.Within(sees), nil
	}
	return nil, serve.Unavailable("there is no report yet: no machine has sent a sample")
}

// reportError gives a report's error its status.
func reportError(err error) error {
	if errors.Is(err, capacity.ErrBadOptions) {
		return serve.BadRequest("cannot make the report: %w", err)
	}
	return serve.ReadError("the history for the report", err)
}

// answerReport writes a report as JSON, or as a page.
func answerReport(w http.ResponseWriter, v report, page bool) error {
	h := w.Header()
	h.Add("Vary", "Accept")
	if !page {
		return serve.WriteJSON(w, v)
	}
	var b bytes.Buffer
	if err := v.HTML(&b); err != nil {
		return err
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", reportCSP(b.Bytes()))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	_, _ = w.Write(b.Bytes()) // a client that has gone has nobody to tell
	return nil
}

// windowOf returns how much of the past a report looks at.
func windowOf(p *params.Params) time.Duration {
	if !p.Values.Has("window") {
		return capacity.DefaultWindow
	}
	s := p.Values.Get("window")
	d, err := duration.Parse(s)
	if d = d.Truncate(time.Millisecond); err != nil || d < capacity.MinWindow || d > capacity.MaxWindow {
		p.Fail("window %q is not from %s to %s: give such as %s, 2w or 36h", s, duration.Format(capacity.MinWindow), duration.Format(capacity.MaxWindow), duration.Format(capacity.DefaultWindow))
		return capacity.DefaultWindow
	}
	return d
}
