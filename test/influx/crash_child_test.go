package influx_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
	influxlog "github.com/influxdata/influxdb-client-go/v2/log"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/queue"
	"plimsoll.dev/plimsoll/internal/store/influx"
)

// crashEnv holds the role of a child of the crash suite.
const crashEnv = "PLIMSOLL_CRASH_CHILD"

// TestMain is the tests, or, when the environment says so, a child that is killed. A child never runs the tests: a test
// binary that was started by itself without a role ends at once.
func TestMain(m *testing.M) {
	if role := os.Getenv(crashEnv); role != "" {
		os.Exit(crashChild(role))
	}
	parent, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", os.Getppid()))
	if self, err2 := os.Executable(); err == nil && err2 == nil && parent == self {
		fmt.Fprintln(os.Stderr, "started by itself without a role")
		os.Exit(3)
	}
	code := m.Run()
	if products != "" {
		_ = os.RemoveAll(products)
	}
	os.Exit(code)
}

// crashRole is what a child is told.
type crashRole struct {
	URL, Org, Bucket, Token string
	Client                  bool // the client's own buffer instead of our queue
	Dir                     string
	Sync                    time.Duration
	Tiny                    bool // a disk of a megabyte: small segments, nothing left alone
	Namespace               string
	Base                    time.Time // of number 0; number n is n milliseconds later
	First                   int       // the first number to append; negative: none
	Pace                    time.Duration
	Scale                   int // by how much all waits are shorter than in production
}

// crashWidth is how many containers, and so points, a batch has.
const crashWidth = 20

// crashValue is the value of a container's counter in a batch: no two are equal.
func crashValue(number, container int) float64 { return float64(1000*number + container) }

func crashName(container int) string { return fmt.Sprintf("c%02d", container) }

// crashOutlet takes batches by their number. When append returns nil the batch counts as acknowledged.
type crashOutlet interface {
	append(number int) error
	// drain returns what was dropped on purpose, when nothing waits any more.
	drain() string
}

// crashChild appends numbers and tells "a N" after N was acknowledged, "r N" after it was refused. On a line from its
// parent it appends no more, waits until everything has gone, and tells "drained".
func crashChild(role string) int {
	var r crashRole
	if err := json.Unmarshal([]byte(role), &r); err != nil {
		fmt.Println("error", err)
		return 1
	}
	var stop atomic.Bool
	go func() {
		in := bufio.NewReader(os.Stdin)
		if _, err := in.ReadString('\n'); err == nil {
			stop.Store(true)
			_, _ = in.ReadString('\n')
		}
		os.Exit(1) // the parent is gone
	}()
	open := crashQueue
	if r.Client {
		open = crashClient
	}
	out, err := open(r)
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	for n := r.First; n >= 0 && !stop.Load(); n++ {
		word := "a"
		if err := out.append(n); err != nil {
			word = "r"
		}
		_, _ = os.Stdout.Write(fmt.Appendf(nil, "%s %d\n", word, n))
		time.Sleep(r.Pace)
	}
	fmt.Println("drained", out.drain())
	return 0
}

// queued is the way of the product: sink, durable queue, writer.
type queued struct {
	r        crashRole
	q        *queue.Queue
	sink     *influx.Sink
	entities []*metric.Entity
}

func crashQueue(r crashRole) (crashOutlet, error) {
	o := queue.Options{Dir: r.Dir, SyncEvery: r.Sync}
	if r.Tiny {
		o.SegmentBytes = 64 << 10
	}
	q, err := queue.Open(o)
	if err != nil {
		return nil, err
	}
	token := ""
	if r.Token != "" {
		token = r.Dir + ".token"
		if err := os.WriteFile(token, []byte(r.Token), 0o600); err != nil {
			return nil, err
		}
	}
	conn, err := influx.NewConn(influx.ConnOptions{URL: r.URL, Org: r.Org, Bucket: r.Bucket, TokenFile: token})
	if err != nil {
		return nil, err
	}
	d := influx.OnQueue(q)
	c := &queued{r: r, q: q}
	if c.sink, err = influx.NewSink(influx.SinkOptions{Queue: d}); err != nil {
		return nil, err
	}
	w, err := influx.NewWriter(influx.WriterOptions{Conn: conn, Lanes: d.Lanes(), DeadLetters: d, Timeout: max(10*time.Second/time.Duration(r.Scale), time.Second),
		Random: func() float64 { return rand.Float64() / float64(r.Scale) }})
	if err != nil {
		return nil, err
	}
	for i := range crashWidth {
		c.entities = append(c.entities, &metric.Entity{Level: metric.Container, Node: "n", Namespace: r.Namespace, Container: crashName(i)})
	}
	go func() { _ = q.Run(context.Background()) }()
	go func() { _ = w.Run(context.Background()) }()
	return c, nil
}

func (c *queued) append(number int) error {
	at := c.r.Base.Add(time.Duration(number) * time.Millisecond)
	b := &metric.Batch{Time: at}
	for i, e := range c.entities {
		b.Groups = append(b.Groups, metric.Group{Entity: e, Points: []metric.Point{{ID: metric.CPUUsage, T: at.UnixMilli(), V: crashValue(number, i)}}})
	}
	return c.sink.Append(context.Background(), b)
}

func (c *queued) drain() string {
	for c.q.Stats().Records > 0 {
		time.Sleep(20 * time.Millisecond)
	}
	_ = c.q.Close()
	s := c.q.Stats()
	lost := s.Dropped[queue.DroppedSize].Points + s.Dropped[queue.DroppedAge].Points + s.Dropped[queue.DroppedDamaged].Points
	return fmt.Sprintf("dropped=%d dead=%d set_aside=%d", lost, s.Dead.Points, s.SetAside)
}

// buffered is influxdb-client-go's own asynchronous WriteAPI, with its default options.
type buffered struct {
	r      crashRole
	client influxdb2.Client
	lines  chan string
	done   sync.WaitGroup
}

func crashClient(r crashRole) (crashOutlet, error) {
	influxlog.Log = nil
	d := influxdb2.DefaultOptions()
	scale := uint(r.Scale)
	d.SetFlushInterval(d.FlushInterval() / scale).SetRetryInterval(d.RetryInterval() / scale).SetMaxRetryInterval(d.MaxRetryInterval() / scale).
		SetMaxRetryTime(d.MaxRetryTime() / scale).SetHTTPRequestTimeout(max(20/scale, 1)).SetPrecision(time.Millisecond)
	c := &buffered{r: r, client: influxdb2.NewClientWithOptions(r.URL, r.Token, d)}
	api := c.client.WriteAPI(r.Org, r.Bucket)
	go func() {
		for range api.Errors() { // read, as its documentation asks for
		}
	}()
	c.lines = make(chan string)
	c.done.Go(func() {
		for l := range c.lines {
			api.WriteRecord(l)
		}
		api.Flush()
		c.client.Close()
	})
	return c, nil
}

func (c *buffered) append(number int) error {
	at := c.r.Base.Add(time.Duration(number) * time.Millisecond)
	for i := range crashWidth {
		c.lines <- fmt.Sprintf("container,container=%s,namespace=%s,node=n cpu_usage_seconds_total=%g %d", crashName(i), c.r.Namespace, crashValue(number, i), at.UnixMilli())
	}
	return nil
}

// drain gives the client's buffer time after the fault, then closes it.
func (c *buffered) drain() string {
	time.Sleep(3 * time.Second)
	close(c.lines)
	c.done.Wait()
	return ""
}
