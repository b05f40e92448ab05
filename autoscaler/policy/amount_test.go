package policy

import (
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
)

// TestAmount: people read amounts in the unit that they are used to.
func TestAmount(t *testing.T) {
	f := func(name string, x float64, want string) {
		t.Helper()
		m := metric{source: autoscalingv2.ResourceMetricSourceType, name: name}
		if name == "qps" {
			m.source = autoscalingv2.ExternalMetricSourceType
		}
		if got := m.amount(x); got != want {
			t.Errorf("%v of %s is written %q, want %q", x, name, got, want)
		}
	}
	f("memory", 1934441.586, "1.84Mi")
	f("memory", 200<<20, "200Mi")
	f("memory", 1023.9*1024*1024, "1Gi")
	f("memory", 1000, "1000")
	f("memory", 0.5, "0.5")
	f("memory", 0, "0")
	f("memory", 92e12, "83.7Ti")
	f("ephemeral-storage", 3<<30, "3Gi")
	f("hugepages-2Mi", 4<<20, "4Mi")
	f("cpu", 0.095, "95m")
	f("cpu", 1.5, "1500m")
	f("example.com/gpu", 2, "2")
	f("qps", 16.667, "16.67")
	f("qps", -0.5842, "-0.5842")
	f("qps", 123456.7, "123457")
	f("qps", 3e9, "3G")
	f("qps", 9223372036854775, "9.223P")
	f("qps", 999999.9, "1000000")
}
