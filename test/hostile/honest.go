package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The addresses of this machine from which everybody comes: on a loopback address the limits of a host are those of an address.
const (
	fromHonest  = "127.0.0.2"
	fromReader  = "127.0.0.3"
	fromHostile = "127.0.0.66"
	fromInsider = "127.0.0.67"
)

// sender sends samples as a collector does that keeps what was not taken, and remembers those that were.
type sender struct {
	p       *product
	acked   map[string]float64 // by container and millisecond
	refused int
}

const honestSeries = 20

func (s *sender) run(ctx context.Context) {
	s.acked = map[string]float64{}
	c := s.p.client(fromHonest, 10*time.Second)
	defer c.CloseIdleConnections()
	var waiting [][]one
	for n := 0; ctx.Err() == nil; n++ {
		now := time.Now().UnixMilli()
		var batch []one
		for i := range honestSeries {
			batch = append(batch, one{value: float64(1000*n + i), ms: now, labels: []string{"__name__", "container_memory_rss", "container", fmt.Sprint("c", i),
				"namespace", "honest", "node", "honest", "pod", "p"}})
		}
		waiting = append(waiting, batch)
		for len(waiting) > 0 && s.send(ctx, c, waiting[0]) {
			waiting = waiting[1:]
		}
		if sleep(ctx, 500*time.Millisecond) != nil {
			return
		}
	}
}

func (s *sender) send(ctx context.Context, c *http.Client, batch []one) bool {
	r, err := s.p.request(ctx, http.MethodPost, "/api/v1/write", "honest", bytes.NewReader(encode(batch)))
	if err != nil {
		return false
	}
	setWrite(r, "honest-process", false)
	resp, err := c.Do(r)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	if err != nil || resp.StatusCode/100 != 2 {
		s.refused++
		return false
	}
	for _, x := range batch {
		s.acked[x.labels[3]+" "+strconv.FormatInt(x.ms, 10)] = x.value
	}
	return true
}

// lost counts what was acknowledged and is not in the history.
func (s *sender) lost(ctx context.Context) ([]figure, error) {
	var got struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Values [][2]any
			}
		}
	}
	if err := s.p.ask(ctx, "/api/v1/query?query="+url.QueryEscape(`container_memory_rss{node="honest"}[15m]`), &got); err != nil {
		return nil, err
	}
	there := map[string]float64{}
	for _, series := range got.Data.Result {
		for _, v := range series.Values {
			f, err := strconv.ParseFloat(v[1].(string), 64)
			if err != nil {
				return nil, err
			}
			there[series.Metric["container"]+" "+strconv.FormatInt(int64(v[0].(float64)*1000+0.5), 10)] = f
		}
	}
	lost := 0
	for k, v := range s.acked {
		if is, ok := there[k]; !ok || is != v {
			lost++
		}
	}
	if len(s.acked) == 0 {
		lost = 1 // a sender who is never heard has lost all
	}
	return []figure{{"acknowledged points lost", float64(lost), "", 0, fmt.Sprintf("of %d, after kill -9; %d requests had to be sent again", len(s.acked), s.refused), false}}, nil
}

// readers look at the page and its stream.
type readers struct {
	p       *product
	mu      sync.Mutex
	took    []time.Duration // answers of the page
	gaps    []time.Duration // between the stream's events
	failed  []string
	reopens int
	wholes  int // answers of all that there is
	wrong   []string
}

func newReaders(p *product) *readers { return &readers{p: p} }

// reset forgets what was before the attack.
func (r *readers) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.took, r.gaps, r.failed, r.reopens, r.wholes, r.wrong = nil, nil, nil, 0, 0, nil
}

func (r *readers) note(took time.Duration, wrong string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if wrong != "" {
		r.failed = append(r.failed, wrong)
	} else {
		r.took = append(r.took, took)
	}
}

// pages are the page, what it shows, and what top and kubectl ask for.
var pages = []string{"/", "/plimsoll/v1/overview?limit=20", "/plimsoll/v1/workloads", "/plimsoll/v1/decisions?limit=20", "/plimsoll/v1/nodes", "/plimsoll/v1/containers?limit=20",
	"/plimsoll/v1/workloads/demo/ProcessService/web"}

