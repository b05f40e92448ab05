package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"plimsoll.dev/plimsoll/collector"
	"plimsoll.dev/plimsoll/collector/cadvisor"
	"plimsoll.dev/plimsoll/collector/cgroup"
	"plimsoll.dev/plimsoll/collector/names"
	"plimsoll.dev/plimsoll/internal/metric"
)

// play is what this program does in another role.
func play(role string) error {
	switch role {
	case "collector":
		return collectorAlone()
	case "cadvisor":
		return cadvisorAlone(time.Second)
	}
	return fmt.Errorf("no role %q", role)
}

// counting takes batches and counts their samples.
type counting struct{ samples, groups atomic.Int64 }

// Take counts.
func (c *counting) Take(_ context.Context, b *metric.Batch) error {
	c.samples.Add(int64(b.Samples()))
	c.groups.Store(int64(len(b.Groups)))
	return nil
}

// collectorAlone is the collector with both readers and nowhere to send to.
func collectorAlone() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	n, err := names.New(names.Options{})
	if err != nil {
		return err
	}
	fast, err := cgroup.New(cgroup.Options{Node: "bench", Namer: n})
	if err != nil {
		return err
	}
	defer fast.Close()
	full, err := cadvisor.New(cadvisor.Options{Node: "bench", Namer: n, Starts: fast})
	if err != nil {
		return err
	}
	var live, history counting
	c, err := collector.New(collector.Options{Full: full, Fast: fast, Live: &live, History: &history})
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- full.Run(ctx) }()
	go func() { ended <- c.Run(ctx) }()
	err = <-ended
	stop()
	err = errorsJoin(err, <-ended)
	fmt.Printf("live %d samples, history %d samples of %d entities\n", live.samples.Load(), history.samples.Load(), history.groups.Load())
	return err
}

// collector compares the whole collector (everything at 10 s and CPU and memory at 1 s) with cAdvisor's library alone at 1 s.
func (b *bench) collector(ctx context.Context) ([]result, error) {
	f, err := plant(b.cgroups)
	if err != nil {
		return nil, err
	}
	defer f.cut()
	ours, err := start("collector")
	if err != nil {
		return nil, err
	}
	theirs, err := start("cadvisor")
	if err != nil {
		return nil, errorsJoin(err, ours.end())
	}
	type answer struct {
		cost
		err error
	}
	peer := make(chan answer, 1)
	go func() {
		c, err := theirs.watch(ctx, 25*time.Second, b.seconds)
		peer <- answer{c, err}
	}()
	mine, err := ours.watch(ctx, 25*time.Second, b.seconds)
	other := <-peer
	if err := errorsJoin(err, other.err, ours.end()); err != nil {
		return nil, fmt.Errorf("%w: %s", err, ours.out.String())
	}
	_ = theirs.end() // how the peer ends is its own matter
	if !seesAll(theirs.out.String(), b.cgroups) {
		return nil, fmt.Errorf("the peer did not see the %d cgroups: %s", b.cgroups, theirs.out.String())
	}
	note := strings.TrimSpace(ours.out.String())
	name := fmt.Sprintf("collector, %d cgroups, 10 s full and 1 s fast", b.cgroups)
	return []result{
		{Name: name + ", CPU", Figure: mine.cores, Unit: "core", Bar: 0.08, AtMost: true, Peer: "cAdvisor library at 1 s", Theirs: other.cores, Note: note},
		{Name: name + ", memory", Figure: mine.mib, Unit: "MiB", Bar: 60, AtMost: true, Peer: "cAdvisor library at 1 s", Theirs: other.mib},
	}, nil
}

// seesAll says whether the peer's closing line counts at least n entities.
func seesAll(out string, n int) bool {
	for line := range strings.Lines(out) {
		var seen int
		if _, err := fmt.Sscanf(line, "%d entities", &seen); err == nil {
			return seen >= n
		}
	}
	return false
}

// whole starts Plimsoll itself over the forest: how soon there is something to draw, and what it costs to keep it running.
func (b *bench) whole(ctx context.Context) ([]result, error) {
	f, err := plant(b.cgroups)
	if err != nil {
		return nil, err
	}
	defer f.cut()
	dir, err := os.MkdirTemp("", "plimsoll-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	addr, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	c := &child{cmd: exec.Command(b.plimsoll, "run", "--listen", addr, "--data", dir, "--node", "bench")}
	began := time.Now()
	if err := c.begin(); err != nil {
		return nil, err
	}
	first, err := firstChart(ctx, "http://"+addr, began)
	if err != nil {
		return nil, errorsJoin(err, c.end(), fmt.Errorf("%s", c.out.String()))
	}
	cost, err := c.watch(ctx, 30*time.Second, b.seconds)
	if err != nil {
		return nil, errorsJoin(err, c.end())
	}
	series, err := headSeries(ctx, "http://"+addr)
	if err := errorsJoin(err, c.end()); err != nil {
		return nil, fmt.Errorf("%w: %s", err, c.out.String())
	}
	return []result{
		{Name: "plimsoll run, first chart after start", Figure: first.Seconds(), Unit: "s", Bar: 2, AtMost: true, Note: fmt.Sprintf("%d cgroups; the page is served and the stream has brought two points", b.cgroups)},
		{Name: "plimsoll run, memory", Figure: cost.mib, Unit: "MiB", Bar: 200, AtMost: true, Note: fmt.Sprintf("%.0f series in the store; %.3f core", series, cost.cores)},
	}, nil
}

func freePort(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// firstChart waits until the page is there and its stream has brought two overviews with the node's CPU: a line.
func firstChart(ctx context.Context, url string, began time.Time) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		if body, err := get(ctx, url+"/"); err == nil && strings.Contains(body, "<html") {
			break
		}
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return 0, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/plimsoll/v1/stream", nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	seen, buf := "", make([]byte, 64<<10)
	for {
		n, err := resp.Body.Read(buf)
		seen += string(buf[:n])
		if points(seen) >= 2 {
			return time.Since(began), nil
		}
		if err != nil {
			return 0, fmt.Errorf("the stream brought no line: %w", err)
		}
	}
}

// points counts the different values of the node's CPU and memory that a stream has brought: what the first chart is drawn from.
func points(stream string) int {
	values := map[string]bool{}
	for event := range strings.SplitSeq(stream, "\n\n") {
		if _, after, ok := strings.Cut(event, `"node":{`); ok {
			_, after, _ = strings.Cut(after, `"cpu":`)
			cpu, _, _ := strings.Cut(after, ",")
			_, after, _ = strings.Cut(after, `"workingSet":`)
			memory, _, ok := strings.Cut(after, ",")
			if ok && cpu != "null" && memory != "null" {
				values[cpu+" "+memory] = true
			}
		}
	}
	return len(values)
}

func get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	return string(raw), err
}

// headSeries asks Plimsoll's own metrics how many series the store holds.
func headSeries(ctx context.Context, url string) (float64, error) {
	body, err := get(ctx, url+"/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(body) {
		var v float64
		if _, err := fmt.Sscanf(line, "plimsoll_store_series %g", &v); err == nil {
			return v, nil
		}
	}
	return 0, fmt.Errorf("no plimsoll_store_series at %s/metrics", url)
}
