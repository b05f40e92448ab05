package collector_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/collector/cadvisor"
	"plimsoll.dev/plimsoll/collector/cgroup"
	"plimsoll.dev/plimsoll/collector/names"
	"plimsoll.dev/plimsoll/internal/metric"
)

// daemon is a dockerd of the test's own.
type daemon struct {
	t    *testing.T
	dir  string
	sock string
	cmd  *exec.Cmd
}

// newDaemon prepares a dockerd; start starts it.
func newDaemon(t *testing.T) *daemon {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: the test runs dockerd")
	}
	for _, tool := range []string{"dockerd", "docker"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: package docker.io", tool)
		}
	}
	dir, err := os.MkdirTemp("/tmp", "plimsoll-docker") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return &daemon{t: t, dir: dir, sock: filepath.Join(dir, "d.sock")}
}

func (d *daemon) start() {
	d.t.Helper()
	log, err := os.Create(filepath.Join(d.dir, "log"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	d.cmd = exec.Command("dockerd", "--data-root", d.dir+"/data", "--exec-root", d.dir+"/exec", "--pidfile", d.dir+"/pid",
		"-H", "unix://"+d.sock, "--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs", "--live-restore")
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(d.stop)
	until(d.t, 3*time.Minute, "dockerd answers", func() bool {
		return exec.Command("docker", "-H", "unix://"+d.sock, "info").Run() == nil
	})
}

// stop removes the containers and ends dockerd by its pid file.
func (d *daemon) stop() {
	if d.cmd == nil {
		return
	}
	ids, _ := exec.Command("docker", "-H", "unix://"+d.sock, "ps", "-aq").Output()
	if all := strings.Fields(string(ids)); len(all) > 0 {
		_ = exec.Command("docker", append([]string{"-H", "unix://" + d.sock, "rm", "-f"}, all...)...).Run()
	}
	d.halt()
}

// halt ends dockerd by its pid file; its containers run on.
func (d *daemon) halt() {
	if data, err := os.ReadFile(d.dir + "/pid"); err == nil {
		if pid, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGTERM)
		}
	}
	_ = d.cmd.Wait()
	d.cmd = nil
}

// docker runs a docker command and returns its output.
func (d *daemon) docker(args ...string) string {
	d.t.Helper()
	out, err := exec.Command("docker", append([]string{"-H", "unix://" + d.sock}, args...)...).CombinedOutput()
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(d.dir, "log"))
		d.t.Fatalf("docker %s: %v\n%s\n%s", strings.Join(args, " "), err, out, log[max(0, len(log)-4000):])
	}
	return strings.TrimSpace(string(out))
}

// image makes an image of the test's own program.
func (d *daemon) image() {
	d.t.Helper()
	app := filepath.Join(d.dir, "app")
	build := exec.Command("go", "build", "-o", app, "./testdata/load")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		d.t.Fatalf("cannot build the load: %v\n%s", err, out)
	}
	sh := exec.Command("sh", "-c", fmt.Sprintf("tar c -C %s app | docker -H unix://%s import - app:1", d.dir, d.sock))
	if out, err := sh.CombinedOutput(); err != nil {
		d.t.Fatalf("cannot import the image: %v\n%s", err, out)
	}
}

// room is the readers and names of one machine, as cmd wires them.
type room struct {
	names *names.Names
	full  *cadvisor.Reader
	fast  *cgroup.Reader
}

func newRoom(t *testing.T, sockets ...string) *room {
	t.Helper()
	n, err := names.New(names.Options{Node: "n1", Sockets: sockets})
	if err != nil {
		t.Fatal(err)
	}
	fast, err := cgroup.New(cgroup.Options{Node: "n1", Namer: n})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fast.Close() })
	full, err := cadvisor.New(cadvisor.Options{Node: "n1", Namer: n, Starts: fast})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- n.Run(ctx) }()
	go func() { done <- full.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	return &room{n, full, fast}
}

// find returns the group of what an entity calls itself "namespace/workload/pod", nil if there is none.
func find(b *metric.Batch, name string) *metric.Group {
	for i := range b.Groups {
		if e := b.Groups[i].Entity; e.Namespace+"/"+e.Workload+"/"+e.Pod == name {
			return &b.Groups[i]
		}
	}
	return nil
}

// value returns a row's value, -1 if it is missing.
func value(g *metric.Group, id metric.ID) float64 {
	if g != nil {
		for _, p := range g.Points {
			if p.ID == id {
				return p.V
			}
		}
	}
	return -1
}

