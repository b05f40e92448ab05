package autoscaler

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// A step of ×2 is answered within seconds, and taken back after the stabilisation window.
func TestStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4, 5 * time.Minute: 2.8, 10 * time.Minute: 1.4}))
		log, reg := &memory{}, prometheus.NewPedanticRegistry()
		l, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Log: log, History: log, Registerer: reg})
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		if err := l.Health(); err != nil {
			t.Error(err)
		}
		end()
		if len(w.made()) < 2 {
			t.Fatalf("changes %v, want up and down", w.made())
		}
		first := w.made()[0]
		if late := first.at - 5*time.Minute; late < 0 || late > 5*time.Second || first.to <= 4 {
			t.Errorf("first change %v, want up within 5 s of 5m", first)
		}
		for _, c := range w.made() {
			if c.at > 5*time.Minute+15*time.Second && c.at < 10*time.Minute || c.at > 6*time.Minute && c.at < 14*time.Minute+30*time.Second && c.to < 8 {
				t.Errorf("change %v between the step and the end of stabilisation", c)
			}
		}
		t.Log(w.made())
		if w.count() != 4 {
			t.Errorf("%d replicas at the end, want 4 (changes %v)", w.count(), w.made())
		}
		ups := slices.DeleteFunc(log.reasons(), func(s string) bool { return strings.HasPrefix(s, "Hold") })
		if len(ups) != len(w.made()) {
			t.Errorf("%d changes were logged, %d made", len(ups), len(w.made()))
		}
		if got := detailOf(t, log.ds[0]).Schema; got != policy.Schema {
			t.Errorf("schema %q", got)
		}
		if n := len(log.batches); n < 118 || n > 121 {
			t.Errorf("%d batches kept in 20 minutes, want one every 10 s", n)
		}
		if _, err := reg.Gather(); err != nil {
			t.Error(err)
		}
		s := l.Scaled(time.Now())
		if len(s) != 1 || s[0].Replicas != 4 || s[0].Ready != 4 || s[0].Change == nil || s[0].Change.Action != "Down" || len(s[0].Metrics) != 1 {
			t.Errorf("status %+v", s)
		}
	})
}

// Holds are written when the reason changes and once a minute, not every second.
func TestSteadyLoadIsQuiet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
		log := &memory{}
		_, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Log: log})
		time.Sleep(30 * time.Minute)
		end()
		if len(w.made()) != 0 {
			t.Errorf("changes on a steady load: %v", w.made())
		}
		if n := len(log.ds); n < 30 || n > 200 {
			t.Errorf("%d entries in 30 minutes", n)
		}
	})
}

func TestNoDataHolds(t *testing.T) {
	for _, c := range []struct {
		name string
		hurt func(w *world)
	}{
		{"nothing", func(w *world) { w.blind = true }},
		{"stale", func(w *world) { w.frozen = time.Now() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				// The load falls to nothing just when the observer goes blind: an idle service would be shrunk.
				w := newWorld(6, steps(map[time.Duration]float64{0: 2.1, 8 * time.Minute: 0.1}))
				l, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}})
				time.Sleep(8 * time.Minute)
				w.set(func() { c.hurt(w) })
				time.Sleep(20 * time.Minute)
				if len(w.made()) != 0 {
					t.Errorf("changed without data: %v", w.made())
				}
				if s := l.Scaled(time.Now())[0]; s.Gap == nil || s.Gap.Since.IsZero() {
					t.Errorf("the status does not tell of the gap: %+v", s)
				}
				w.set(func() { w.blind, w.frozen = false, time.Time{} })
				time.Sleep(8 * time.Minute)
				if w.count() != 1 {
					t.Errorf("%d replicas after the data is back, want 1", w.count())
				}
				if s := l.Scaled(time.Now())[0]; s.Gap != nil {
					t.Errorf("gap %+v after the data is back", s.Gap)
				}
				end()
			})
		})
	}
}

