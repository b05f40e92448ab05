package collector_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/collector"
	"plimsoll.dev/plimsoll/collector/cadvisor"
	"plimsoll.dev/plimsoll/collector/cgroup"
	"plimsoll.dev/plimsoll/collector/names"
	"plimsoll.dev/plimsoll/internal/metric"
)

// nowhere takes batches and forgets them.
type nowhere struct{}

func (nowhere) Take(context.Context, *metric.Batch) error { return nil }

// BenchmarkCollector450 runs the whole collector, 10 s full and 1 s fast, over 450 cgroups with a sleeping process
// each, and reports what it cost over twenty seconds of real time.
func BenchmarkCollector450(b *testing.B) {
	makeCgroups(b, 450)
	n, err := names.New(names.Options{Node: "n1"})
	if err != nil {
		b.Fatal(err)
	}
	fast, err := cgroup.New(cgroup.Options{Node: "n1", Namer: n})
	if err != nil {
		b.Fatal(err)
	}
	full, err := cadvisor.New(cadvisor.Options{Node: "n1", Namer: n, Starts: fast})
	if err != nil {
		b.Fatal(err)
	}
	c, err := collector.New(collector.Options{Full: full, Fast: fast, Live: nowhere{}, History: nowhere{}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 3)
	for _, run := range []func(context.Context) error{n.Run, full.Run, c.Run} {
		go func() { done <- run(ctx) }()
	}
	time.Sleep(5 * time.Second) // the first tick also opens everything
	for b.Loop() {
		before, begun := cpuSeconds(b), time.Now()
		time.Sleep(20 * time.Second)
		b.ReportMetric((cpuSeconds(b)-before)/time.Since(begun).Seconds(), "cores")
	}
	b.ReportMetric(memoryMiB("VmRSS:"), "rss-MiB")
	b.ReportMetric(memoryMiB("VmHWM:"), "peak-MiB")
	b.ReportMetric(float64(runtime.NumGoroutine()), "goroutines")
	cancel()
	for range 3 {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
	fast.Close()
}

// makeCgroups makes cgroups with a process each, which are removed in the end.
func makeCgroups(b *testing.B, n int) {
	b.Helper()
	if os.Getuid() != 0 {
		b.Skip("needs root: the benchmark makes cgroups")
	}
	roots := cgroupRoots()
	top := fmt.Sprintf("/plimsolltest-cost-%d", os.Getpid())
	mkdir := func(path string) {
		for _, root := range roots {
			if err := os.Mkdir(root+path, 0o755); err != nil && !os.IsExist(err) {
				b.Fatal(err)
			}
			if root == "/sys/fs/cgroup" && path == top {
				if err := os.WriteFile(root+path+"/cgroup.subtree_control", []byte("+cpu +memory +io +pids"), 0); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.Cleanup(func() {
			for _, root := range roots {
				for range 1000 {
					if syscall.Rmdir(root+path) != syscall.EBUSY {
						break
					}
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	mkdir(top)
	for i := range n {
		path := fmt.Sprintf("%s/c%03d", top, i)
		mkdir(path)
		cmd := exec.Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		for _, root := range roots {
			if err := os.WriteFile(root+path+"/cgroup.procs", fmt.Append(nil, cmd.Process.Pid), 0); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// cgroupRoots are the hierarchies in which the tests make cgroups.
func cgroupRoots() []string {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return []string{"/sys/fs/cgroup"}
	}
	var out []string
	for _, c := range []string{"cpu", "cpuacct", "memory", "blkio", "pids"} {
		out = append(out, "/sys/fs/cgroup/"+c)
	}
	return out
}

func cpuSeconds(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// memoryMiB reads a line of /proc/self/status.
func memoryMiB(key string) float64 {
	data, _ := os.ReadFile("/proc/self/status") // a missing figure shows as zero
	_, rest, _ := strings.Cut(string(data), key)
	var kib float64
	_, _ = fmt.Sscan(rest, &kib)
	return kib / 1024
}
