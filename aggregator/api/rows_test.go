package api

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/aggregator/api/params"
	"plimsoll.dev/plimsoll/aggregator/live"
	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

func TestTitles(t *testing.T) {
	f := func(e metric.Entity, want string) {
		t.Helper()
		if got := TitleOf(&e); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(metric.Entity{Runtime: "process", Namespace: "demo", Workload: "web", Pod: "web-3", Container: "web"}, "demo/web-3")
	f(metric.Entity{Runtime: "docker", Namespace: "docker", Pod: "postgres", Container: "postgres"}, "postgres")
	f(metric.Entity{Runtime: "docker", Namespace: "shop", WorkloadKind: "Compose", Workload: "cart", Pod: "shop-cart-1"}, "shop/cart-1")
	f(metric.Entity{Runtime: "podman", Namespace: "shop", WorkloadKind: "Compose", Workload: "cart", Pod: "shop_cart_1"}, "shop/cart_1")
	f(metric.Entity{Runtime: "docker", Namespace: "shop", WorkloadKind: "Compose", Workload: "cart", Pod: "kart"}, "shop/kart")
	f(metric.Entity{Runtime: "systemd", Namespace: "system", WorkloadKind: "Unit", Pod: "ssh.service", Container: "ssh.service"}, "ssh.service")
	f(metric.Entity{Runtime: "systemd", Namespace: "user-1000", WorkloadKind: "Unit", Pod: "dbus.service", Container: "dbus.service"}, "user-1000/dbus.service")
	f(metric.Entity{Runtime: "docker", Namespace: "docker@user-1000", Pod: "postgres", Container: "postgres"}, "docker@user-1000/postgres")
	f(metric.Entity{Runtime: "podman", Namespace: "shop@podman", WorkloadKind: "Compose", Workload: "cart", Pod: "shop_cart_1"}, "shop@podman/cart_1")
	f(metric.Entity{Runtime: "cgroup", Namespace: "cgroup", Pod: "batch", ID: "/my/batch"}, "/my/batch")
	f(metric.Entity{Runtime: "self", Namespace: "system", Pod: "p"}, "plimsoll")
	f(metric.Entity{Runtime: "containerd", Namespace: "kube-system", Pod: "dns-1", Container: "dns"}, "kube-system/dns-1/dns")
	f(metric.Entity{Level: metric.Pod, Namespace: "kube-system", Pod: "dns-1"}, "kube-system/dns-1")
	f(metric.Entity{Level: metric.Workload, Namespace: "demo", Workload: "web"}, "demo/web")
	f(metric.Entity{Level: metric.Namespace, Namespace: "demo"}, "demo")
	f(metric.Entity{Level: metric.Node, Node: "n1"}, "n1")
	f(metric.Entity{Level: metric.Cluster}, "cluster")
}

func TestRealDevices(t *testing.T) {
	for dev, want := range map[string]bool{
		"/dev/vda1": true, "/dev/mapper/vg-root": true, "nas:/export": true, "tank": true, "rpool/data": true,
		"tmpfs": false, "/run": false, "/run/lock": false, "/dev/shm": false, "/dev/loop3": false, "overlay": false,
		"overlay_0-36": false, "shm": false, "": false, "none": false, "devtmpfs": false,
	} {
		if got := realDevice(dev); got != want {
			t.Errorf("%q: got %v, want %v", dev, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	f := func(v float64, ok bool, want *float64) {
		t.Helper()
		got := num(v, ok, decCores)
		if (got == nil) != (want == nil) || got != nil && (*got != *want || math.Signbit(*got) != math.Signbit(*want)) {
			t.Errorf("num(%v, %v): got %v, want %v", v, ok, got, want)
		}
	}
	f(math.NaN(), true, nil)
	f(math.Inf(1), true, nil)
	f(1, false, nil)
	f(.12345678, true, ptr(.123457))
	f(-1e-9, true, ptr(0.0))
	f(1e300, true, ptr(1e300))
	f(18446744073709551615, true, ptr(18446744073709551615.0))
}

func TestSeveralMachines(t *testing.T) {
	nodes := []*live.Item{}
	for i, name := range []string{"n1", "n2"} {
		nodes = append(nodes, item(metric.Entity{Level: metric.Node, Node: name, ID: "/"},
			val{metric.CPUCapacity, "", 2, 0}, val{metric.CPUUsage, "", 1, .5}, val{metric.CPUWaiting, "", 1, .1 * float64(i+1)},
			val{metric.FilesystemLimit, "/dev/vda", 100, 0}, val{metric.FilesystemAvailable, "/dev/vda", float64(50 - 10*i), 0}))
	}
	nodes[1].Gap = &cluster.Gap{Since: noon, Reason: "stale"}
	one := container("demo", "ProcessService", "web", "web-1", "process", "/x", val{metric.CPUUsage, "", 1, .4})
	two := container("demo", "ProcessService", "web", "web-2", "process", "/y", val{metric.CPUUsage, "", 1, .6})
	two.Entity.Node = "n2"
	p := newPicture(snapshotOf(nodes, []*live.Item{one, two}), newKills())
	n := p.node
	if n.Name != "2 machines" || or(n.Cores, 0) != 4 || or(n.CPU, 0) != 1 || or(n.CPUPressure, 0) != .2 || or(n.DiskFree, 0) != 40 ||
		n.DiskDevice != "n2 /dev/vda" || n.Busiest != "demo/web-2" || *n.Containers != 2 || n.Gap == nil || n.Memory != nil {
		t.Errorf("got %+v", n)
	}
	if p.nodes[0].Busiest != "demo/web-1" || *p.nodes[0].Containers != 1 {
		t.Errorf("got %+v", p.nodes[0])
	}
}

func TestSorting(t *testing.T) {
	h := served(newAPI(t, nil))
	for _, key := range sortKeys {
		if rec := get(h, "/plimsoll/v1/containers?sort="+key); rec.Code != 200 {
			t.Errorf("%s: got %d", key, rec.Code)
		}
	}
	rows := []*Container{{Title: "a"}, {Title: "b", OOMKills: ptr(0.0)}, {Title: "c", OOMKills: ptr(2.0)}, {Title: "d", CPU: ptr(1.0)}}
	sortContainers(rows, "oom")
	got := ""
	for _, r := range rows {
		got += r.Title
	}
	if got != "cbda" {
		t.Errorf("got %s, want what is not known last", got)
	}
}

// Names come as people count them.
func TestNaturalOrder(t *testing.T) {
	want := []string{"", "/a", "9", "10", "A1", "a02", "a2b", "a10", "b", "Web-9", "web-9", "web-9a", "web-010", "web-10", "web-100000000000000000000001", "web-100000000000000000000002", "web-a", "é", "日"}
	var rows []*Container
	for _, name := range want {
		rows = append(rows, &Container{Title: name, CPU: ptr(rand.Float64())})
	}
	rand.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	sortContainers(rows, "name")
	var got []string
	for _, r := range rows {
		got = append(got, r.Title)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Over more rows than are asked for, the largest are picked of all, and a search says how many it finds.
func TestSelectionIsOverAll(t *testing.T) {
	var rows []*Container
	for i := range 700 {
		rows = append(rows, &Container{Title: fmt.Sprintf("c%d", i), WorkingSet: ptr(float64(i)), CPUPressure: ptr(float64(700 - i))})
	}
	f := func(words, sort, first, last string, found int) {
		t.Helper()
		got, n := selection{words: words, sort: sort, limit: 200}.of(rows)
		if n != found || len(got) != min(200, found) || got[0].Title != first || got[len(got)-1].Title != last {
			t.Errorf("%q by %q: got %d of %d from %s to %s, want %d from %s to %s", words, sort, len(got), n, got[0].Title, got[len(got)-1].Title, found, first, last)
		}
	}
	f("", "memory", "c699", "c500", 700)
	f("", "cpuPressure", "c0", "c199", 700)
	f("", "name", "c0", "c199", 700)
	f("c1", "memory", "c199", "c1", 111)
	f("1", "memory", "c691", "c51", 214)
}

func FuzzParams(f *testing.F) {
	for _, s := range []string{"", "limit=5&q=web&sort=cpu", "workload=a/b/c", "start=2026-03-01T12:00:00Z&action=Up,Hold", "a=%zz", "limit=1;limit=2", "q=%00%ff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := httptest.NewRequest("GET", "/plimsoll/v1/stream", nil)
		r.URL = &url.URL{Path: "/plimsoll/v1/stream", RawQuery: query}
		v, err := streamView(r)
		if err == nil && (v.isWorkload() && (v.workload.namespace == "" || v.workload.kind == "" || v.workload.name == "") || !v.isWorkload() && (v.sel.limit < 1 || v.sel.limit > maxLimit)) {
			t.Errorf("%q: got %+v", query, v)
		}
		p := params.Read(r, "start", "end", "action", "limit", "q", "sort")
		sel := selectionOf(p)
		start := p.Moment("start")
		actions := p.SomeOf("action", "Up", "Down", "Hold")
		if p.Err == nil {
			sel.of([]*Container{{Title: "web"}, {Title: "db"}})
			if len(actions) > 3 || start.After(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)) {
				t.Errorf("%q: got %v %v", query, actions, start)
			}
		}
	})
}