func TestModesDoNotAct(t *testing.T) {
	for _, mode := range []string{"DryRun", "Paused"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(4, steps(map[time.Duration]float64{0: 1.4, 2 * time.Minute: 3}))
			p := compiled(t, strings.Replace(plain, "{", "{mode: "+mode+", ", 1))
			l, end := begin(t, w, Options{Policies: []Policy{p}})
			time.Sleep(5 * time.Minute)
			if len(w.made()) != 0 {
				t.Errorf("%s changed the count: %v", mode, w.made())
			}
			s := l.Scaled(time.Now())[0]
			if s.Mode != mode || !strings.Contains(s.Last.Message, "would go from 4 to") {
				t.Errorf("%s: %+v", mode, s.Last)
			}
			// The same policy, set to Auto, acts at once.
			if err := l.Apply([]Policy{compiled(t, plain)}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			if w.count() <= 4 {
				t.Errorf("%d replicas after %s was taken away", w.count(), mode)
			}
			end()
		})
	}
}

func TestFailedScaleIsRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4, 2 * time.Minute: 3}))
		n, fails := 0, true
		w.refuse = func() error {
			if !fails {
				return nil
			}
			n++
			return errBroken
		}
		log := &memory{}
		l, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Log: log})
		time.Sleep(3 * time.Minute)
		s := l.Scaled(time.Now())[0]
		if s.Desired != 4 || !strings.Contains(s.Last.Message, "failed") && !strings.Contains(s.Last.Message, errBroken.Error()) {
			t.Errorf("status while scaling fails: %+v", s.Last)
		}
		if n < 3 || n > 8 { // 1, 2, 4, 8, 16, 30 s apart
			t.Errorf("%d tries in a minute: %v", n, log.reasons())
		}
		w.set(func() { fails = false })
		time.Sleep(31 * time.Second)
		if w.count() <= 4 {
			t.Errorf("%d replicas although scaling works again", w.count())
		}
		end()
	})
}

// Why replicas cannot be made is told with the target for as long as it lasts.
func TestTroubleIsShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
		w.trouble = "exceeded quota: pods."
		l, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}})
		f := func(want string) {
			t.Helper()
			time.Sleep(3 * time.Second)
			for range 2 {
				if got := l.Scaled(time.Now())[0].State; got != want {
					t.Errorf("state %q, want %q", got, want)
				}
				if err := l.Apply([]Policy{compiled(t, plain)}); err != nil { // as after each change of any policy
					t.Fatal(err)
				}
			}
		}
		f("replicas cannot be made: exceeded quota: pods")
		w.set(func() { w.gone = true })
		f("ScalePolicy web cannot be used (FailedGetScale)")
		w.set(func() { w.gone, w.trouble = false, "" })
		f("")
		end()
	})
}

func TestVanishedTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
		log := &memory{}
		l, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Log: log})
		time.Sleep(time.Minute)
		w.set(func() { w.gone = true })
		time.Sleep(time.Minute)
		s := l.Scaled(time.Now())[0]
		if s.Last.Reason != string(policy.FailedGetScale) || s.Gap == nil || !strings.Contains(s.Gap.Detail, `there is no ProcessService "web" in namespace "test"`) || s.Gap.Reason != "scale" || strings.HasSuffix(s.Gap.Detail, ".") || s.Replicas != 0 || s.Desired != 4 {
			t.Errorf("status %+v, last %+v", s, s.Last)
		}
		if err := l.Apply([]Policy{compiled(t, plain)}); err != nil { // as after each change of any policy
			t.Fatal(err)
		}
		if s := l.Scaled(time.Now())[0]; s.State != "ScalePolicy web cannot be used (FailedGetScale)" || len(s.By) != 1 || s.By[0].Name != "web" {
			t.Errorf("state %q", s.State)
		}
		beside := compiled(t, plain)
		beside.Refused, beside.RefusedBy = "web-2 is not in force", []cluster.Declaration{{Kind: "ScalePolicy", Name: "web-2"}}
		if err := l.Apply([]Policy{beside}); err != nil {
			t.Fatal(err)
		}
		if s := l.Scaled(time.Now())[0]; s.State != "ScalePolicy web cannot be used (FailedGetScale), web-2 is not in force" || len(s.By) != 2 || s.By[1].Name != "web-2" {
			t.Errorf("beside another: state %q, by %v", s.State, s.By)
		}
		w.set(func() { w.gone = false })
		time.Sleep(3 * time.Second)
		if s := l.Scaled(time.Now())[0]; s.State != "web-2 is not in force" {
			t.Errorf("beside another, when it is back: state %q", s.State)
		}
		if err := l.Apply([]Policy{compiled(t, plain)}); err != nil {
			t.Fatal(err)
		}
		if s := l.Scaled(time.Now())[0]; s.Gap != nil || s.Replicas != 4 || s.State != "" {
			t.Errorf("status after it is back: %+v", s)
		}
		if err := w.SetScale(t.Context(), web, 4, 0); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Second)
		if s := l.Scaled(time.Now())[0]; s.Gap != nil || s.Replicas != 0 || s.State != "somebody set it to 0" {
			t.Errorf("status after somebody has set it to 0: %+v", s)
		}
		if err := l.Apply(nil); err != nil {
			t.Fatal(err)
		}
		if s := l.Scaled(time.Now()); len(s) != 0 {
			t.Errorf("status of a target without a policy: %+v", s)
		}
		end()
	})
}

