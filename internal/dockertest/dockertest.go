// Package dockertest gives a test a Docker of its own, with real containers, and leaves nothing of it behind: what a test that was killed left, the next one
// clears. What it runs outlives the test's context, since clearing up comes after that.
package dockertest

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
)

// Daemon is a dockerd of the test's own.
type Daemon struct {
	// Sock is its socket, Dir a folder of the test's own.
	Sock, Dir string

	t   testing.TB
	cmd *exec.Cmd
}

// New prepares a dockerd; Start starts it. The test is skipped where none can run.
func New(t testing.TB) *Daemon {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root: the test runs dockerd")
	}
	for _, tool := range []string{"dockerd", "docker"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: package docker.io", tool)
		}
	}
	sweep()
	dir, err := os.MkdirTemp(filepath.Dir(folders), fmt.Sprintf("%s%d-", filepath.Base(folders), os.Getpid())) // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { wipe(dir) })
	return &Daemon{t: t, Dir: dir, Sock: filepath.Join(dir, "d.Sock")}
}

// Start starts it, and waits until it answers.
func (d *Daemon) Start() {
	d.t.Helper()
	log, err := os.Create(filepath.Join(d.Dir, "log"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	d.cmd = exec.CommandContext(context.Background(), "dockerd", "--data-root", d.Dir+"/data", "--exec-root", d.Dir+"/exec", "--pidfile", d.Dir+"/pid",
		"-H", "unix://"+d.Sock, "--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs", "--live-restore")
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(d.Stop)
	for end := time.Now().Add(3 * time.Minute); exec.CommandContext(context.Background(), "docker", "-H", "unix://"+d.Sock, "info").Run() != nil; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			d.t.Fatal("dockerd does not answer")
		}
	}
}

// Stop removes the containers and ends dockerd by its pid file.
func (d *Daemon) Stop() {
	if d.cmd == nil {
		return
	}
	ids, _ := exec.CommandContext(context.Background(), "docker", "-H", "unix://"+d.Sock, "ps", "-aq").Output()
	if all := strings.Fields(string(ids)); len(all) > 0 {
		_ = exec.CommandContext(context.Background(), "docker", append([]string{"-H", "unix://" + d.Sock, "rm", "-f"}, all...)...).Run()
	}
	d.Halt()
}

// Halt ends dockerd by its pid file; its containers run on.
func (d *Daemon) Halt() {
	if data, err := os.ReadFile(d.Dir + "/pid"); err == nil {
		if pid, err := strconv.Atoi(strings.TrimSpace(string(data))); err == nil {
			_ = syscall.Kill(pid, syscall.SIGTERM)
		}
	}
	_ = d.cmd.Wait()
	d.cmd = nil
}

// Docker runs a docker command and returns its output.
func (d *Daemon) Docker(args ...string) string {
	d.t.Helper()
	out, err := exec.CommandContext(context.Background(), "docker", append([]string{"-H", "unix://" + d.Sock}, args...)...).CombinedOutput()
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(d.Dir, "log"))
		d.t.Fatalf("docker %s: %v\n%s\n%s", strings.Join(args, " "), err, out, log[max(0, len(log)-4000):])
	}
	return strings.TrimSpace(string(out))
}

// Import makes an image that holds nothing but one program, built from a package of Go without C.
func (d *Daemon) Import(image, program, pkg string) {
	d.t.Helper()
	app := filepath.Join(d.Dir, program)
	build := exec.CommandContext(context.Background(), "go", "build", "-o", app, pkg)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		d.t.Fatalf("cannot build %q: %v\n%s", pkg, err, out)
	}
	sh := exec.CommandContext(context.Background(), "sh", "-c", fmt.Sprintf("tar c -C %s %s | docker -H unix://%s import - %s", d.Dir, program, d.Sock, image))
	if out, err := sh.CombinedOutput(); err != nil {
		d.t.Fatalf("cannot import the image: %v\n%s", err, out)
	}
}
