package metric

import (
	"math"
	"regexp"
	"strings"
	"testing"
)

// TestRows checks what every row of the catalogue must have.
func TestRows(t *testing.T) {
	if len(Rows()) != int(numRows) {
		t.Fatalf("got %d rows, want %d", len(Rows()), numRows)
	}
	name := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	for i := range Rows() {
		r := Get(ID(i))
		if r.ID != ID(i) {
			t.Errorf("row %d has ID %d", i, r.ID)
		}
		if !name.MatchString(r.Name) || !name.MatchString(r.Field) {
			t.Errorf("row %d: name %q, field %q", i, r.Name, r.Field)
		}
		if r.Help == "" || strings.HasSuffix(r.Help, ".") || strings.TrimSpace(r.Help) != r.Help {
			t.Errorf("%s: help %q: want a clause without a full stop", r.Name, r.Help)
		}
		if len(r.Levels) == 0 {
			t.Errorf("%s exists at no level", r.Name)
		}
		for j, l := range r.Levels {
			if l >= numLevels || j > 0 && l <= r.Levels[j-1] {
				t.Errorf("%s: levels %v: want them smallest first, each once", r.Name, r.Levels)
			}
		}
		if r.Sub != "" && !name.MatchString(r.Sub) {
			t.Errorf("%s: own label %q", r.Name, r.Sub)
		}
	}
}

// TestNamesAreUnique: no two rows have the same name with the same fixed labels at a level, nor the same field.
func TestNamesAreUnique(t *testing.T) {
	names, fields := map[string]string{}, map[string]string{}
	for i := range Rows() {
		r := Get(ID(i))
		for _, l := range r.Levels {
			id := r.At(l)
			if l == r.Levels[0] {
				for _, f := range r.Fixed {
					id += "," + f.Name + "=" + f.Value
				}
			}
			if other, twice := names[id]; twice {
				t.Errorf("%s and %s are both called %s", other, r.Name, id)
			}
			names[id] = r.Name
			for _, f := range []string{r.Field, r.Rate} {
				if f == "" {
					continue
				}
				if other, twice := fields[l.String()+"/"+f]; twice {
					t.Errorf("%s and %s both have the field %s", other, r.Name, f)
				}
				fields[l.String()+"/"+f] = r.Name
			}
		}
	}
}

// TestUnitsInNames: a name says its unit, and a counter that it is one, at every level; where cAdvisor or
// kube-state-metrics have it otherwise, the exception is listed.
func TestUnitsInNames(t *testing.T) {
	theirs := map[string]bool{ // names that are taken over as they are
		"container_memory_rss": true, "container_memory_cache": true, "container_memory_swap": true, "container_fs_inodes_total": true,
		"kube_pod_container_resource_limits": true, "kube_pod_container_resource_requests": true, "kube_node_status_allocatable": true,
	}
	word := map[Unit]string{Seconds: "seconds", Bytes: "bytes", Cores: "cores", Ratio: "ratio", Time: "seconds"}
	for i := range Rows() {
		r := Get(ID(i))
		all := []string{r.Field}
		for _, l := range r.Levels {
			if n := r.At(l); !theirs[n] {
				all = append(all, n)
			}
		}
		for _, n := range all {
			if w := word[r.Unit]; w != "" && !strings.Contains("_"+n+"_", "_"+w+"_") && !strings.HasSuffix(n, "_total") {
				t.Errorf("%s: %q does not say %q", r.Name, n, w)
			}
			if counter := strings.HasSuffix(n, "_total"); counter != (r.Kind == Counter) {
				t.Errorf("%s is a %s: %q", r.Name, r.Kind, n)
			}
		}
		if (r.Rate != "") != (r.Kind == Counter && r.ID != Restarts) {
			t.Errorf("%s is a %s with the rate field %q", r.Name, r.Kind, r.Rate)
		}
	}
}

// TestHeapsterNames: a Heapster name stands for one row, and scales are powers of ten.
func TestHeapsterNames(t *testing.T) {
	seen := map[string]string{}
	for i := range Rows() {
		r := Get(ID(i))
		for _, n := range []string{r.Heapster, r.HeapsterRate} {
			if n == "" {
				continue
			}
			if seen[n] != "" {
				t.Errorf("%s and %s are both %q in Heapster", seen[n], r.Name, n)
			}
			seen[n] = r.Name
		}
		for _, s := range []float64{r.Scale, r.RateScale} {
			if s != 0 && math.Log10(s) != math.Trunc(math.Log10(s)) {
				t.Errorf("%s: scale %g", r.Name, s)
			}
		}
	}
}

