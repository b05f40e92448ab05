// Package cluster_test tries Plimsoll on a real Kubernetes, which it starts once for all its tests.
package cluster_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/test/cluster/rig"
)

// shared is the cluster of all tests but those that start one of their own.
var shared *rig.Cluster

// bin is the folder of the cluster's binaries.
var bin string

// image is what the tests' pods run.
const image = "plimsoll.dev/workload:1"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	ctx := context.Background()
	if name := os.Getenv("PLIMSOLL_TEST_ORPHAN"); name != "" {
		return orphan(ctx, name)
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

// TestNothingIsLeft kills the process that started a cluster, and finds nothing of the cluster soon after; so it does after a Stop.
func TestNothingIsLeft(t *testing.T) {
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
