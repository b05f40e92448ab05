package main

import (
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/aggregator/api"
	"plimsoll.dev/plimsoll/internal/dockertest"
)

// inContainer is a Plimsoll that runs in a container of an image that holds nothing else, and is asked over the machine's loopback.
type inContainer struct {
	running
	d    *dockertest.Daemon
	name string
}

// startIn runs a command of Plimsoll in a container; options are those of docker run.
func startIn(t *testing.T, d *dockertest.Daemon, name string, options []string, args ...string) *inContainer {
	t.Helper()
	run := append([]string{"run", "-d", "--name", name, "--network", "host", "--read-only", "--tmpfs", "/data:mode=1777", "--log-driver", "json-file"}, options...)
	d.Docker(append(append(run, "plimsoll:1", "/plimsoll"), args...)...)
	c := &inContainer{d: d, name: name}
	until(t, "it says where it is: "+name, 2*time.Minute, func() bool {
		for line := range strings.Lines(c.logs()) {
			var said struct{ Page string }
			if json.Unmarshal([]byte(line), &said) == nil && said.Page != "" {
				c.url = said.Page
				return true
			}
		}
		return false
	})
	return c
}

func (c *inContainer) logs() string { return c.d.Docker("logs", c.name) }

// has says whether a query gives a series with all of these texts in it.
func (c *inContainer) has(t *testing.T, query string, texts ...string) bool {
	t.Helper()
	_, body := c.get(t, "/api/v1/query?query="+url.QueryEscape(query))
	for _, x := range texts {
		if !strings.Contains(body, x) {
			return false
		}
	}
	return strings.Contains(body, `"metric":{`)
}

