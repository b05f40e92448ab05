package fanout

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/remotewrite"
)

// network is servers by their address, and the name server.
type network struct {
	mu     sync.Mutex
	found  []string
	err    error
	hangs  bool              // the name server
	status map[string]int    // of an address; 0 is 204, -1 hangs
	got    map[string]string // by address, a letter for each batch: l(ive), f(ull)
	open   map[string]int    // clients that are in use
	looked int
}

func (n *network) LookupHost(ctx context.Context, host string) ([]string, error) {
	n.mu.Lock()
	hangs, found, err := n.hangs, slices.Clone(n.found), n.err
	n.looked++
	n.mu.Unlock()
	if host != "plimsoll.example" {
		return nil, fmt.Errorf("looked up %q", host)
	}
	if hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return found, err
}

// change changes the network.
func (n *network) change(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

// end is the way to an address.
type end struct {
	*network
	address string
}

func (n *network) client(address string) *http.Client {
	n.change(func() { n.open[address]++ })
	return dial.Client(&end{n, address})
}

func (e *end) RoundTrip(r *http.Request) (*http.Response, error) {
	status := 0
	e.change(func() { status = e.status[e.address] })
	if status == -1 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if r.URL.Host != "plimsoll.example:8082" || r.URL.Path != "/api/v1/write" || r.Header.Get(remotewrite.SourceHeader) != "me" {
		return nil, fmt.Errorf("got a request to %s with %v", r.URL, r.Header)
	}
	if status == 0 {
		e.change(func() {
			lane := r.Header.Get(remotewrite.LaneHeader)
			e.got[e.address] += lane[strings.LastIndex(lane, "-")+1:][:1]
		})
		status = http.StatusNoContent
	}
	return &http.Response{StatusCode: status, Status: fmt.Sprint(status), Body: http.NoBody}, nil
}

func (e *end) CloseIdleConnections() { e.change(func() { e.open[e.address] = 0 }) }

// rig is a fan-out to one name.
type rig struct {
	*network
	*Fanout
	t    *testing.T
	logs *bytes.Buffer
	reg  *prometheus.Registry
}

func newRig(t *testing.T, o Options, found ...string) *rig {
	t.Helper()
	r := &rig{t: t, logs: &bytes.Buffer{}, reg: prometheus.NewRegistry(),
		network: &network{found: found, status: map[string]int{}, got: map[string]string{}, open: map[string]int{}}}
	o.Servers, o.Source, o.Client, o.Resolver = []string{"https://plimsoll.example:8082"}, "me", r.client, r.network
	o.Flags = dial.Flags{Address: "--server", CAFile: "--server-ca-file", TokenFile: "--server-token-file"}
	o.Logger, o.Registerer = slog.New(slog.NewTextHandler(r.logs, nil)), r.reg
	var err error
	if r.Fanout, err = New(o); err != nil {
		t.Fatal(err)
	}
	return r
}

// running runs it for the test.
func (r *rig) running() {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	r.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
		r.wantServers()
	})
	synctest.Wait()
}

// after sends a batch a second, the last one of everything, and says what each address got since before.
func (r *rig) after(seconds int) string {
	r.t.Helper()
	r.change(func() { clear(r.got) })
	for i := range seconds {
		time.Sleep(500 * time.Millisecond)
		if err := r.Take(r.t.Context(), &metric.Batch{Node: "n1", Time: time.Now(), Fast: true}); err != nil {
			r.t.Fatal(err)
		}
		synctest.Wait()
		if i == seconds-1 {
			_ = r.Take(r.t.Context(), &metric.Batch{Node: "n1", Time: time.Now()})
		}
		time.Sleep(500 * time.Millisecond)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for address, got := range r.got {
		out = append(out, address+":"+got)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// wantServers compares the label server of what was sent.
func (r *rig) wantServers(want ...string) {
	r.t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	var got []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "plimsoll_collector_live_sent_total" {
				got = append(got, m.GetLabel()[0].GetValue())
			} else if f.GetName() == "plimsoll_collector_live_dropped_total" && !slices.Contains(want, m.GetLabel()[1].GetValue()) {
				r.t.Errorf("left behind: %v", m)
			}
		}
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("got servers %q, want %q", got, want)
	}
}

const name = "https://plimsoll.example:8082"

// Addresses come and go within one look-up, a failed look-up changes nothing, and neither a dead address nor a name server that hangs
// delays anyone.
func TestAddressesComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{}, "192.0.2.1")
		r.running()
		want := func(seconds int, want string) {
			t.Helper()
			if got := r.after(seconds); got != want {
				t.Errorf("after %v: got %q, want %q", time.Now(), got, want)
			}
		}
		want(5, ":lllllf")
		r.wantServers(name)

		r.change(func() { r.found = []string{"192.0.2.2", "192.0.2.1", "192.0.2.2"} })
		r.after(5)
		want(3, "192.0.2.1:lllf 192.0.2.2:lllf")
		r.wantServers(name+" (192.0.2.1)", name+" (192.0.2.2)")
		if r.open[""] != 0 || r.open["192.0.2.1"] != 1 {
			t.Errorf("connections: %v", r.open)
		}

		r.change(func() { r.found, r.status["192.0.2.2"] = append(r.found, "192.0.2.3"), -1 })
		r.after(5)
		want(10, "192.0.2.1:llllllllllf 192.0.2.3:llllllllllf")
		if err := r.Health(); err == nil || strings.Count(err.Error(), "has not taken") != 1 || !strings.Contains(err.Error(), "(192.0.2.2) has not taken the live lane") {
			t.Errorf("health: %v", err)
		}

		r.change(func() { r.found = []string{"192.0.2.1", "192.0.2.3"} })
		r.after(5)
		if err := r.Health(); err != nil || r.open["192.0.2.2"] != 0 {
			t.Errorf("an address that is gone: %v, %v", err, r.open)
		}
		r.wantServers(name+" (192.0.2.1)", name+" (192.0.2.3)")

		r.change(func() { r.found, r.err = nil, errors.New("no such host") })
		r.after(6)
		want(10, "192.0.2.1:llllllllllf 192.0.2.3:llllllllllf")
		r.change(func() { r.err = nil })
		r.after(6)
		if n := strings.Count(r.logs.String(), "cannot look"); n != 1 {
			t.Errorf("told %d times: %s", n, r.logs)
		}
		r.change(func() { r.hangs = true })
		r.after(6)
		want(10, "192.0.2.1:llllllllllf 192.0.2.3:llllllllllf")

		r.change(func() { r.hangs, r.found = false, []string{"192.0.2.3"} })
		r.after(11)
		want(2, ":llf")
		r.wantServers(name)
	})
}