// restartAt runs a loop over a falling load and exchanges it for a new one in the middle, if asked.
func restartAt(t *testing.T, at time.Duration, crash bool, text string) (changes []change) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(8, steps(map[time.Duration]float64{0: 2.8, 6 * time.Minute: 1.2}))
		log := &memory{}
		_, end := begin(t, w, Options{Policies: []Policy{compiled(t, text)}, Log: log})
		if at > 0 {
			time.Sleep(at)
			log.mu.Lock()
			n := len(log.ds)
			log.mu.Unlock()
			end()
			if crash { // what an orderly end wrote was not written
				log.ds = log.ds[:n]
			}
			time.Sleep(2 * time.Second) // Plimsoll is gone
			_, end = begin(t, w, Options{Policies: []Policy{compiled(t, text)}, Log: log})
		}
		time.Sleep(20*time.Minute - at)
		end()
		changes = w.made()
	})
	return changes
}

// A restart lowers no count. After an orderly end the decisions are those that would have been made without it, up to
// the 15 s raster of looks at shrinking, which begins anew, and the 60 s that must be seen before the first; after a crash the count is kept for up to a stabilisation
// window longer.
func TestRestart(t *testing.T) {
	without := restartAt(t, 0, false, plain)
	if len(without) == 0 || without[len(without)-1].to != 4 {
		t.Fatalf("changes without a restart: %v", without)
	}
	for _, at := range []time.Duration{3 * time.Minute, 7 * time.Minute, 9 * time.Minute, 10*time.Minute + 37*time.Second} {
		for _, crash := range []bool{false, true} {
			got := restartAt(t, at, crash, plain)
			if len(got) == 0 || got[len(got)-1].to != 4 || slices.ContainsFunc(got, func(c change) bool { return c.to > c.from }) {
				t.Errorf("restart after %s (crash %v): changes %v, want %v", at, crash, got, without)
				continue
			}
			t.Logf("restart after %s (crash %v): first %v, last %v", at, crash, got[0], got[len(got)-1])
			if d := got[0].at - without[0].at; d < -15*time.Second || !crash && d > 75*time.Second || d > 5*time.Minute {
				t.Errorf("restart after %s (crash %v): first change at %s, without a restart at %s", at, crash, got[0].at, without[0].at)
			}
		}
	}
}

// Without any stabilisation a restart still waits for a whole stable window.
func TestRestartWithoutStabilisation(t *testing.T) {
	quick := strings.Replace(plain, "{", "{behavior: {scaleDown: {stabilizationWindowSeconds: 0}}, ", 1)
	at := 6*time.Minute + 20*time.Second
	for _, c := range restartAt(t, at, true, quick) {
		if c.to < c.from && c.at > at && c.at < at+59*time.Second {
			t.Errorf("lowered %s after a restart: %v", c.at-at, c)
		}
	}
}

func TestLogFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
		log := &memory{fail: errBroken}
		l, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Log: log})
		time.Sleep(2 * time.Minute)
		if err := l.Health(); err == nil {
			t.Error("healthy although decisions are not kept")
		}
		if err := l.Stuck(0); err != nil {
			t.Errorf("a restart would mend a log that takes nothing: %v", err)
		}
		log.mu.Lock()
		log.fail = nil
		log.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if err := l.Health(); err != nil {
			t.Error(err)
		}
		end()
	})
}

func TestRemembered(t *testing.T) {
	log := &memory{}
	now := time.Now()
	if _, _, ok := Remembered(t.Context(), log, web, now, time.Hour); ok {
		t.Error("an empty log remembers")
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4}))
		_, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Log: log})
		time.Sleep(time.Minute)
		end()
		n, _, ok := Remembered(t.Context(), log, web, time.Now(), time.Hour)
		if diff := cmp.Diff([]any{int32(4), true}, []any{n, ok}); diff != "" {
			t.Error(diff)
		}
	})
}