// In a container every reader reads the machine where it is told that it is: cgroups, /proc and file systems; what cannot be seen from
// there is said.
func TestInContainer(t *testing.T) {
	d := dockertest.New(t)
	d.Start()
	d.Import("plimsoll:1", "plimsoll", ".")
	d.Import("app:1", "app", "../../collector/testdata/load")
	d.Docker("tag", "app:1", "localhost:5000/shop/app:1.2")
	d.Docker("run", "-d", "--name", "web", "--network", "none", "--memory", "64m", "--cpus", "0.05", "app:1", "/app", "burn")
	d.Docker("run", "-d", "--name", "cache", "--network", "none", "localhost:5000/shop/app:1.2", "/app", "idle")
	socket := []string{"-v", d.Sock + ":/var/run/docker.sock"}
	args := []string{"run", "--data", "/data/p", "--listen", "127.0.0.1:0", "--interval", "1s"}

	t.Run("all of the machine", func(t *testing.T) {
		c := startIn(t, d, "whole", append(socket, "-v", "/:/host:ro", "--pid", "host"), append(args, "--host-root", "/host")...)
		until(t, "limits, throttling and processes of web under its name", time.Minute, func() bool {
			return c.has(t, "kube_pod_container_resource_limits", `"container":"web"`, `"67108864"`) && c.has(t, "container_cpu_cfs_throttled_periods_total", `"container":"web"`) &&
				c.has(t, "container_processes", `"container":"web"`, `"1"]`)
		})
		until(t, "the machine's network and file systems", time.Minute, func() bool {
			return c.has(t, "node_fs_limit_bytes", "device") && c.has(t, "node_network_receive_bytes_total")
		})
		until(t, "what containers run, and in what", time.Minute, func() bool { return images(t, &c.running) })
		if c.has(t, "container_cpu_usage_seconds_total", `"container":"plimsoll"`) {
			t.Error("Plimsoll is measured twice: as its container and by itself")
		}
		if _, body := c.get(t, "/plimsoll/v1/overview"); strings.Contains(body, "MachineSeen") {
			t.Errorf("something is not seen: %s", body)
		}
		if out := d.Docker("exec", "whole", "/plimsoll", "doctor", "--data", "/data/d", "--listen", "127.0.0.1:0", "--host-root", "/host"); strings.Contains(out, "cannot be seen") || strings.Contains(out, "of this container") {
			t.Errorf("doctor: %s", out)
		}
	})
	t.Run("through a collector", func(t *testing.T) {
		server := startRole(t, "server", "--data", t.TempDir(), "--interval", "1s")
		d.Docker(append(append([]string{"run", "-d", "--name", "agent", "--network", "host", "--read-only", "--tmpfs", "/data:mode=1777", "-v", "/:/host:ro", "--pid", "host"}, socket...),
			"plimsoll:1", "/plimsoll", "collector", "--server", server.url, "--host-root", "/host", "--queue", "/data/q", "--listen", "127.0.0.1:0", "--node", "edge-1", "--interval", "1s")...)
		until(t, "what containers run, and in what", time.Minute, func() bool { return images(t, server) })
	})
	t.Run("time zones", func(t *testing.T) {
		cmd := exec.Command("docker", "-H", "unix://"+d.Sock, "run", "--rm", "-i", "--network", "none", "plimsoll:1", "/plimsoll", "decide", "-f", "-")
		cmd.Stdin = strings.NewReader(`{now: 2026-01-01T00:10:00Z, policy: {minReplicas: 1, maxReplicas: 10, schedules: [{start: "0 0 * * *", end: "0 6 * * *", timeZone: Europe/Berlin, minReplicas: 2}]}, target: {specReplicas: 3, statusReplicas: 3}}`)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "Europe/Berlin: 2 to 10") {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("cgroups alone, not root", func(t *testing.T) {
		c := startIn(t, d, "part", []string{"-v", "/sys/fs/cgroup:/host/sys/fs/cgroup:ro", "--user", "65534:65534", "--cap-drop", "ALL"}, append(args, "--cgroup-root", "/host/sys/fs/cgroup")...)
		until(t, "limits of web by its id", time.Minute, func() bool { return c.has(t, "kube_pod_container_resource_limits", `"67108864"`) })
		var body string
		until(t, "it says what it cannot see", time.Minute, func() bool {
			_, body = c.get(t, "/plimsoll/v1/overview")
			return strings.Contains(body, "ProcessesHidden") && strings.Contains(body, "--host-root")
		})
		if c.has(t, `container_processes{namespace="docker"} == 0`) {
			t.Error("containers of 0 processes")
		}
		d.Docker("exec", "-d", "part", "/plimsoll", "run", "--demo", "--data", "/data/q", "--listen", "127.0.0.1:0", "--cgroup-root", "/host/sys/fs/cgroup")
		first := d.Docker("inspect", "-f", "{{.State.Pid}}", "part")
		until(t, "a second one runs in there, with replicas", time.Minute, func() bool { return len(within(t, first, "/data/q")) > 0 && len(within(t, first, "")) > 4 })
		for _, pid := range within(t, first, "/data/q") {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		until(t, "its orphans are waited for by process 1", time.Minute, func() bool { return len(within(t, first, "")) == 2 })
		if out := d.Docker("exec", "part", "/plimsoll", "doctor", "--data", "/data/d", "--listen", "127.0.0.1:0", "--cgroup-root", "/host/sys/fs/cgroup"); !strings.Contains(out, "--pid host") || !strings.Contains(out, "--host-root") {
			t.Errorf("doctor is silent about it: %s", out)
		}
	})
}

// images says whether the two containers are listed with their runtime and the image that Docker has for them.
func images(t *testing.T, r *running) bool {
	t.Helper()
	_, body := r.get(t, "/plimsoll/v1/containers?limit=1000")
	var l api.ContainerList
	if err := json.Unmarshal([]byte(body), &l); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	got := map[string]string{}
	for _, c := range l.Items {
		if c.Runtime == "docker" {
			got[c.Name] = c.Image
		}
	}
	return got["web"] == "app:1" && got["cache"] == "localhost:5000/shop/app:1.2"
}

// within lists the processes in the process namespace of one, zombies too, whose command lines hold a text.
func within(t *testing.T, first, text string) (out []int) {
	t.Helper()
	here, err := os.Readlink("/proc/" + first + "/ns/pid")
	if err != nil {
		t.Fatal(err)
	}
	all, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range all {
		// A zombie has no namespaces, but its parent's cgroup and no command line.
		line, _ := os.ReadFile(dir + "/cmdline")
		ns, err := os.Readlink(dir + "/ns/pid")
		status, _ := os.ReadFile(dir + "/status")
		zombie := err != nil && strings.Contains(string(status), "PPid:\t"+first+"\n")
		if ns != here && !zombie || !strings.Contains(string(line), text) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			out = append(out, pid)
		}
	}
	return out
}
