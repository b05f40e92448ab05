package api

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/tsdb"
)

// The API over the real live picture and the real decision log, fed for twenty seconds.
func TestWithRealRooms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pic, err := live.New(live.Options{})
		if err != nil {
			t.Fatal(err)
		}
		db, err := tsdb.Open(tsdb.Options{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		r := newRig(t, func(o *Options) { o.Pictures, o.Decisions, o.Scaled = pic, db, nil })
		node := &metric.Entity{Level: metric.Node, Node: "n1", ID: "/"}
		web := &metric.Entity{Level: metric.Container, Node: "n1", Namespace: "demo", WorkloadKind: "ProcessService", Workload: "web",
			Pod: "web-1", Container: "web", Runtime: "process", ID: "/plimsoll-7/demo/web/web-1"}
		start, kills := time.Now().Add(-time.Minute), 0.0
		feed := func(seconds int) {
			for range seconds {
				now := time.Now()
				up := now.Sub(start).Seconds()
				point := func(id metric.ID, v float64) metric.Point {
					return metric.Point{ID: id, T: now.UnixMilli(), V: v}
				}
				if err := pic.Apply(&metric.Batch{Node: "n1", Time: now, Fast: true, Groups: []metric.Group{
					{Entity: node, Start: start, Points: []metric.Point{point(metric.CPUUsage, up*1.5), point(metric.CPUCapacity, 2)}},
					{Entity: web, Start: start, Points: []metric.Point{point(metric.CPUUsage, up*.5), point(metric.MemoryWorkingSet, 60), point(metric.MemoryLimit, 100),
						point(metric.CPUPeriods, up*10), point(metric.CPUThrottledPeriods, up*4), point(metric.OOMKills, kills)}},
				}}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
			}
		}
		show := func() string {
			var o Overview
			if err := json.Unmarshal(get(served(r.api), "/plimsoll/v1/overview").Body.Bytes(), &o); err != nil {
				t.Fatal(err)
			}
			c := o.Containers[0]
			return fmt.Sprintf("%s: node %v of %v, %s: %v, %s", o.Node.Name, or(o.Node.CPU, 0), or(o.Node.Cores, 0), c.Title, or(c.CPU, 0), c.Why)
		}
		time.Sleep(400 * time.Millisecond) // between Run's ticks, which come at whole and half seconds here
		feed(5)
		if got, want := show(), "n1: node 1.5 of 2, demo/web-1: 0.5, throttled 40 %"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		kills = 1 // nobody looks, Run does
		feed(15)
		if got, want := show(), "n1: node 1.5 of 2, demo/web-1: 0.5, OOM kill 14 s ago, throttled 40 %"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}

		events, _ := r.open("?workload=demo/ProcessService/web")
		time.Sleep(500 * time.Millisecond)
		d := grow()
		d.Time = time.Now()
		if err := db.AppendDecision(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		feed(2)
		synctest.Wait()
		told, listed := 0, 0
		for len(events) > 0 {
			switch e := <-events; e.name {
			case "decision":
				told++
			case "workload":
				var w Workload
				if err := json.Unmarshal([]byte(e.data), &w); err != nil {
					t.Fatal(err)
				}
				listed = len(w.Decisions)
			}
		}
		if told != 1 || listed != 1 {
			t.Errorf("the decision was told %d times and is listed %d times, want once each", told, listed)
		}
		list, err := db.Decisions(t.Context(), store.DecisionQuery{})
		if err != nil || len(list) != 1 {
			t.Errorf("the log has %d (%v)", len(list), err)
		}
		r.stop()
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
}
