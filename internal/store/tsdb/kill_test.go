package tsdb

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
)

// TestMain is the test, or, when the environment says so, the child that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("PLIMSOLL_STORE_CHILD"); dir != "" {
		first, _ := strconv.Atoi(os.Getenv("PLIMSOLL_STORE_CHILD_FIRST"))
		base, err := time.Parse(time.RFC3339, os.Getenv("PLIMSOLL_STORE_CHILD_BASE"))
		if err != nil { // not told: nobody compares what it writes
			base = killedBase()
		}
		child(dir, base, first)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// containers is how many the killed child has.
const containers = 50

// killedFleet is the entities of the killed child.
func killedFleet() []*metric.Entity {
	var es []*metric.Entity
	for i := range containers {
		es = append(es, &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "d", Pod: fmt.Sprint("p", i), Container: "c"})
	}
	return es
}

// killedValue is the value that the child wrote at a tick for an entity.
func killedValue(tick, entity int) float64 { return float64(tick*1000 + entity) }

// killedBase is far enough back that a million ticks of a second are in the past. The child is told it, so that
// midnight may pass meanwhile.
func killedBase() time.Time { return time.Now().Add(-20 * 24 * time.Hour).Truncate(24 * time.Hour) }

// child appends ticks as fast as it can, a decision with each, and prints the number of each tick that was acknowledged.
func child(dir string, base time.Time, first int) {
	db, err := Open(Options{Dir: dir, Retention: 100 * 24 * time.Hour})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	es := killedFleet()
	for tick := first; ; tick++ {
		at := base.Add(time.Duration(tick) * time.Second)
		b := &metric.Batch{Node: "n1", Time: at}
		for i, e := range es {
			g := metric.Group{Entity: e, Points: []metric.Point{{ID: metric.MemoryWorkingSet, T: at.UnixMilli(), V: killedValue(tick, i)}}}
			if i%10 == 0 && tick > 100 { // a late sample
				g.Points = append(g.Points, metric.Point{ID: metric.MemoryRSS, T: at.UnixMilli() + int64(tick%7-6)*10_000 + 1, V: float64(tick)})
			}
			b.Groups = append(b.Groups, g)
		}
		err := db.Append(context.Background(), b)
		if err == nil {
			err = db.AppendDecision(context.Background(), cluster.Decision{Time: at, Target: cluster.Target{Name: "x"}, Action: "Hold", Message: strconv.Itoa(tick), Detail: []byte(`{"tick":` + strconv.Itoa(tick) + `}`)})
		}
		if err != nil {
			fmt.Println("error", err)
			return
		}
		os.Stdout.WriteString(strconv.Itoa(tick) + "\n")
	}
}

// TestKill9 kills a child that appends without pause, at random moments, in the middle of opening and compaction too,
// and then looks for every acknowledged value in the reopened store.
func TestKill9(t *testing.T) {
	rounds := 12
	if testing.Short() {
		rounds = 3
	}
	dir := t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	base := killedBase()
	acked := 0 // ticks 1..acked are acknowledged
	for round := range rounds {
		last := killedRound(t, dir, base, acked+1, time.Duration(20+rng.IntN(1000))*time.Millisecond, round%2 == 0)
		acked = max(acked, last)
		t.Logf("round %d: killed after tick %d", round, acked)
		if round%3 == 2 || round == rounds-1 {
			checkKilled(t, dir, base, acked)
		}
	}
	if acked == 0 {
		t.Fatal("no tick was acknowledged")
	}
}

// killedRound runs the child, kills it, and returns the last tick that it acknowledged. The child lives for so long from its
// start, or, when it is to get to work however slow the machine is, from the first tick that it acknowledged.
func killedRound(t *testing.T, dir string, base time.Time, first int, lives time.Duration, works bool) int {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PLIMSOLL_STORE_CHILD="+dir, "PLIMSOLL_STORE_CHILD_FIRST="+strconv.Itoa(first), "PLIMSOLL_STORE_CHILD_BASE="+base.Format(time.RFC3339))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	most := lives
	if works {
		most = 10 * time.Minute
	}
	kill := time.AfterFunc(most, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	last := 0
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "error") {
			t.Errorf("child: %s", lines.Text())
			continue
		}
		if n, err := strconv.Atoi(lines.Text()); err == nil {
			if works && last == 0 {
				kill.Reset(lives)
			}
			last = n
		}
	}
	_ = cmd.Wait() // killed
	return last
}