// TestLookup finds every row at every level by its name and labels, and nothing else.
func TestLookup(t *testing.T) {
	for i := range Rows() {
		r := Get(ID(i))
		label := func(name string) string {
			for _, f := range r.Fixed {
				if f.Name == name {
					return f.Value
				}
			}
			return ""
		}
		for _, l := range r.Levels {
			got, level, err := Lookup(r.At(l), label)
			if err != nil || got != r || level != l {
				t.Errorf("Lookup(%q): got %+v at %v, %v", r.At(l), got, level, err)
			}
		}
	}
	if _, _, err := Lookup("up", nil); err == nil || !strings.Contains(err.Error(), `"up"`) {
		t.Errorf("Lookup(up): got error %v", err)
	}
	if _, _, err := Lookup("container_memory_failures_total", nil); err == nil || !strings.Contains(err.Error(), "labels") {
		t.Errorf("Lookup without the labels: got error %v", err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _, _ = Lookup("cluster_memory_request_bytes", nil) }); n != 0 {
		t.Errorf("Lookup allocates %g times", n)
	}
}

func TestEntity(t *testing.T) {
	e := Entity{Level: Container, Node: "n", Namespace: "ns", WorkloadKind: "Deployment", Workload: "w", Pod: "p", Container: "c", ID: "/x", Image: "i"}
	f := func(e Entity, want string) {
		t.Helper()
		if got := e.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(e, "container ns/p/c")
	e.Level = Pod
	f(e, "pod ns/p")
	e.Level = Workload
	f(e, "workload ns/Deployment/w")
	e.Level = Namespace
	f(e, "namespace ns")
	e.Level = Node
	f(e, "node n")
	f(Entity{Level: Cluster}, "cluster")
	f(Entity{Level: 77}, "level(77)")
}

func TestSamples(t *testing.T) {
	b := Batch{Groups: []Group{{Points: make([]Point, 2)}, {}, {Points: make([]Point, 3)}}}
	if got := b.Samples(); got != 5 {
		t.Errorf("got %d, want 5", got)
	}
}

func BenchmarkLookup(b *testing.B) {
	for b.Loop() {
		_, _, _ = Lookup("cluster_memory_request_bytes", nil)
	}
}

// TestJoins: what is a share of time in which something waits, or a load against a target, is not added up, and a start is the earliest.
func TestJoins(t *testing.T) {
	for i := range Rows() {
		r, want := Get(ID(i)), Sum
		switch {
		case strings.HasPrefix(r.Field, "pressure_"), r.Sub == "metric":
			want = Largest
		case r.Unit == Time:
			want = Smallest
		}
		if r.Join != want {
			t.Errorf("%s joins by %s, want %s", r.Name, r.Join, want)
		}
	}
	for join, want := range map[Join]float64{Sum: 5, Largest: 3, Smallest: 2} {
		if got := join.Of(2, 3); got != want {
			t.Errorf("%s of 2 and 3: got %g, want %g", join, got, want)
		}
	}
}

func TestSet(t *testing.T) {
	var s Set
	for i := range Rows() {
		if s.Has(ID(i)) {
			t.Errorf("row %d is in the set too early", i)
		}
		s.Add(ID(i))
		if !s.Has(ID(i)) {
			t.Errorf("row %d is not in the set", i)
		}
	}
	if s.Has(5000) || s.Has(numRows) {
		t.Error("the set has rows that there are not")
	}
	nodes := At(Node)
	if more := At(Container); nodes.Has(Restarts) || !more.Has(Restarts) {
		t.Error("restarts are not the containers' alone")
	} else if nodes.AddAll(&more); !nodes.Has(Restarts) || !nodes.Has(LoadAverage1m) {
		t.Error("a set and another one are not both")
	}
}

// Each row takes nothing that is no number, and no amount below zero or beyond what there can be.
func TestCan(t *testing.T) {
	for i := range Rows() {
		for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e300, -1e300} {
			if ID(i).Can(v) {
				t.Errorf("%s takes %v", rows[i].Name, v)
			}
		}
		if u := rows[i].Unit; !ID(i).Can(0) || !ID(i).Can(1) || ID(i).Can(-1) != (u == Ratio || u == Time) {
			t.Errorf("%s: 0 %v, 1 %v, -1 %v", rows[i].Name, ID(i).Can(0), ID(i).Can(1), ID(i).Can(-1))
		}
	}
	f := func(id ID, v float64, want bool) {
		t.Helper()
		if got := id.Can(v); got != want {
			t.Errorf("%s of %v: got %v, want %v", Get(id).Name, v, got, want)
		}
	}
	f(MemoryWorkingSet, -5e8, false)
	f(MemoryWorkingSet, 64<<40, true)
	f(MemoryWorkingSet, 1<<61, false)
	f(FilesystemLimit, 1<<63, true) // as a network's file system says that has no end
	f(NetworkReceive, 1<<64-1, true)
	f(StartTime, 1.8e9, true)
}
