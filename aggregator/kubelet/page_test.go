package kubelet

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/metric"
)

var compareAll = cmp.AllowUnexported(page{}, usage{}, value{})

// real is a page as Kubernetes 1.37 writes it, and what is in it.
func real(t testing.TB) (text string, want page) {
	t.Helper()
	b, err := os.ReadFile("testdata/page.txt")
	if err != nil {
		t.Fatal(err)
	}
	return string(b), page{
		node: usage{cpu: value{1767323043000, 357.35491, true}, memory: value{1767323043000, 1616273408, true}},
		containers: map[name]*usage{
			{"shop", "web", "app"}: {cpu: value{1767323045000, 4.710169, true}, memory: value{1767323045000, 12253184, true}, start: value{0, 1767323030, true}},
			{"shop", "db-0", "db"}: {cpu: value{1767323044000, 0, true}, memory: value{0, 0, true}, start: value{0, 1767323033, true}},
		}}
}

func TestParse(t *testing.T) {
	text, want := real(t)
	if d := cmp.Diff(want, parse([]byte(text)), compareAll); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
	if got := parse([]byte(strings.ReplaceAll(text, "\n", "\r\n"))); cmp.Diff(want, got, compareAll) != "" {
		t.Errorf("with carriage returns: %+v", got)
	}
	if got := parse([]byte(strings.ReplaceAll(text, "resource_scrape_error 0", "resource_scrape_error 1"))); !got.partial {
		t.Error("a kubelet that could not read everything is believed")
	}
}

// TestBadLinesAlone: what is wrong with one line costs that line alone.
func TestBadLinesAlone(t *testing.T) {
	text, want := real(t)
	for _, bad := range []string{
		`container_cpu_usage_seconds_total{container="x",namespace="shop",pod="y"} 1 -5`,
		`container_cpu_usage_seconds_total{container="x",namespace="shop",pod="y"} -1`,
		`container_cpu_usage_seconds_total{container="x",namespace="shop",pod="y"} NaN`,
		`container_memory_working_set_bytes{container="x",namespace="shop",pod="y"} +Inf`,
		`container_memory_working_set_bytes{container="x",namespace="shop",pod="y"} 12 x`,
		`container_memory_working_set_bytes{container="x",namespace="shop",pod="y" 12`,
		`container_memory_working_set_bytes{container="x",pod="y"} 12`,
		`container_start_time_seconds{} 12`,
		`node_memory_working_set_bytes twelve`,
		"container_cpu_usage_seconds_total{container=\"\xff\",namespace=\"shop\",pod=\"y\"} 1",
	} {
		for _, at := range []string{bad + "\n" + text, text + bad, text + bad + "\n"} {
			got := parse([]byte(at))
			if got.refused != 1 {
				t.Errorf("%q: %d lines refused, want one", bad, got.refused)
			}
			got.refused = 0
			if d := cmp.Diff(want, got, compareAll); d != "" {
				t.Errorf("%q: want -, got +:\n%s", bad, d)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	text, _ := real(f)
	f.Add([]byte(text))
	f.Add([]byte("node_cpu_usage_seconds_total 1e308 9223372036854775807\n"))
	f.Add([]byte("container_start_time_seconds{container=\"a\",namespace=\"b\",pod=\"c\",pod=\"d\"} 1\n# TYPE node_cpu_usage_seconds_total counter\n"))
	f.Add([]byte("node_cpu_usage_seconds_total{a=\"\\\"} 1\nnode_cpu_usage_seconds_total 2"))
	f.Fuzz(func(t *testing.T, body []byte) {
		p := parse(body)
		check := func(u *usage) {
			for id, x := range map[metric.ID]value{metric.CPUUsage: u.cpu, metric.MemoryWorkingSet: u.memory, metric.StartTime: u.start} {
				if x.ok && (x.t < 0 || !id.Can(x.v)) {
					t.Errorf("%q has %v", body, x)
				}
			}
		}
		check(&p.node)
		for n, u := range p.containers {
			check(u)
			if n.namespace == "" || n.pod == "" || n.container == "" {
				t.Errorf("%q names %+v", body, n)
			}
		}
		if lines := strings.Count(string(body), "\n") + 1; p.refused > lines {
			t.Errorf("%d of %d lines refused", p.refused, lines)
		}
	})
}
