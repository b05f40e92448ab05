package model

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every metric, with the kinds of things that had it in Heapster.
func TestTable(t *testing.T) {
	all := map[string][]string{
		"N":            {"cpu/node_capacity", "cpu/node_allocatable", "cpu/node_utilization", "cpu/node_reservation", "memory/node_capacity", "memory/node_allocatable", "memory/node_utilization", "memory/node_reservation"},
		"C S P N":      {"uptime", "cpu/usage", "memory/working_set", "memory/rss", "memory/cache", "memory/page_faults", "memory/major_page_faults", "memory/page_faults_rate", "memory/major_page_faults_rate", "disk/io_read_bytes", "disk/io_write_bytes", "disk/io_read_bytes_rate", "disk/io_write_bytes_rate"},
		"P N":          {"network/rx", "network/tx", "network/rx_errors", "network/tx_errors", "network/rx_rate", "network/tx_rate", "network/rx_errors_rate", "network/tx_errors_rate"},
		"C P":          {"restart_count"},
		"C N":          {"filesystem/usage", "filesystem/limit", "filesystem/available", "filesystem/inodes", "filesystem/inodes_free"},
		"C P N NS L":   {"cpu/request", "cpu/limit", "memory/request", "memory/limit"},
		"C S P N NS L": {"cpu/usage_rate", "memory/usage"},
	}
	kinds := map[string]Kind{"L": Cluster, "N": Node, "S": SystemContainer, "NS": Namespace, "P": Pod, "C": PodContainer}
	table, n := New(), 0
	for of, names := range all {
		for _, name := range names {
			n++
			m := table.Find(name)
			if m == nil {
				t.Errorf("%q is missing", name)
				continue
			}
			for short, k := range kinds {
				if got, want := m.Has(k), slices.Contains(strings.Fields(of), short); got != want {
					t.Errorf("%q of %v: got %v, want %v", name, k, got, want)
				}
			}
		}
	}
	if n != len(table) {
		t.Errorf("%d metrics, want %d", len(table), n)
	}
	if !slices.IsSortedFunc(table, func(a, b Metric) int { return strings.Compare(a.Name, b.Name) }) || table.Find("cpu/none") != nil {
		t.Error("the table is not sorted, or has what nobody has")
	}
}

// Values have Heapster's unit, and no noise of the arithmetic.
func TestValue(t *testing.T) {
	table := New()
	f := func(name string, v, want float64) {
		t.Helper()
		if got := table.Find(name).Value(v); got != want {
			t.Errorf("%s of %v: got %v, want %v", name, v, got, want)
		}
	}
	f("cpu/limit", .57, 570)
	f("cpu/usage", 1.5, 1_500_000_000)
	f("cpu/usage_rate", .0999, 99.9)
	f("memory/usage", 100_000_000, 100_000_000)
	f("cpu/node_utilization", 1./3, .333333)
	f("uptime", 12.3456, 12_346)
}

// The two ways of leaving out inner interfaces agree.
func TestInnerInterfaces(t *testing.T) {
	re := regexp.MustCompile("^(?s:" + VirtualInterfaces + ")$")
	for iface, want := range map[string]bool{"lo": true, "eth0": false, "enp0s31f6": false, "wlan0": false, "eth0.7": true, "veth12ab": true, "docker0": true,
		"br-8e1f": true, "bond0": true, "wg0": true, "lo1": false, "ens3": false, "tap0": true} {
		if got := Inner(iface, Node); got != want || re.MatchString(iface) != want {
			t.Errorf("%q: got %v, by the expression %v, want %v", iface, got, re.MatchString(iface), want)
		}
		if got := Inner(iface, Pod); got != (iface == "lo") {
			t.Errorf("%q in a pod: got %v", iface, got)
		}
	}
}
