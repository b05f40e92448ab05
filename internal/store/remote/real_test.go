package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/storetest"
)

// startPrometheus starts Debian's Prometheus with its remote-write receiver and a window for late samples, and returns its address.
func startPrometheus(t *testing.T) string {
	t.Helper()
	bin, err := exec.LookPath("prometheus")
	if p := os.Getenv("PLIMSOLL_TEST_PROMETHEUS"); p != "" {
		bin, err = p, nil
	}
	if err != nil {
		t.Skip("needs prometheus: apt-get install --no-install-recommends prometheus")
	}
	var said string
	for range 5 { // somebody else may take the port between the look for one and the start
		url, log := tryPrometheus(t, bin)
		if url != "" {
			return url
		}
		said = log
	}
	t.Fatalf("prometheus does not answer:\n%s", said)
	return ""
}

// tryPrometheus returns the address, or what Prometheus said if it ended or did not answer.
func tryPrometheus(t *testing.T, bin string) (url, said string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, []byte("storage: {tsdb: {out_of_order_time_window: 4h}}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr,
		"--web.enable-remote-write-receiver", "--log.level=warn")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = log.Close()
	})
	client := http.Client{Timeout: 10 * time.Second}
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if resp, err := client.Get("http://" + addr + "/-/ready"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return "http://" + addr, ""
			}
		}
		select {
		case <-ended:
			text, _ := os.ReadFile(log.Name())
			return "", string(text)
		default:
		}
	}
	text, _ := os.ReadFile(log.Name())
	return "", string(text)
}

// direct is a store without a queue.
type direct struct {
	*Reader
	sender *Sender
	closed atomic.Bool
	t      *testing.T
}

func (d *direct) Append(ctx context.Context, b *metric.Batch) error {
	if d.closed.Load() {
		return store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	record, _, _, err := Encode(b, identity.Labels, time.Now())
	if err != nil || record == nil {
		return err
	}
	refused, err := d.sender.Send(ctx, record)
	for _, f := range refused {
		return fmt.Errorf("refused: %s", f.Message)
	}
	return err
}

func (d *direct) AppendDecision(context.Context, cluster.Decision) error {
	if d.closed.Load() {
		return store.ErrClosed
	}
	return errors.ErrUnsupported
}

func (d *direct) Decisions(context.Context, store.DecisionQuery) ([]cluster.Decision, error) {
	return nil, errors.ErrUnsupported
}

func (d *direct) Close() error {
	d.closed.Store(true)
	d.sender.Close()
	return d.Reader.Close()
}

// TestAcceptance runs the contract of the history on a real Prometheus. Remote write has no place for decisions.
func TestAcceptance(t *testing.T) {
	open := func(maxSamples int) func(t *testing.T) store.Store {
		return func(t *testing.T) store.Store {
			base := startPrometheus(t)
			e := EndpointOptions{WriteURL: base + "/api/v1/write"}
			s, err := NewSender(SenderOptions{Endpoint: e})
			if err != nil {
				t.Fatal(err)
			}
			r, err := NewReader(ReaderOptions{Endpoint: e, MaxSamples: maxSamples})
			if err != nil {
				t.Fatal(err)
			}
			d := &direct{Reader: r, sender: s, t: t}
			t.Cleanup(func() { _ = d.Close() })
			return d
		}
	}
	t.Run("samples", func(t *testing.T) {
		storetest.Run(t, open(0), storetest.Options{NoDecisions: true, Rate: 0.015})
	})
	t.Run("engine", func(t *testing.T) { // adds up what is too much to be read
		storetest.Run(t, open(-1), storetest.Options{NoDecisions: true, Multiples: true, Increase: 0.5, Bridged: 30 * time.Second})
	})
}
