package policy

import (
	"math"
	"testing"
	"time"
)

// A load that has just risen is answered whole by its newest second, as far as that stands clear of its noise and of what stood out lately without lasting; without a look of the policy's own window that
// is clear nothing is raised, whatever the newest second says.
func TestNewestSecond(t *testing.T) {
	for name, c := range map[string]struct {
		look, newest  int // percent of the request
		noise, spike  float64
		unknown       bool
		to, lookedFor int
	}{
		"a third of a step":                  {93, 200, 0.01, 0, false, 20, 1}, // 25 are needed, and one pass at most doubles
		"half as far":                        {93, 120, 0.01, 0, false, 15, 1},
		"not above the look":                 {93, 95, 0.01, 0, false, 12, 3},
		"below it: it has fallen again":      {93, 50, 0.01, 0, false, 12, 3},
		"noisy seconds":                      {93, 120, 0.5, 0, false, 12, 3}, // four times a tenth
		"such seconds did not last lately":   {93, 120, 0.01, 1, false, 12, 3},
		"those that did not last were small": {93, 120, 0.01, 0.25, false, 15, 1}, // a twentieth of the load
		"how it scatters is not known":       {93, 200, 0.01, 0, true, 12, 3},
		"no look is above the line":          {80, 200, 0.01, 0, false, 10, 0},
	} {
		in := tenPods(10, c.look)
		in.Newest = []Look{{Metric: "cpu", Window: time.Second, Noise: c.noise, NoiseKnown: !c.unknown, Spike: c.spike, Usage: usageOf(in.Pods, time.Second, c.newest)}}
		for i := range in.Looks {
			in.Looks[i].Noise = 0.01
			if in.Looks[i].Window > DefaultWindow {
				in.Looks[i].Usage = usageOf(in.Pods, in.Looks[i].Window, 60)
			}
		}
		d := Decide(in)
		if int(d.Desired) != c.to || c.lookedFor > 0 && d.Look.Window != time.Duration(c.lookedFor)*time.Second {
			t.Errorf("%s: to %d on a look of %v, want %d on one of %d s: %s", name, d.Desired, d.Look, c.to, c.lookedFor, d.Message)
		}
	}
}

// A pod without a sample of the newest second is taken to use nothing in it.
func TestNewestSecondWithoutAPod(t *testing.T) {
	in := tenPods(10, 93)
	for i := range in.Looks {
		in.Looks[i].Noise = 0.01
	}
	in.Newest = []Look{{Metric: "cpu", Window: time.Second, Noise: 0.01, NoiseKnown: true, Usage: usageOf(in.Pods[:8], time.Second, 140)}}
	if d := Decide(in); d.Desired < 12 || d.Desired > 15 { // 8 × 140 / 80
		t.Errorf("to %d: %s", d.Desired, d.Message)
	}
}

func TestSpike(t *testing.T) {
	no := math.NaN()
	for name, c := range map[string]struct {
		series []float64
		want   float64
	}{
		"nothing":              {nil, 0},
		"steady":               {[]float64{1, 1, 1, 1, 1}, 0},
		"a step":               {[]float64{1, 1, 3, 3, 3, 3}, 0},
		"a fall":               {[]float64{3, 3, 3, 1, 1, 1}, 0},
		"a ramp":               {[]float64{1, 2, 3, 4, 5}, 0},
		"a second":             {[]float64{1, 1, 3, 1.5, 1, 1}, 2},
		"two seconds":          {[]float64{1, 1, 3, 3, 1, 1}, 2},
		"three are a load":     {[]float64{1, 1, 3, 3, 3, 1}, 0},
		"at the end it may go": {[]float64{1, 1, 1, 3, 3}, 0},
		"a hole beside it":     {[]float64{1, no, 3, 1, 1, 1}, 0},
	} {
		if got := Spike(c.series); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// Of the newest second nothing is said before a minute is known.
func TestNewestIsKnownAfterAMinute(t *testing.T) {
	h := NewHistory(Windows(DefaultWindow, DefaultStableWindow))
	for i := range 70 {
		at := benchTime.Add(time.Duration(i) * time.Second)
		h.Add(at, 1+float64(i%2)/10)
		h.noiseAt = time.Time{}
		noise, spike, known := h.Newest(at)
		if known != (i >= secondKnown-1) || known && (noise <= 0 || math.Abs(spike-0) > 1e-9 && math.Abs(spike-0.1) > 1e-9) {
			t.Fatalf("after %d s: noise %v, spike %v, known %v", i+1, noise, spike, known)
		}
	}
}

// A rise that was raised for in part within the last window, as its first second lay in it in part, is answered by the next second; later a whole look must be clear.
func TestNewestSecondAfterARaise(t *testing.T) {
	for ago, want := range map[time.Duration]int{time.Second: 14, 3 * time.Second: 14, 4 * time.Second: 10, 0: 10} {
		in := tenPods(10, 60)
		for i := range in.Looks {
			in.Looks[i].Noise = 0.01
		}
		in.Newest = []Look{{Metric: "cpu", Window: time.Second, Noise: 0.01, NoiseKnown: true, Usage: usageOf(in.Pods, time.Second, 110)}}
		if ago > 0 {
			in.State.Raised = in.Now.Add(-ago)
		}
		d := Decide(in)
		if int(d.Desired) != want {
			t.Errorf("raised %v ago: to %d, want %d: %s", ago, d.Desired, want, d.Message)
		}
		if raised := d.State.Raised.Equal(in.Now); raised != (d.Action == Up) {
			t.Errorf("raised %v ago: %s, and it remembers %v", ago, d.Action, d.State.Raised)
		}
	}
}

// What stands out while load goes from pod to pod is no spike of it.
func TestSpikeWhileLoadMoves(t *testing.T) {
	for _, moves := range []bool{false, true} {
		h := NewHistory(Windows(DefaultWindow, DefaultStableWindow))
		for i := range 400 {
			at, x := benchTime.Add(time.Duration(i)*time.Second), 1.0
			if i%100 == 50 {
				x = 2
			}
			if h.Add(at, x); moves && i%100 >= 49 && i%100 < 52 {
				h.Moving(at)
			}
		}
		want := 1.0
		if moves {
			want = 0
		}
		if _, spike, known := h.Newest(benchTime.Add(400 * time.Second)); !known || spike != want {
			t.Errorf("load moves %v: spike %v, want %v", moves, spike, want)
		}
	}
}
