package cluster_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestClusterForAPerson brings up what 'make cluster' does, reads the page that it names, interrupts it, and finds nothing left.
func TestClusterForAPerson(t *testing.T) {
	ours(t)
	long(t)
	cmd := exec.CommandContext(context.Background(), filepath.Join(bin, "cluster"), "up")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // its reaper cleans
	page, said := "", bufio.NewScanner(out)
	for said.Scan() && !strings.HasPrefix(said.Text(), "Ctrl-C") {
		if rest, ok := strings.CutPrefix(said.Text(), "The page:"); ok {
			page = strings.TrimSpace(rest)
		}
	}
	client := &http.Client{Timeout: 5 * time.Second}
	for path, want := range map[string]string{"": "<!doctype html>", "plimsoll/v1/overview": `"schema"`} {
		resp, err := client.Get(page + path)
		if err != nil {
			t.Errorf("the page at %q: %v", page, err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.Contains(strings.ToLower(string(body)), want) {
			t.Errorf("%s%s: %s, %v: %.200s", page, path, resp.Status, err, body)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after an interrupt: %v", err)
	}
	if left := traces("up"); len(left) > 0 {
		t.Errorf("left: %s", strings.Join(left, "\n"))
	}
}
