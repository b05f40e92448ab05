package demo

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/autoscaler"
	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/autoscaler/process"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// TestMain lets the test binary be a guard and a replica.
func TestMain(m *testing.M) {
	if process.GuardMain() {
		return
	}
	if len(os.Args) == 4 && os.Args[1] == Command {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		err := Serve(ctx, os.Args[3], slog.New(slog.DiscardHandler))
		stop()
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestDocuments(t *testing.T) {
	f, err := Documents(`/opt/"odd" dir/plimsoll`, "/run/x", 2)
	if err != nil {
		t.Fatal(err)
	}
	s, p := f.Services[0], f.Policies[0]
	if s.Command[0] != `/opt/"odd" dir/plimsoll` || s.Command[3] != "/run/x/$(REPLICA).sock" || s.ReadyWhen.Connect != "unix:/run/x/$(REPLICA).sock" {
		t.Errorf("service %+v", s)
	}
	if s.Requests.CPU != 100 || s.Replicas != 1 || p.Compiled.Min() != 1 || p.Compiled.Max() != 10 {
		t.Errorf("service %+v, policy %+v", s, p)
	}
}

// The demo must leave a machine room for everything else, and its peak must fit into the most replicas.
func TestWaveFitsTheMachine(t *testing.T) {
	peak := 0.0
	for at := time.Duration(0); at < Period; at += 100 * time.Millisecond {
		peak = max(peak, Wave(at))
	}
	if peak < 7 || peak > 9.5 {
		t.Errorf("the wave's peak is %.1f replicas' worth", peak)
	}
	for cores := 1; cores <= 4; cores++ {
		used := peak * target * float64(Request(cores)) / 1000 / float64(cores)
		if used > 0.6 {
			t.Errorf("%d cores: the peak uses %.0f %% of the machine", cores, 100*used)
		}
	}
	if Wave(-time.Second) != Wave(Period-time.Second) || Wave(time.Second) != Wave(Period+time.Second) {
		t.Error("the wave does not repeat")
	}
}

func TestWork(t *testing.T) {
	f := func(cost string, want int) {
		t.Helper()
		rec := httptest.NewRecorder()
		work(rec, httptest.NewRequest(http.MethodGet, "/?cost="+cost, nil))
		if rec.Code != want {
			t.Errorf("cost %q: got %d, want %d", cost, rec.Code, want)
		}
	}
	f("1ms", 200)
	f("0s", 200)
	f("", 400)
	f("-1s", 400)
	f("2h", 400)
	f("x", 400)
}

// simulated is the demo's service without processes: a second's load is shared among the ready replicas, with the noise
// of requests that come at random.
type simulated struct {
	mu      sync.Mutex
	began   time.Time
	rng     *rand.Rand
	pods    []*simPod
	changes []string
	first   map[policy.Action]time.Duration
	counts  []int // each second
}

type simPod struct {
	name  string
	start time.Time
	used  []float64 // each second
}

const simStart = 1500 * time.Millisecond // from the start of a replica until it is ready

func (s *simulated) second() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	var ready []*simPod
	for _, p := range s.pods {
		if now.Sub(p.start) >= simStart {
			ready = append(ready, p)
		}
		p.used = append(p.used, 0.002)
	}
	rate := Wave(now.Sub(s.began)) * target * float64(Request(2)) / 1000 / meanCost.Seconds()
	requests := int(max(0, rate+s.rng.NormFloat64()*sqrt(rate)+0.5))
	for i := range requests {
		if len(ready) > 0 {
			u := ready[i%len(ready)].used
			u[len(u)-1] += (0.5 + s.rng.Float64()) * meanCost.Seconds()
		}
	}
	s.counts = append(s.counts, len(s.pods))
}

func sqrt(x float64) float64 {
	g := x
	for range 20 {
		g = (g + x/g) / 2
	}
	return g
}

func (s *simulated) Usage(now time.Time, _ []*cluster.Pod, name cluster.ResourceName, w time.Duration) (out []cluster.PodUsage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pods {
		n := min(len(p.used), int(w/time.Second))
		if n == 0 {
			continue
		}
		sum := 0.0
		for _, v := range p.used[len(p.used)-n:] {
			sum += v
		}
		out = append(out, cluster.PodUsage{Pod: p.name, Timestamp: now, Window: time.Duration(n) * time.Second,
			Containers: []cluster.ContainerUsage{{Name: Name, Usage: cluster.Resources{{Name: name, Milli: cluster.MilliOfFloat(sum / float64(n))}}}}})
	}
	return out
}

func (s *simulated) Gap(time.Time, *cluster.Pod) (string, time.Time) {
	return "", time.Time{}
}

func (s *simulated) Scale(context.Context, cluster.Target) (autoscaler.Scale, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return autoscaler.Scale{Desired: cluster.DesiredReplicas(len(s.pods)), Observed: cluster.ObservedReplicas(len(s.pods))}, nil
}

func (s *simulated) All() []*cluster.Pod { panic("not asked for") }

func (s *simulated) Pods(cluster.Target) (pods []*cluster.Pod, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pods {
		pod := cluster.Pod{Name: p.name, Phase: "Running", Ready: "False", StartTime: p.start, ReadyTransition: p.start,
			Containers: []cluster.Container{{Name: Name, Requests: cluster.Resources{{Name: "cpu", Milli: cluster.Milli(Request(2))}}}}}
		if time.Since(p.start) >= simStart {
			pod.Ready, pod.ReadyTransition = "True", p.start.Add(simStart)
		}
		pods = append(pods, &pod)
	}
	return pods, nil
}

func (s *simulated) SetScale(_ context.Context, _ cluster.Target, from, to cluster.DesiredReplicas) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, action := time.Since(s.began), policy.Up
	if to < from {
		action = policy.Down
	}
	if _, ok := s.first[action]; !ok {
		s.first[action] = at
	}
	s.changes = append(s.changes, fmt.Sprintf("%s: %d to %d", at.Round(time.Second), from, to))
	for len(s.pods) < int(to) {
		s.pods = append(s.pods, &simPod{name: fmt.Sprintf("web-%d", len(s.pods)+1), start: time.Now()})
	}
	s.pods = s.pods[:to]
	return nil
}

