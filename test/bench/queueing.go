package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/queue"
	"plimsoll.dev/plimsoll/internal/store/influx"
)

// lines is how many lines of 20 fields each side encodes.
const lines = 120_000

// queueing compares encoding and durable queueing with the client's own batching: points made, encoded, gathered in batches and handed to a
// server in this process that takes everything and does nothing.
func (b *bench) queueing(ctx context.Context) ([]result, error) {
	dir, err := os.MkdirTemp("", "plimsoll-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	q, err := queue.Open(queue.Options{Dir: dir, SyncEvery: time.Second})
	if err != nil {
		return nil, err
	}
	defer q.Close()
	sink, err := influx.NewSink(influx.SinkOptions{Queue: influx.OnQueue(q)})
	if err != nil {
		return nil, err
	}
	es := make([]*metric.Entity, 1000)
	for i := range es {
		name := fmt.Sprintf("c%d", i)
		es[i] = &metric.Entity{Level: metric.Container, Node: "bench", Namespace: "docker", WorkloadKind: "Docker", Workload: name, Pod: name, Container: name}
	}
	rows := []metric.ID{}
	for _, r := range metric.Rows() {
		if r.Has(metric.Container) && r.Sub == "" && len(rows) < 20 {
			rows = append(rows, r.ID)
		}
	}
	at := time.Now().Add(-time.Hour)
	ours := 0.0
	for range lines / len(es) {
		at = at.Add(time.Second)
		batch := &metric.Batch{Time: at}
		for i, e := range es {
			g := metric.Group{Entity: e, Points: make([]metric.Point, 0, 20)}
			for _, id := range rows {
				g.Points = append(g.Points, metric.Point{ID: id, T: at.UnixMilli(), V: float64(at.Unix()%1_000_000) + float64(i)})
			}
			batch.Groups = append(batch.Groups, g)
		}
		ours += onCPU(func() { err = sink.Append(ctx, batch) })
		if err != nil {
			return nil, err
		}
	}
	if got := q.Stats().Appended.Points; got != lines {
		return nil, fmt.Errorf("the queue took %d lines, want %d", got, lines)
	}
	theirs := clientBatching(es, rows)
	return []result{{Name: "encoding and queueing, lines of 20 fields", Figure: lines / ours * 60, Unit: "lines/min/core", Bar: 1_000_000,
		Peer: "influxdb-client-go's batching", Theirs: lines / theirs * 60, Note: "ours are on disk, counters with their rates beside them; theirs are in memory until sent, to a server that does nothing"}}, nil
}

// clientBatching returns the seconds of CPU that the client's asynchronous writer takes for the same lines.
func clientBatching(es []*metric.Entity, rows []metric.ID) float64 {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	client := influxdb2.NewClientWithOptions(server.URL, "", influxdb2.DefaultOptions().SetBatchSize(5000))
	defer client.Close()
	api := client.WriteAPI("", "plimsoll")
	at := time.Now().Add(-time.Hour)
	return onCPU(func() {
		for range lines / len(es) {
			at = at.Add(time.Second)
			for i, e := range es {
				fields := make(map[string]any, len(rows))
				for _, id := range rows {
					fields[metric.Get(id).Field] = float64(at.Unix()%1_000_000) + float64(i)
				}
				api.WritePoint(influxdb2.NewPoint("container", map[string]string{"node": e.Node, "namespace": e.Namespace, "workload_kind": e.WorkloadKind,
					"workload": e.Workload, "pod": e.Pod, "container": e.Container}, fields, at))
			}
		}
		api.Flush()
	})
}