// whole is all that there is, as top asks for it: it comes in its turn.
const whole, wholeIn = "/plimsoll/v1/containers?limit=10000", 30 * time.Second

// all asks for it now and then.
func (r *readers) all(ctx context.Context) {
	c := r.p.client(fromReader, wholeIn)
	defer c.CloseIdleConnections()
	for ctx.Err() == nil {
		req, err := r.p.request(ctx, http.MethodGet, whole, "reader", nil)
		if err != nil {
			return
		}
		wrong := do(ctx, c, req)
		r.mu.Lock()
		if r.wholes++; wrong != "200" && ctx.Err() == nil {
			r.wrong = append(r.wrong, wrong)
		}
		r.mu.Unlock()
		_ = sleep(ctx, time.Second)
	}
}

// page asks for the page and what it shows, over and over.
func (r *readers) page(ctx context.Context) {
	c := r.p.client(fromReader, patience)
	defer c.CloseIdleConnections()
	for n := 0; ctx.Err() == nil; n++ {
		if n%10 == 0 {
			c.CloseIdleConnections() // somebody else looks at it
		}
		path := pages[n%len(pages)]
		began := time.Now()
		req, err := r.p.request(ctx, http.MethodGet, path, "reader", nil)
		if err != nil {
			return
		}
		resp, err := c.Do(req)
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			r.note(0, path+": "+err.Error())
		case resp.StatusCode != http.StatusOK:
			r.note(0, path+": "+resp.Status)
		default:
			r.note(time.Since(began), "")
		}
		_ = sleep(ctx, 250*time.Millisecond)
	}
}

// patience is how long a reader waits for the page.
const patience = 10 * time.Second

// stream reads the stream; it is to say something every second or so.
func (r *readers) stream(ctx context.Context) {
	c := r.p.client(fromReader, 0)
	defer c.CloseIdleConnections()
	for last := time.Now(); ctx.Err() == nil; {
		req, err := r.p.request(ctx, http.MethodGet, "/plimsoll/v1/stream?limit=20", "reader", nil)
		if err != nil {
			return
		}
		if resp, err := c.Do(req); err == nil {
			lines := bufio.NewScanner(resp.Body)
			lines.Buffer(nil, 4<<20)
			for lines.Scan() {
				if strings.HasPrefix(lines.Text(), "event:") {
					r.mu.Lock()
					r.gaps = append(r.gaps, time.Since(last))
					r.mu.Unlock()
					last = time.Now()
				}
			}
			_ = resp.Body.Close()
		}
		r.mu.Lock()
		r.reopens++
		r.mu.Unlock()
		_ = sleep(ctx, time.Second)
	}
}

// judged is for how long there must have been attacks: in less time so few requests are made that the 99th percentile is the slowest of them.
const judged = 2 * time.Minute

func (r *readers) figures(during time.Duration) []figure {
	r.mu.Lock()
	defer r.mu.Unlock()
	note := fmt.Sprintf("of %d", len(r.took)+len(r.failed))
	if len(r.failed) > 0 {
		note += "; the last: " + r.failed[len(r.failed)-1]
	}
	longest := time.Hour // no event at all
	if len(r.gaps) > 0 {
		longest = slices.Max(r.gaps)
	}
	few := during < judged
	return []figure{
		{"page: requests not answered", float64(len(r.failed)), "", 0, note, few},
		{"page: p99", p99(r.took).Seconds() * 1000, "ms", 5000, "", few},
		{"top containers: requests not answered", float64(len(r.wrong)), "", 0, fmt.Sprintf("of %d, within %v %s", r.wholes, wholeIn, strings.Join(r.wrong, ", ")), few},
		{"stream: longest silence", longest.Seconds(), "s", 10, fmt.Sprintf("%d events, p99 %.3g s, opened again %d times", len(r.gaps), p99(r.gaps).Seconds(), max(r.reopens-1, 0)), few},
	}
}

func p99(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return time.Hour
	}
	d = slices.Sorted(slices.Values(d))
	return d[(len(d)*99+99)/100-1]
}