// Within four minutes a newcomer sees replicas come and go, whatever the noise.
func TestUpAndDownWithinFourMinutes(t *testing.T) {
	f, err := Documents("/bin/true", "/run/x", 2)
	if err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			s := &simulated{began: time.Now(), rng: rand.New(rand.NewPCG(seed, 2)), first: map[policy.Action]time.Duration{},
				pods: []*simPod{{name: "web-1", start: time.Now()}}}
			l, err := autoscaler.New(autoscaler.Options{Node: "n", Policies: f.Policies, Observer: s, Inventory: s, Scaler: s})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- l.Run(ctx) }()
			time.Sleep(500 * time.Millisecond)
			for range 450 {
				time.Sleep(time.Second)
				s.second()
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			up, down := s.first[policy.Up], s.first[policy.Down]
			if up == 0 || up > time.Minute || down < up || down > 220*time.Second {
				t.Errorf("seed %d: first up after %s, first down after %s", seed, up, down)
			}
			high, low := 0, 10
			for i, n := range s.counts {
				high = max(high, n)
				if i > 120 && i < 235 {
					low = min(low, n)
				}
			}
			if high < 6 || low > 2 {
				t.Errorf("seed %d: at most %d replicas, at least %d after the first wave", seed, high, low)
			}
			if seed == 0 || t.Failed() {
				t.Log(strings.Join(s.changes, "; "))
			}
		})
	}
}

// TestServiceUnderLoad runs real replicas under the real load for a few seconds.
func TestServiceUnderLoad(t *testing.T) {
	dir := t.TempDir()
	f, err := Documents("/proc/self/exe", dir, 2)
	if err != nil {
		t.Fatal(err)
	}
	f.Services[0].Replicas = 2
	sup, err := process.New(process.Options{Services: f.Services, Env: os.Environ(), CgroupRoot: "none"})
	if err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewPedanticRegistry()
	load := NewLoad(LoadOptions{Dir: dir, Cores: 2, Ready: Ready(sup), Logger: slog.New(slog.DiscardHandler), Registerer: reg})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, run := range []func(context.Context) error{sup.Run, load.Run} {
		wg.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	count := func(outcome string) float64 {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, fam := range families {
			for _, m := range fam.GetMetric() {
				if fam.GetName() == "plimsoll_demo_requests_total" && m.GetLabel()[0].GetValue() == outcome {
					return m.GetCounter().GetValue()
				}
			}
		}
		return 0
	}
	for deadline := time.Now().Add(2 * time.Minute); count("ok") < 3 && time.Now().Before(deadline); {
		time.Sleep(50 * time.Millisecond)
	}
	if ok, failed := count("ok"), count("failed"); ok < 3 || failed > 0 {
		t.Errorf("%v requests answered, %v failed", ok, failed)
	}
	c := http.Client{Transport: load.client.Transport, Timeout: time.Minute}
	resp, err := c.Get("http://web-2/?cost=5ms")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 200 || len(body) != 65 {
		t.Errorf("got %s %q", resp.Status, body)
	}
	cancel()
	wg.Wait()
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("sockets left: %v", left)
	}
}

// The load goes to the replica with the least to do and is bounded.
func TestChoose(t *testing.T) {
	ready := []string{"web-1", "web-2", "web-3"}
	l := NewLoad(LoadOptions{Dir: "/x", Cores: 1, Ready: func() []string { return ready }})
	seen := map[string]int{}
	for range maxInFlight {
		r, refused := l.choose()
		if refused != "" {
			t.Fatal(refused)
		}
		seen[r]++
	}
	for _, r := range ready {
		if seen[r] < maxInFlight/3 {
			t.Errorf("shared unevenly: %v", seen)
		}
	}
	if _, refused := l.choose(); refused != "refused" {
		t.Errorf("got %q with %d under way", refused, maxInFlight)
	}
	for range 5 {
		l.release("web-2")
	}
	for range 4 {
		if r, _ := l.choose(); r != "web-2" {
			t.Errorf("chose %s, web-2 has the least to do", r)
		}
	}
	ready = nil
	if _, refused := l.choose(); refused != "nobody" {
		t.Errorf("got %q without replicas", refused)
	}
}
