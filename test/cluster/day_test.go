package cluster_test

import (
	"testing"
	"time"

	"plimsoll.dev/plimsoll/test/cluster/day"
)

// TestDay plays a recorded day in twenty minutes, 288 points of 4.2 s, to a ScalePolicy, the cluster's own HPA on our metrics and a boosted HPA at once, each with pods of
// its own, and sums up for each how long the load was more than its ready pods are to take, and what pods it had for that. PLIMSOLL_TEST_DAY_MINUTES says how much of the
// day is played, at the same pace (make bench-scaling plays all of it): less than all begins with the rise of its noon.
func TestDay(t *testing.T) {
	ours(t)
	long(t)
	const whole, pace, request, target, least, most = 20, 20 * time.Minute / day.Points, 30, 0.7, 1, 10
	minutes := min(whole, number(t, "PLIMSOLL_TEST_DAY_MINUTES", 2))
	points, err := day.Shape()
	if err != nil {
		t.Fatal(err)
	}
	if n := minutes * day.Points / whole; n < day.Points {
		from := min(13*12, day.Points-n)
		points = points[from : from+n]
	}
	r := newRace(t, 8464, size{least, most, request})
	all := func(point int) int {
		milli := point * 6 / 5 // 90 of them, as by day, are five pods' part
		for _, x := range r.runners {
			x.load.set(milli)
		}
		return milli
	}
	all(points[0])
	time.Sleep(time.Minute) // everybody has come to rest at the day's beginning
	began := time.Now()
	var load []day.Load
	for i, p := range points {
		load = append(load, day.Load{At: time.Now(), Milli: all(p)})
		time.Sleep(time.Until(began.Add(time.Duration(i+1) * pace)))
	}
	end := time.Now()
	sums := map[string]day.Sums{}
	t.Logf("%d minutes of load, a pod asks for %d millicores and is to use %.0f %% of them:", minutes, request, 100*target)
	t.Logf("%-8s %16s %18s %12s %8s", "scaler", "over the target", "over the requests", "pod-seconds", "changes")
	tell := func(name string, s day.Sums, changes int) {
		t.Logf("%-8s %7.1f s %4.1f %% %9.1f s %4.1f %% %12.0f %8d", name, s.OverTarget.Seconds(), 100*s.OverTarget.Seconds()/s.Length.Seconds(),
			s.OverRequests.Seconds(), 100*s.OverRequests.Seconds()/s.Length.Seconds(), s.PodSeconds, changes)
	}
	for _, x := range r.runners {
		x.mu.Lock()
		s := day.Account(load, x.had, end, request, target)
		x.mu.Unlock()
		sums[x.name] = s
		changes := x.changes(began)
		tell(x.name, s, len(changes))
		if len(changes) == 0 {
			t.Errorf("%s never changed its count", x.name)
		}
		if lived := s.PodSeconds / s.Length.Seconds(); lived < least || lived > most {
			t.Errorf("%s had %.1f pods on average, want %d to %d", x.name, lived, least, most)
		}
	}
	exact := day.Exact(load, request, target, least, most)
	changes := 0
	for i := range exact[1:] {
		if exact[i].Pods != exact[i+1].Pods {
			changes++
		}
	}
	tell("exact", day.Account(load, exact, end, request, target), changes)
	policy, hpa := sums["policy"], sums["hpa"]
	if policy.Length == 0 || hpa.Length == 0 {
		return // PLIMSOLL_TEST_SCALERS names one of them alone
	}
	if policy.OverRequests > hpa.OverRequests+hpa.Length/50 {
		t.Errorf("the load was over the requests of the ScalePolicy's pods for %s, and of the HPA's for %s", policy.OverRequests, hpa.OverRequests)
	}
}
