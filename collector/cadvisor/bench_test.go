package cadvisor

import (
	"fmt"
	"os/exec"
	"testing"
	"time"
)

// BenchmarkFullRead450 reads 450 cgroups, each with a sleeping process. The last figure is what a read each
// ten seconds costs.
func BenchmarkFullRead450(b *testing.B) {
	g := newCgroup(b, "bench")
	for i := range 450 {
		c := g.child(b, fmt.Sprintf("c%03d", i))
		cmd := exec.Command("sleep", "1000")
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = cmd.Process.Kill(); _, _ = cmd.Process.Wait() })
		for _, m := range g.tree.mounts {
			write(b, m+c.path+"/cgroup.procs", fmt.Sprint(cmd.Process.Pid))
		}
	}
	r, err := New(Options{Node: "n1", Namer: &leaves{g.path, nil}})
	if err != nil {
		b.Fatal(err)
	}
	first := r.Read(time.Now())
	r.Read(time.Now())
	b.ReportAllocs()
	before := selfSeconds(b)
	for b.Loop() {
		if got := r.Read(time.Now()); len(got.Groups) != 451 || len(got.Gaps) > 0 {
			b.Fatalf("%d groups, gaps %+v", len(got.Groups), got.Gaps)
		}
	}
	cpu := (selfSeconds(b) - before) / float64(b.N)
	b.ReportMetric(cpu*1e3, "cpu-ms/read")
	b.ReportMetric(cpu/10, "cores-at-10s")
	b.ReportMetric(float64(first.Samples()), "samples")
	b.ReportMetric(residentMiB(), "rss-MiB")
}
