package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	oci "plimsoll.dev/plimsoll/internal/image"
	"plimsoll.dev/plimsoll/test/chart"
	"plimsoll.dev/plimsoll/test/cluster/rig"
)

// TestSystemdNode adds a node to a cluster with Plimsoll on it that is as most people have them: cgroup v2 alone, systemd as the first process, and pods in slices
// that it makes. Pods of every class are known there by name, and what they use is what the kubelet reads.
func TestSystemdNode(t *testing.T) {
	ours(t)
	long(t)
	p, ns, ctx := built(t), namespace(t), t.Context()
	disk, err := rig.Debian(ctx, os.Stderr, bin)
	if err != nil {
		t.Fatal(err)
	}
	install(t, p, chart.Values{"collector": chart.Values{"mountPropagation": "None", "fastInterval": "5s"}})
	began := time.Now()
	node, err := shared.Machine(ctx, disk, p.Image(), oci.Options{Name: image, Binary: bin + "/workload"})
	if node != nil {
		t.Cleanup(func() {
			if err := node.Remove(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s is Ready after %.0f s", node.Name, time.Since(began).Seconds())
	create(t, ns, "guaranteed", node.Name, corev1.PodSpec{Containers: []corev1.Container{container("app", "200m 100Mi", "200m 100Mi", "-cpu=50", "-memory=50")}})
	create(t, ns, "burstable", node.Name, corev1.PodSpec{Containers: []corev1.Container{container("app", "50m 16Mi", "", "-cpu=50"), container("log", "10m 16Mi", "", "-memory=50")}})
	create(t, ns, "besteffort", node.Name, corev1.PodSpec{Containers: []corev1.Container{container("app", "", "", "-memory=50")}})
	big := container("app", "10m 16Mi", "", "-memory=100")
	big.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("60Mi")}
	create(t, ns, "toobig", node.Name, corev1.PodSpec{Containers: []corev1.Container{big}})
	static := container("first", "50m 16Mi", "", "-cpu=5")
	static.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	create(t, ns, "sidecar", node.Name, corev1.PodSpec{InitContainers: []corev1.Container{static}, Containers: []corev1.Container{container("app", "20m 16Mi", "", "-cpu=10")}})
	var all map[string]seen
	within(t, 5*time.Minute, "all pods of the machine are measured", func() (err error) {
		if all, err = seenIn(ctx, ns); err != nil {
			return err
		}
		for _, k := range []string{"guaranteed/app", "burstable/app", "burstable/log", "besteffort/app", "sidecar/first", "sidecar/app"} {
			if c, ok := all[k]; !ok || c.Node != node.Name || c.CPU == nil || c.WorkingSet == nil || c.Gap != nil || c.Runtime != "containerd" {
				return fmt.Errorf("%s is %+v", k, c)
			}
		}
		return nil
	})
	within(t, time.Minute, "its limits", func() error {
		now, err := seenIn(ctx, ns)
		if g := now["guaranteed/app"]; err == nil && (g.CPULimit == nil || *g.CPULimit != 0.2 || g.MemoryLimit == nil || *g.MemoryLimit != 100<<20) {
			err = fmt.Errorf("guaranteed has limits %v, %v", g.CPULimit, g.MemoryLimit)
		}
		return err
	})
	for pod, slice := range map[string]string{"guaranteed": "/kubepods.slice/kubepods-pod", "burstable": "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod", "besteffort": "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod"} {
		if id := all[pod+"/app"].ID; !strings.Contains(id, slice) || !regexp.MustCompile(`\.slice/cri-containerd-[0-9a-f]{64}\.scope$`).MatchString(id) {
			t.Errorf("%s is in cgroup %q, want one below %s", pod, id, slice)
		}
	}
	within(t, 3*time.Minute, "of the machine's containers the one that takes more than its limit is missing alone", func() error {
		out, err := shared.Kubectl(ctx, "get", "--raw", viewBase+"/missing")
		var got struct {
			Items []struct{ Node, Title, Reason string }
		}
		if err = errors.Join(err, json.Unmarshal([]byte(out), &got)); err != nil {
			return err
		}
		told := false
		for _, m := range got.Items {
			dies := strings.HasSuffix(m.Title, "/toobig") || strings.Contains(m.Title, "/toobig/") // within the second in which it starts
			if told = told || dies; m.Node == node.Name && !dies {
				return fmt.Errorf("%+v", m)
			}
		}
		if !told {
			return fmt.Errorf("nothing is told of the one that dies: %s", out)
		}
		return nil
	})
	machineValues(t, ns, node.Name)
	out, err := shared.Kubectl(ctx, "get", "--raw", viewBase+"/containers?limit=1000")
	var raw struct{ Items []map[string]any }
	if err = errors.Join(err, json.Unmarshal([]byte(out), &raw)); err != nil {
		t.Fatal(err)
	}
	for _, c := range raw.Items {
		for _, field := range []string{"cpuPressure", "memoryPressure", "ioPressure", "throttled", "processes", "oomKills"} { // what cgroup v2 alone has, or has elsewhere
			if c["namespace"] == ns && c["pod"] == "guaranteed" && c[field] == nil {
				t.Errorf("%s of a pod with limits is not known: %v", field, c)
			}
		}
	}
}

// seenIn are the containers that the installed server shows of a namespace, "pod/container".
func seenIn(ctx context.Context, ns string) (map[string]seen, error) {
	out, err := shared.Kubectl(ctx, "get", "--raw", viewBase+"/containers?limit=1000")
	var got struct{ Items []seen }
	if err = errors.Join(err, json.Unmarshal([]byte(out), &got)); err != nil {
		return nil, err
	}
	all := map[string]seen{}
	for _, c := range got.Items {
		if c.Namespace == ns {
			all[c.Pod+"/"+c.Name] = c
		}
	}
	return all, nil
}

// machineValues compares what metrics.k8s.io says of a pod over a minute with what the machine's kubelet has read. What the pod was told to use is less: on emulated
// processors its own looks at the clock count, and a kernel of cgroup v2 counts for a cgroup what it keeps of its own for it.
func machineValues(t *testing.T, ns, node string) {
	var cpu []float64
	before, _ := kubeletSays(t, node, ns, "guaranteed")
	began := time.Now()
	for range 30 {
		time.Sleep(2 * time.Second)
		c, _ := apiSays(t, ns, "guaranteed")
		cpu = append(cpu, c*1000)
	}
	after, _ := kubeletSays(t, node, ns, "guaranteed")
	sum := 0.0
	for _, c := range cpu {
		sum += c
	}
	ours, theirs := sum/float64(len(cpu)), (after-before)/time.Since(began).Seconds()*1000
	t.Logf("over a minute %.1f millicores, %.1f to %.1f; by the kubelet's counter %.1f", ours, slices.Min(cpu), slices.Max(cpu), theirs)
	if theirs < 45 || math.Abs(ours-theirs) > 0.15*theirs { // whoever is asked looks at different moments of it
		t.Errorf("%.1f millicores, and the kubelet %.1f", ours, theirs)
	}
	until(t, "the memory is what the kubelet says", func() error {
		_, ours := apiSays(t, ns, "guaranteed")
		_, theirs := kubeletSays(t, node, ns, "guaranteed")
		if ours /= 1 << 20; math.Abs(ours-theirs/(1<<20)) > 0.5 {
			return fmt.Errorf("%.2f MiB, and the kubelet %.2f", ours, theirs/(1<<20))
		}
		t.Logf("memory: %.2f MiB, by the kubelet %.2f", ours, theirs/(1<<20))
		return nil
	})
}

// apiSays is what metrics.k8s.io says of a pod of one container: cores, and bytes of its working set.
func apiSays(t *testing.T, ns, pod string) (cpu, memory float64) {
	t.Helper()
	out, err := shared.Kubectl(t.Context(), "get", "--raw", "/apis/metrics.k8s.io/v1beta1/namespaces/"+ns+"/pods/"+pod)
	var m struct {
		Containers []struct {
			Usage struct{ CPU, Memory resource.Quantity }
		}
	}
	if err = errors.Join(err, json.Unmarshal([]byte(out), &m)); err != nil || len(m.Containers) != 1 {
		t.Fatal(err, out)
	}
	return m.Containers[0].Usage.CPU.AsApproximateFloat64(), m.Containers[0].Usage.Memory.AsApproximateFloat64()
}

// kubeletSays is what a kubelet says of a pod's containers: seconds of processor time, and bytes of the working set.
func kubeletSays(t *testing.T, node, ns, pod string) (cpu, memory float64) {
	t.Helper()
	out, err := shared.Kubectl(t.Context(), "get", "--raw", "/api/v1/nodes/"+node+"/proxy/metrics/resource")
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(out) {
		if !strings.Contains(l, `namespace="`+ns+`",pod="`+pod+`"`) {
			continue
		}
		v, err := strconv.ParseFloat(strings.Fields(l)[1], 64)
		switch {
		case err != nil:
			t.Fatal(err)
		case strings.HasPrefix(l, "container_cpu_usage_seconds_total{"):
			cpu += v
		case strings.HasPrefix(l, "container_memory_working_set_bytes{"):
			memory += v
		}
	}
	if cpu == 0 || memory == 0 {
		t.Fatalf("the kubelet of %s does not tell of %s: %s", node, pod, out)
	}
	return cpu, memory
}