func TestValidate(t *testing.T) {
	w := &world{}
	p := compiled(t, plain)
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{}, "needs an Observer"},
		{Options{Observer: w, Inventory: w, Scaler: w, interval: -1}, "negative"},
		{Options{Observer: w, Inventory: w, Scaler: w, Policies: []Policy{p, p}}, "both scale"},
		{Options{Observer: w, Inventory: w, Scaler: w, Policies: []Policy{{Name: "x"}}}, "not compiled"},
	} {
		if _, err := New(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}

// TestLastIsOfOneLook: the newest decision's sentence and its detail are of the same look, also of the holds that are not written to the log.
func TestLastIsOfOneLook(t *testing.T) {
	w := newWorld(10, func(time.Duration) float64 { return 3.5 })
	l, err := New(Options{Node: "n1", Observer: w, Inventory: w, Scaler: w, Policies: []Policy{compiled(t, plain)}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Add(-2 * time.Hour)
	for _, p := range w.pods {
		p.start = now.Add(-time.Hour)
	}
	said := map[string]bool{}
	for i := range 100 {
		now = now.Add(time.Second)
		for _, p := range w.pods {
			p.samples = append(p.samples, sample{now, 0.33 + float64(i%5)/100})
		}
		l.pass(t.Context(), l.targets[web], now, now)
		last := l.Scaled(now)[0].Last
		var detail struct{ Message string }
		if err := json.Unmarshal(last.Detail, &detail); err != nil || detail.Message != last.Message {
			t.Fatalf("after %d s: %q, and in detail %q: %v", i, last.Message, detail.Message, err)
		}
		said[last.Message] = true
	}
	if len(said) < 5 {
		t.Errorf("only %d sentences: nothing was tried", len(said))
	}
}

// A change whose answer is lost was made all the same: it is told as one that was, once, and counts among those that policies allow in a while.
func TestLostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4, 30 * time.Second: 4}))
		lost := 0
		w.lose = func() bool { lost++; return lost == 1 }
		log := &memory{}
		var told []string
		_, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Log: log, Told: func(o Outcome) {
			if o.Decision.Action != policy.Hold {
				told = append(told, o.Decision.Message)
			}
		}})
		time.Sleep(2 * time.Minute)
		end()
		w.mu.Lock()
		defer w.mu.Unlock()
		log.mu.Lock()
		defer log.mu.Unlock()
		made := 0
		for _, d := range log.ds {
			if d.Action != string(policy.Hold) {
				if made >= len(w.changes) || int(d.From) != int(w.changes[made].from) || int(d.To) != int(w.changes[made].to) {
					t.Errorf("entry %d is %s %d to %d, the changes were %v", made, d.Action, d.From, d.To, w.changes)
				}
				made++
			}
		}
		if lost < 1 || made != len(w.changes) || len(told) != made || !strings.Contains(told[0], "The answer to the change was lost; it was made.") {
			t.Errorf("%d of %d changes are in the log, told are %q", made, len(w.changes), told)
		}
	})
}

// A change that failed, and was made all the same, by whom ever, is told as one that could not be made until the count is seen to be what it asked for.
func TestFailureEndsWithTheCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(4, steps(map[time.Duration]float64{0: 1.4, 30 * time.Second: 3}))
		w.refuse = func() error { return errBroken }
		var last Outcome
		_, end := begin(t, w, Options{Policies: []Policy{compiled(t, plain)}, Told: func(o Outcome) { last = o }})
		defer end()
		time.Sleep(time.Minute)
		able := last.Decision.Conditions[0]
		_, after, _ := strings.Cut(last.Decision.Message, "The change from 4 to ")
		var asked int
		if _, err := fmt.Sscan(after, &asked); err != nil || able.Status != "False" || able.Reason != failedUpdateScale {
			t.Fatalf("%+v: %s (%v)", able, last.Decision.Message, err)
		}
		w.set(func() { w.resize(asked) })
		time.Sleep(2 * time.Second)
		if able := last.Decision.Conditions[0]; able.Status != "True" {
			t.Errorf("%+v: %s", able, last.Decision.Message)
		}
	})
}
