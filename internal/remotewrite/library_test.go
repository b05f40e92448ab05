package remotewrite_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/exp/api/remote"
	writev2 "github.com/prometheus/client_golang/exp/api/remote/genproto/v2"

	"plimsoll.dev/plimsoll/aggregator/ingest"
	"plimsoll.dev/plimsoll/internal/metric"
)

// TestLibraryClient sends with the library's own client to our own receiver.
func TestLibraryClient(t *testing.T) {
	var got []*metric.Batch
	r, err := ingest.New(ingest.Options{Live: sinkFunc(func(_ context.Context, b *metric.Batch) error {
		got = append(got, b)
		return nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(r)
	defer srv.Close()
	api, err := remote.NewAPI(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	sym := writev2.NewSymbolTable()
	req := &writev2.Request{Timeseries: []*writev2.TimeSeries{
		{LabelsRefs: sym.SymbolizeLabels([]string{"__name__", "node_cpu_usage_seconds_total", "node", "n7"}, nil),
			Samples: []*writev2.Sample{{Value: 1, Timestamp: time.Now().UnixMilli() - 1000}, {Value: 2, Timestamp: time.Now().UnixMilli()}}},
		{LabelsRefs: sym.SymbolizeLabels([]string{"__name__", "go_goroutines", "job", "x"}, nil), Samples: []*writev2.Sample{{Value: 1, Timestamp: time.Now().UnixMilli()}}},
		{LabelsRefs: sym.SymbolizeLabels([]string{"__name__", "h", "job", "x"}, nil), Histograms: []*writev2.Histogram{{Sum: 1}}},
	}}
	req.Symbols = sym.Symbols()
	stats, err := api.Write(t.Context(), remote.WriteV2MessageType, req)
	if err != nil || stats.Samples != 2 || stats.Histograms != 0 {
		t.Fatalf("stats %+v, error %v", stats, err)
	}
	if len(got) != 1 || got[0].Node != "n7" || got[0].Samples() != 2 {
		t.Errorf("got %+v", got)
	}
}
