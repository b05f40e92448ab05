package demo

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"plimsoll.dev/plimsoll/autoscaler/process"
)

const (
	// meanCost is the mean CPU time of a request; each one's own is between half and one and a half of it.
	meanCost = 30 * time.Millisecond
	// maxInFlight is how many requests may be under way; those beyond are refused, as a busy front end would.
	maxInFlight = 64
	// requestTimeout is how long an answer may take.
	requestTimeout = 20 * time.Second
)

// LoadOptions are what a Load needs.
type LoadOptions struct {
	Dir   string // folder of the replicas' sockets
	Cores int    // of the machine
	// Ready returns the names of the replicas that take requests now; see Ready.
	Ready      func() []string
	Logger     *slog.Logger
	Registerer prometheus.Registerer // nil registers none
}

// Ready lists the ready replicas of the demo's service.
func Ready(s *process.Supervisor) func() []string {
	return func() []string {
		rs, _ := s.Replicas(process.Key{Namespace: Namespace, Name: Name}) // of a service that is not there, none
		var out []string
		for _, r := range rs {
			if r.Ready {
				out = append(out, r.Name)
			}
		}
		return out
	}
}

// Load sends requests in the rhythm of Wave, at random moments, each to the ready replica with the fewest requests
// under way. The total does not depend on how many replicas there are: with more of them each has less to do.
type Load struct {
	opts     LoadOptions
	client   *http.Client
	rng      *rand.Rand // of Run's goroutine
	requests *prometheus.CounterVec
	took     prometheus.Histogram

	mu    sync.Mutex
	busy  map[string]int // requests under way, by replica
	total int
	turn  int
}

// NewLoad builds a Load. It starts nothing.
func NewLoad(o LoadOptions) *Load {
	f := promauto.With(o.Registerer)
	l := &Load{opts: o, rng: rand.New(rand.NewPCG(1, 1)), busy: map[string]int{},
		requests: f.NewCounterVec(prometheus.CounterOpts{Name: "plimsoll_demo_requests_total",
			Help: "Requests of the demo's load, by outcome (ok, failed, refused: too many under way, nobody: no replica was ready)."}, []string{"outcome"}),
		took: f.NewHistogram(prometheus.HistogramOpts{Name: "plimsoll_demo_request_duration_seconds",
			Help: "Time until the demo's service answered.", Buckets: prometheus.ExponentialBuckets(0.01, 2, 10)})}
	l.client = &http.Client{Timeout: requestTimeout, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) {
			replica, _, _ := net.SplitHostPort(addr) // net/http gives a port to each address
			var d net.Dialer
			return d.DialContext(ctx, "unix", socketPath(o.Dir, replica))
		},
		MaxIdleConnsPerHost: 4, IdleConnTimeout: 10 * time.Second, DisableCompression: true,
	}}
	return l
}

// Run sends requests until ctx ends and returns when the last has been answered.
func (l *Load) Run(ctx context.Context) error {
	began := time.Now()
	var wg sync.WaitGroup
	defer func() {
		wg.Wait()
		l.client.CloseIdleConnections()
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		cost := time.Duration((0.5 + l.rng.Float64()) * float64(meanCost))
		if replica, outcome := l.choose(); outcome != "" {
			l.requests.WithLabelValues(outcome).Inc()
		} else {
			wg.Go(func() {
				defer l.release(replica)
				l.send(ctx, replica, cost)
			})
		}
		timer.Reset(l.pause(time.Since(began)))
	}
}

// pause is the time until the next request: random, with the mean that Wave asks for.
func (l *Load) pause(at time.Duration) time.Duration {
	rate := Wave(at) * target * float64(Request(l.opts.Cores)) / 1000 / meanCost.Seconds() // requests a second
	return time.Duration(min(5, -math.Log(1-l.rng.Float64())/rate) * float64(time.Second))
}

// choose takes the ready replica with the fewest requests under way, going round among equals.
func (l *Load) choose() (replica, refused string) {
	ready := l.opts.Ready()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case len(ready) == 0:
		return "", "nobody"
	case l.total >= maxInFlight:
		return "", "refused"
	}
	l.turn++
	for i := range ready {
		r := ready[(l.turn+i)%len(ready)]
		if replica == "" || l.busy[r] < l.busy[replica] {
			replica = r
		}
	}
	l.busy[replica]++
	l.total++
	return replica, ""
}

func (l *Load) release(replica string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.busy[replica]--; l.busy[replica] == 0 {
		delete(l.busy, replica)
	}
}

// send sends one request and reads its answer.
func (l *Load) send(ctx context.Context, replica string, cost time.Duration) {
	began := time.Now()
	err := l.ask(ctx, replica, cost)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		l.requests.WithLabelValues("failed").Inc()
		l.opts.Logger.Debug("demo request failed", "replica", replica, "err", err)
	default:
		l.requests.WithLabelValues("ok").Inc()
		l.took.Observe(time.Since(began).Seconds())
	}
}

func (l *Load) ask(ctx context.Context, replica string, cost time.Duration) error {
	u := url.URL{Scheme: "http", Host: replica, Path: "/", RawQuery: url.Values{"cost": {cost.String()}}.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("replica %q answered %s", replica, resp.Status)
	}
	return nil
}
