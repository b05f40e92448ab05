package ingest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/remotewrite"
)

// picture is a receiver in front of a live picture, on one registry.
func picture(t testing.TB) (*Receiver, *live.Picture, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	p, err := live.New(live.Options{Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	return receiver(t, Options{Registerer: reg, Live: sinkFunc(func(_ context.Context, b *metric.Batch) error { return p.Apply(b) })}), p, reg
}

// TestIntoThePicture sends both lanes over the wire and looks at the picture: rates, starts, a container's end.
func TestIntoThePicture(t *testing.T) {
	r, p, reg := picture(t)
	began := time.Now().Add(-20 * time.Second).Truncate(time.Millisecond)
	last := began
	for i := range 20 {
		at := began.Add(time.Duration(i) * time.Second)
		b := sampleBatch(at)
		b.Groups[0].Start = began.Add(-time.Hour)
		for g := range b.Groups {
			for k := range b.Groups[g].Points {
				if pt := &b.Groups[g].Points[k]; metric.Get(pt.ID).Kind == metric.Counter {
					pt.V += float64(i) * 0.5
				}
			}
		}
		header := map[string]string{remotewrite.LaneHeader: remotewrite.LiveLane}
		if i%10 == 0 {
			header = nil
		} else {
			b.Groups = b.Groups[:2]
			b.Groups[0].Points = b.Groups[0].Points[:2]
		}
		body, err := remotewrite.Encode(b, identity.Wire)
		if err != nil {
			t.Fatal(err)
		}
		if w := post(r, body, header); w.Code != 204 {
			t.Fatal(w.Code, w.Body)
		}
		last = at
	}
	s := p.Snapshot(last)
	c := s.Containers[0]
	if rate, ok := c.Rate(metric.CPUUsage); !ok || rate != 0.5 || c.Restarts != 0 || !c.Start.Equal(began.Add(-time.Hour)) {
		t.Errorf("rate %v %v, restarts %d, start %v, gap %+v", rate, ok, c.Restarts, c.Start, c.Gap)
	}
	if rate, ok := s.Workloads[0].Rate(metric.NetworkReceive); !ok || rate != 0.5 {
		t.Errorf("the workload receives %v (%v), its pod's own row", rate, ok)
	}
	if look := p.Usage(last, []*cluster.Pod{{Node: c.Entity.Node, Namespace: "demo", Name: c.Entity.Pod}}, "cpu", 5*time.Second); len(look) != 1 || look[0].Containers[0].Usage[0].Milli.Float() != 0.5 {
		t.Errorf("look: %+v", look)
	}
	end := &metric.Batch{Node: "n1", Time: time.Now(), Gaps: []metric.Gap{{Entity: c.Entity, Reason: "gone"}}}
	body, err := remotewrite.Encode(end, identity.Wire)
	if err != nil {
		t.Fatal(err)
	}
	post(r, body, nil)
	if c = p.Snapshot(time.Now()).Containers[0]; c.Gap == nil || c.Gap.Reason != "gone" {
		t.Errorf("after its end: %+v", c.Gap)
	}
	if problems, err := testutil.GatherAndLint(reg); err != nil || len(problems) > 0 {
		t.Errorf("own metrics: %v, %v", problems, err)
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkLiveLane is a second of the live lane: 100 nodes of 30 containers each, over HTTP handlers into the picture.
func BenchmarkLiveLane(b *testing.B) {
	r, _, _ := picture(b)
	const nodes, pods = 100, 30
	batches := make([]*metric.Batch, nodes)
	for n := range batches {
		batches[n] = &metric.Batch{Node: fmt.Sprintf("node-%d", n), Fast: true}
		for i := range pods {
			e := *sampleBatch(time.Now()).Groups[0].Entity
			e.Node, e.Pod, e.ID = batches[n].Node, fmt.Sprintf("web-%d-%d", n, i), fmt.Sprintf("/kubepods/pod%d-%d/c", n, i)
			batches[n].Groups = append(batches[n].Groups, metric.Group{Entity: &e, Start: time.Now().Add(-time.Hour).Truncate(time.Second), Points: make([]metric.Point, 2)})
		}
	}
	bodies, wire, now := make([][]byte, nodes), 0, time.Now().Add(-time.Hour)
	encode := func(i int) {
		now = now.Add(time.Second)
		for n, batch := range batches {
			for g := range batch.Groups {
				batch.Groups[g].Points[0] = metric.Point{ID: metric.CPUUsage, T: now.UnixMilli(), V: float64(i) * 0.1234567}
				batch.Groups[g].Points[1] = metric.Point{ID: metric.MemoryWorkingSet, T: now.UnixMilli(), V: 1e7 + float64(4096*i)}
			}
			body, err := remotewrite.Encode(batch, identity.Wire)
			if err != nil {
				b.Fatal(err)
			}
			bodies[n] = body
			wire += len(body)
		}
	}
	receive := func() {
		for _, body := range bodies {
			req := httptest.NewRequest(http.MethodPost, "/api/v1/write", io.NopCloser(bytes.NewReader(body)))
			remotewrite.SetLiveHeader(req.Header, true)
			w := httptest.NewRecorder()
			r.ServeHTTP(w, req)
			if w.Code != 204 {
				b.Fatal(w.Code, w.Body)
			}
		}
	}
	encode(0)
	began := cpuTime()
	receive()
	first := cpuTime() - began
	var used, encoding time.Duration
	wire = 0
	for i := 1; b.Loop(); i++ {
		began := cpuTime()
		encode(i)
		encoding += cpuTime() - began
		began = cpuTime()
		receive()
		used += cpuTime() - began
	}
	per := float64(b.N) * nodes * pods
	b.ReportMetric(float64(first.Nanoseconds())/nodes/pods, "first-cpu-ns/container")
	b.ReportMetric(float64(used.Nanoseconds())/per, "receive-cpu-ns/container")
	b.ReportMetric(float64(encoding.Nanoseconds())/per, "encode-cpu-ns/container")
	b.ReportMetric(float64(wire)/per, "wire-B/container")
}
