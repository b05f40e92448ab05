package tsdb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

// matrix is what a range query finds.
func matrix(series, points int) promql.Matrix {
	m := make(promql.Matrix, series)
	for i := range m {
		m[i].Metric = labels.FromStrings("__name__", "container_cpu_usage_seconds_total", "id", fmt.Sprint("/kubepods/burstable/pod", i), "node", "n1")
		for t := range points {
			m[i].Floats = append(m[i].Floats, promql.FPoint{T: int64(t) * 1000, F: float64(i) + 0.125})
		}
	}
	return m
}

// A long answer takes the memory that it has, and not that of copies made while it grows.
func TestLongAnswersAreNotCopied(t *testing.T) {
	m := matrix(2_000, 300)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := resultOf(m)
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	if took, size := after.TotalAlloc-before.TotalAlloc, got.size(); took > uint64(size)*3/2 {
		t.Errorf("%d bytes were taken for an answer of %d", took, size)
	}
	var back struct {
		Result []struct {
			Metric map[string]string
			Values [][2]any
		}
	}
	if err := json.Unmarshal(bytes.Join(got, nil), &back); err != nil {
		t.Fatal(err)
	}
	if n, last := len(back.Result), back.Result[len(back.Result)-1]; n != 2_000 || len(last.Values) != 300 || last.Metric["id"] != "/kubepods/burstable/pod1999" {
		t.Errorf("got %d series, the last is %v of %d points", n, last.Metric, len(last.Values))
	}
}