func until(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// TestDocker follows real containers from before their daemon starts to after they are gone.
func TestDocker(t *testing.T) {
	d := newDaemon(t)
	r := newRoom(t, d.sock) // before there is a socket
	d.start()
	d.image()
	d.docker("run", "-d", "--name", "web-1", "--network", "none", "--memory", "64m", "--cpus", "0.05",
		"--label", "com.docker.compose.project=shop", "--label", "com.docker.compose.service=web", "app:1", "/app", "burn")
	var f, g *metric.Group
	until(t, 2*time.Minute, "web-1 has its name in both readers", func() bool {
		f = find(r.fast.Read(time.Now()), "shop/web/web-1") // first: when it began is for the fast reader to say
		g = find(r.full.Read(time.Now()), "shop/web/web-1")
		return f != nil && g != nil
	})
	if e := g.Entity; e.WorkloadKind != "Compose" || e.Runtime != "docker" || e.Image != "app:1" || e.Container != "web-1" {
		t.Errorf("entity %+v", e)
	}
	if f.Entity != g.Entity || !f.Start.Equal(g.Start) {
		t.Errorf("the readers disagree: entity %p and %p, start %v and %v", f.Entity, g.Entity, f.Start, g.Start)
	}
	agree(t, r, "shop/web/web-1", 0.05) // so little that a busy machine throttles it too
	until(t, 2*time.Minute, "the limits and the throttling are known", func() bool {
		g = find(r.full.Read(time.Now()), "shop/web/web-1")
		return value(g, metric.CPULimit) == 0.05 && value(g, metric.MemoryLimit) == 64<<20 && value(g, metric.CPUThrottledPeriods) > 0
	})
	if value(g, metric.Processes) != 1 || value(g, metric.Threads) < 2 ||
		value(g, metric.FileDescriptors) < 3 {
		t.Errorf("points %+v", g.Points)
	}

	d.docker("rename", "web-1", "web-2")
	until(t, 2*time.Minute, "the new name is known", func() bool {
		return find(r.full.Read(time.Now()), "shop/web/web-2") != nil && find(r.fast.Read(time.Now()), "shop/web/web-2") != nil
	})

	d.docker("run", "-d", "--name", "hog", "--network", "none", "--memory", "32m", "app:1", "/app", "oom")
	until(t, 2*time.Minute, "the kill is counted", func() bool {
		return value(find(r.full.Read(time.Now()), "docker/hog/hog"), metric.OOMKills) >= 1
	})
	d.docker("run", "-d", "--name", "hold", "--network", "none", "--memory", "200m", "app:1", "/app", "hold", "50000000")
	until(t, 2*time.Minute, "50 MB show", func() bool {
		g = find(r.full.Read(time.Now()), "docker/hold/hold")
		return value(g, metric.MemoryWorkingSet) > 50e6 && value(g, metric.MemoryWorkingSet) < 80e6
	})

	s := r.names.Sockets()[0]
	if !s.Reachable || s.Error != "" {
		t.Errorf("socket %+v", s)
	}

	d.halt() // as when Docker is upgraded
	until(t, 2*time.Minute, "the socket is known to be gone", func() bool { return !r.names.Sockets()[0].Reachable })
	if full, fast := r.full.Read(time.Now()), r.fast.Read(time.Now()); find(full, "shop/web/web-2") == nil || find(fast, "shop/web/web-2") == nil {
		t.Error("web-2 runs on without its daemon, but has lost its name")
	}
	d.start()
	d.docker("rename", "web-2", "web-3")
	until(t, 2*time.Minute, "the daemon that came back is followed", func() bool {
		return find(r.full.Read(time.Now()), "shop/web/web-3") != nil && find(r.fast.Read(time.Now()), "shop/web/web-3") != nil
	})

	d.docker("rm", "-f", "web-3", "hog", "hold")
	until(t, 2*time.Minute, "the containers are gone", func() bool {
		full, fast := r.full.Read(time.Now()), r.fast.Read(time.Now())
		for _, name := range []string{"shop/web/web-3", "docker/hog/hog", "docker/hold/hold"} {
			if find(full, name) != nil || find(fast, name) != nil {
				return false
			}
		}
		return true
	})
	d.stop()
	until(t, 2*time.Minute, "the socket is known to be gone", func() bool { return !r.names.Sockets()[0].Reachable })
}