// checkKilled opens the folder and compares every acknowledged value.
func checkKilled(t *testing.T, dir string, base time.Time, acked int) {
	t.Helper()
	db, err := Open(Options{Dir: dir, Retention: 100 * 24 * time.Hour})
	if err != nil {
		t.Fatalf("Open after kill: %v", err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	// A torn tail may have been cut, of what was never acknowledged; nothing else may have needed repair.
	if h := db.Health(); !h.OK() || h.Reason != "" && !strings.Contains(h.Message, "torn tail") || strings.Contains(h.Message, "left") {
		t.Errorf("Health: got %+v", h)
	}
	missing := 0
	for from := 1; from <= acked; from += 5000 {
		to := min(from+4999, acked)
		got, err := db.Query(context.Background(), store.Query{Row: metric.MemoryWorkingSet, Level: metric.Container, Func: store.Last,
			Start: base.Add(time.Duration(from) * time.Second), End: base.Add(time.Duration(to) * time.Second), Step: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		have := map[string]float64{}
		for i := range got {
			for _, x := range got[i].Samples {
				have[got[i].Label("pod")+"/"+strconv.FormatInt(x.T, 10)] = x.V
			}
		}
		for tick := from; tick <= to; tick++ {
			at := base.Add(time.Duration(tick) * time.Second).UnixMilli()
			for i := range containers {
				v, ok := have[fmt.Sprint("p", i)+"/"+strconv.FormatInt(at, 10)]
				if ok && v == killedValue(tick, i) {
					continue
				}
				if missing++; missing < 10 {
					t.Errorf("tick %d, container %d: got %g (there: %v), want %g", tick, i, v, ok, killedValue(tick, i))
				}
			}
		}
	}
	checkKilledLate(t, db, base, acked)
	ds, err := db.Decisions(context.Background(), store.DecisionQuery{End: base.Add(time.Duration(acked) * time.Second), Limit: min(acked, store.MaxDecisions)})
	if err != nil || len(ds) != min(acked, store.MaxDecisions) {
		t.Errorf("got %d decisions and error %v, want %d", len(ds), err, min(acked, store.MaxDecisions))
	}
	if missing > 0 {
		t.Errorf("%d acknowledged samples are missing or wrong", missing)
	}
}

// checkKilledLate looks for every acknowledged late sample.
func checkKilledLate(t *testing.T, db *DB, base time.Time, acked int) {
	t.Helper()
	have := map[string]float64{}
	for from := 0; from <= acked; from += 5000 {
		got, err := db.Query(context.Background(), store.Query{Row: metric.MemoryRSS, Level: metric.Container, Func: store.Last, Step: time.Second,
			Start: base.Add(time.Duration(from)*time.Second + time.Millisecond), End: base.Add(time.Duration(from+4999)*time.Second + time.Millisecond)})
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			for _, x := range got[i].Samples {
				have[got[i].Label("pod")+"/"+strconv.FormatInt(x.T, 10)] = x.V
			}
		}
	}
	missing := 0
	for tick := 101; tick <= acked; tick++ {
		at := base.Add(time.Duration(tick)*time.Second).UnixMilli() + int64(tick%7-6)*10_000 + 1
		for i := 0; i < containers; i += 10 {
			if v, ok := have[fmt.Sprint("p", i)+"/"+strconv.FormatInt(at, 10)]; !ok || v != float64(tick) {
				if missing++; missing < 30 {
					t.Errorf("late sample of tick %d, container %d: got %g (there: %v) at %d", tick, i, v, ok, at-base.UnixMilli())
				}
			}
		}
	}
	if missing > 0 {
		t.Errorf("%d acknowledged late samples are missing or wrong", missing)
	}
}