// A login that is wrong is told of at once: only a person can mend it.
func TestWrongLoginIsToldAtOnce(t *testing.T) {
	for _, status := range []int{401, 403} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Options{}, "192.0.2.1")
			r.change(func() { r.status[""] = status })
			r.running()
			r.after(2)
			if err := r.Health(); err == nil || !strings.Contains(err.Error(), "--server-token-file") {
				t.Errorf("after two seconds of %d: %v", status, err)
			}
		})
	}
}

// What has no second address is not split: IPv6 beside IPv4, an address, this machine, no resolver. The first may be away at the start.
func TestOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{}, "2001:db8::1", "192.0.2.1")
		r.running()
		if got := r.after(2); got != ":llf" {
			t.Errorf("got %q", got)
		}
		r.change(func() { r.found = []string{"2001:db8::1", "2001:db8::2"} })
		r.after(5)
		if got := r.after(1); got != "2001:db8::1:lf 2001:db8::2:lf" {
			t.Errorf("got %q", got)
		}
	})
	for _, server := range []string{"https://192.0.2.1:1", "https://[2001:db8::1]", "http://localhost:1"} {
		f, err := New(Options{Servers: []string{server}, Client: new(network{open: map[string]int{}}).client, Resolver: &network{}})
		if err != nil || f.servers[0].host != "" {
			t.Errorf("%s: looks up %q, %v", server, f.servers[0].host, err)
		}
	}
}

// The server that has the history lane gets no full batches here. Of several addresses nobody knows which has it: all get them.
func TestHistoryBringsTheFullBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Options{History: name + "/api/v1/write"}, "192.0.2.1")
		r.running()
		if got := r.after(5); got != ":lllll" {
			t.Errorf("got %q", got)
		}
		r.change(func() { r.found = []string{"192.0.2.1", "192.0.2.2"} })
		r.after(5)
		if got := r.after(1); got != "192.0.2.1:lf 192.0.2.2:lf" {
			t.Errorf("got %q", got)
		}
	})
}

// A server that fails in another way than before is told of again, with what can be done, and the same failure is not.
func TestEachFailureIsToldOnce(t *testing.T) {
	r := newRig(t, Options{}, "192.0.2.1")
	x, b := r.servers[0].senders[""], &metric.Batch{Node: "n1", Time: time.Now(), Fast: true}
	for _, c := range []struct {
		status, lines int
		word          string
	}{{503, 1, "503"}, {503, 1, "503"}, {401, 2, "--server-token-file"}, {401, 2, "--server-token-file"}, {204, 3, "again"}} {
		r.status[""] = c.status
		x.settle(t.Context(), x.send(t.Context(), b))
		lines := strings.Split(strings.TrimSpace(r.logs.String()), "\n")
		if len(lines) != c.lines || !strings.Contains(lines[len(lines)-1], c.word) {
			t.Errorf("after %d: got %q, want %d lines, the last with %q", c.status, lines, c.lines, c.word)
		}
	}
}

func TestOptions(t *testing.T) {
	f := func(o Options, want string) {
		t.Helper()
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	client := func(string) *http.Client { return nil }
	f(Options{Client: client}, "no servers")
	f(Options{Servers: []string{name}}, "no Client")
	f(Options{Servers: []string{"http://ann:secret@a b"}, Client: client}, `server "http://xxxxx@a b"`)
}
