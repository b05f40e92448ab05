// Package cluster_test tries Plimsoll on a real Kubernetes, which it starts once for all its tests.
package cluster_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plimsoll.dev/plimsoll/test/cluster/rig"
)

// shared is the cluster of all tests but those that start one of their own.
var shared *rig.Cluster

// bin is the folder of the cluster's binaries.
var bin string

// image is what the tests' pods run: of a cluster that the tests start, made here; of somebody else's, where it can be pulled from, or on its nodes already.
var image, pull = workload()

func workload() (string, corev1.PullPolicy) {
	if theirs := os.Getenv("PLIMSOLL_TEST_IMAGE"); theirs != "" {
		return theirs, corev1.PullIfNotPresent
	}
	return "plimsoll.dev/workload:1", corev1.PullNever
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx := context.Background()
	if name := os.Getenv("PLIMSOLL_TEST_ORPHAN"); name != "" {
		return orphan(ctx, name)
	}
	if kubeconfig := os.Getenv("KUBECONFIG"); kubeconfig != "" {
		return onTheirs(m, kubeconfig)
	}
	var err error
	if bin, err = rig.Build(ctx, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "cluster tests:", err)
		return 1
	}
	if shared, err = start(ctx, "e2e"); err != nil {
		fmt.Fprintln(os.Stderr, "cluster tests:", err)
		return 1
	}
	defer func() {
		if err := shared.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "cluster tests:", err)
		}
	}()
	if err := shared.Import(ctx, image, filepath.Join(bin, "workload")); err != nil {
		fmt.Fprintln(os.Stderr, "cluster tests:", err)
		return 1
	}
	return m.Run()
}

func start(ctx context.Context, name string) (*rig.Cluster, error) {
	return rig.Start(ctx, rig.Options{Name: name, Bin: bin, Logs: filepath.Join(filepath.Dir(bin), "logs-"+name), Out: os.Stderr})
}

// long marks a test that the short form, which CI runs, leaves out.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("not in the short form: make e2e runs it")
	}
}

// orphan starts a cluster and waits to be killed.
func orphan(ctx context.Context, name string) int {
	bin = os.Getenv("PLIMSOLL_TEST_BIN")
	if _, err := start(ctx, name); err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("started")
	select {}
}

// theirs are the tests that ran on somebody else's cluster, and those that were left out.
var theirs struct {
	mu        sync.Mutex
	ran, left []string
}

// onTheirs runs what can be run on somebody else's cluster, and says what that was.
func onTheirs(m *testing.M, kubeconfig string) int {
	var err error
	if shared, err = rig.Attach(kubeconfig); err != nil {
		fmt.Fprintln(os.Stderr, "cluster tests:", err)
		return 1
	}
	fmt.Fprintf(os.Stderr, "The tests make namespaces, t-..., on the cluster of KUBECONFIG=%s, %s, and ask the Plimsoll that is installed there.\n", kubeconfig, shared.Config().Host)
	code := m.Run()
	fmt.Fprintf(os.Stderr, "Ran on it: %s\nLeft out, as they start, end or reach parts of a cluster: %s\n", strings.Join(theirs.ran, " "), strings.Join(theirs.left, " "))
	return code
}

// ours leaves a test out on somebody else's cluster.
func ours(t *testing.T) {
	t.Helper()
	if shared.Theirs() {
		theirs.mu.Lock()
		theirs.left = append(theirs.left, t.Name())
		theirs.mu.Unlock()
		t.Skip("it starts, ends or reaches parts of a cluster, which somebody else's does not allow: without KUBECONFIG it runs")
	}
}

// anywhere notes a test that runs on somebody else's cluster too.
func anywhere(t *testing.T) {
	t.Helper()
	if shared.Theirs() {
		theirs.mu.Lock()
		theirs.ran = append(theirs.ran, t.Name())
		theirs.mu.Unlock()
	}
}

// nodes are the names of two nodes of the cluster that take pods.
func nodes(t *testing.T) (one, two string) {
	t.Helper()
	list, err := shared.Client().CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range list.Items {
		if !n.Spec.Unschedulable && len(n.Spec.Taints) == 0 {
			names = append(names, n.Name)
		}
	}
	if len(names) < 2 {
		t.Skipf("it needs two nodes that take pods; there are %q", names)
	}
	slices.Sort(names)
	return names[0], names[1]
}

// TestNothingIsLeft kills the process that started a cluster, and finds nothing of the cluster soon after; so it does after a Stop.
func TestNothingIsLeft(t *testing.T) {
	ours(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "PLIMSOLL_TEST_ORPHAN=orphan", "PLIMSOLL_TEST_BIN="+bin)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 200)
	if n, err := out.Read(said); string(said[:n]) != "started\n" {
		t.Fatalf("got %q, %v", said[:n], err)
	}
	if left := traces("orphan"); len(left) == 0 {
		t.Fatal("no trace of a running cluster is found: the test looks in the wrong places")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	deadline := time.Now().Add(30 * time.Second)
	for len(traces("orphan")) > 0 && time.Now().Before(deadline) {
		time.Sleep(200 * time.Millisecond)
	}
	if left := traces("orphan"); len(left) > 0 {
		t.Fatalf("half a minute after its maker's end there is left of the cluster: %s", strings.Join(left, "\n"))
	}
}

// traces are what can be found of a cluster of a name: files, namespaces, cgroups, mounts, processes.
func traces(name string) []string {
	var out []string
	for _, pattern := range []string{"/var/tmp/plimsoll-" + name, "/run/plimsoll-" + name, "/run/netns/plimsoll-" + name + "-*", "/sys/fs/cgroup/plimsoll-" + name, "/sys/fs/cgroup/*/plimsoll-" + name} {
		found, _ := filepath.Glob(pattern)
		out = append(out, found...)
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, "plimsoll-"+name) {
			out = append(out, "mount "+line)
		}
	}
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, c := range commands {
		if args, err := os.ReadFile(c); err == nil && strings.Contains(string(args), "plimsoll-"+name+"/") {
			out = append(out, "process "+strings.ReplaceAll(string(args), "\x00", " "))
		}
	}
	return out
}
