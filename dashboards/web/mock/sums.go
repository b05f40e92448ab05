package main

import (
	"math"
	"strings"
	"time"
)

func (w *world) now() float64 { return float64(time.Now().UnixMilli()) / 1000 }

// oldest is when the made-up history begins, in Unix seconds.
func (w *world) oldest() int64 {
	if w.scene != "first" && w.scene != "empty" {
		return time.Now().Add(-8 * 24 * time.Hour).Unix()
	}
	return w.since.Unix()
}

// sum gives a metric over some containers; infinity stands for no value.
func (w *world) sum(name string, some []box, t float64) float64 {
	if strings.HasPrefix(name, "node_") && 3*3600+1000 < w.now()-t && w.now()-t < 3*3600+1900 {
		return math.Inf(1) // the machine was away for a quarter of an hour before the last start
	}
	total, worst := 0.0, 0.0
	for _, b := range some {
		v, ok := b.metric(name, t)
		if !ok && strings.HasPrefix(name, "node_") {
			continue // the machine is read by itself
		}
		if !ok {
			return math.Inf(1)
		}
		total += v
		worst = max(worst, v)
	}
	if name == "node_cpu_usage_seconds_total" {
		return min(2, total)
	}
	if strings.Contains(name, "pressure") || strings.Contains(name, "_cfs_") {
		return worst
	}
	return total
}

// metric gives one container's value of a metric, or its rate.
func (b box) metric(name string, t float64) (float64, bool) {
	if b.use(t) == nil {
		return 0, false
	}
	_, what, _ := strings.Cut(name, "_")
	switch what {
	case "cpu_usage_seconds_total":
		return *b.use(t), true
	case "memory_working_set_bytes":
		return b.memory(t), true
	case "cpu_cfs_throttled_periods_total":
		return b.throttled(t), true
	case "cpu_cfs_periods_total":
		if b.cpuLimit > 0 {
			return 1, true // throttled periods are told as their share
		}
		return 0, true
	case "pressure_cpu_waiting_seconds_total":
		return b.pressure(t), true
	case "pressure_memory_waiting_seconds_total":
		return 0, true
	case "pressure_io_waiting_seconds_total":
		return b.disk / 3e5 * (1 + noise(b.title+"io", t, 5)), true
	case "network_receive_bytes_total":
		return wiggle(b.title+"in", b.net*700, t), true
	case "network_transmit_bytes_total":
		return wiggle(b.title+"out", b.net*300, t), true
	case "fs_reads_bytes_total":
		return wiggle(b.title+"r", b.disk*80, t), true
	case "fs_writes_bytes_total":
		return wiggle(b.title+"w", b.disk*900, t), true
	}
	return 0, false
}
