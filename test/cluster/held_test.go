package cluster_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// heldStream holds the page's event stream for far longer than the API server lets requests last that are no watches, whose time is made short for that; then the
// API server ends and comes back: the stream ends at once, who opens it meanwhile is told why not, and afterwards it goes on, with nothing lacking of the past.
func heldStream(t *testing.T, binary, kubeconfig, ns string) {
	const cut = 5 * time.Second
	lasts := 20 * time.Second
	if !testing.Short() {
		lasts = 70 * time.Second
	}
	again := func(more ...string) {
		t.Helper()
		if err := errors.Join(shared.End("kube-apiserver"), shared.StartAPIServer(more...), shared.WaitAPI(context.Background())); err != nil {
			t.Fatal(err)
		}
	}
	again("--request-timeout=" + cut.String())
	t.Cleanup(func() { again() })
	until(t, "Plimsoll is not reached after the API server's start", func() error {
		_, err := shared.Kubectl(t.Context(), "get", "--raw", viewBase+"/overview")
		return err
	})
	began := time.Now()
	// What is no watch is cut off, so the flag is in force.
	limited, end := context.WithTimeout(t.Context(), 4*cut)
	defer end()
	if out, err := shared.Kubectl(limited, "get", "--raw", viewBase+"/stream"); time.Since(began) > 3*cut {
		t.Errorf("a stream that is no watch lasted %v: %.100s %v", time.Since(began), out, err)
	}
	_, address := openPage(t, binary, kubeconfig)
	client := &http.Client{Transport: &http.Transport{DialContext: shared.Dial}}
	s := follow(t, client, address)
	began = time.Now()
	events := 0
	for time.Since(began) < lasts {
		if err := s.next(); err != nil {
			t.Fatalf("the stream ends after %v and %d events: %v", time.Since(began), events, err)
		}
		events++
	}
	t.Logf("%d events in %v, at most %.1f s between two of them, while the API server ends other requests after %v", events, lasts, s.gap.Seconds(), cut)
	if s.gap > 3*time.Second || events < int(lasts.Seconds())/2 {
		t.Errorf("%d events in %v, and %v between two", events, lasts, s.gap)
	}

	if err := shared.End("kube-apiserver"); err != nil {
		t.Fatal(err)
	}
	ended := time.Now()
	for s.next() == nil {
	}
	t.Logf("the API server is killed: the stream ends after %v", time.Since(ended).Round(100*time.Millisecond))
	if time.Since(ended) > 10*time.Second {
		t.Errorf("the stream did not end for %v", time.Since(ended))
	}
	resp, err := client.Get(address + "plimsoll/v1/stream")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusBadGateway || !strings.Contains(string(body), "cannot reach the API server") {
		t.Errorf("without an API server: %s %s", resp.Status, body)
	}
	time.Sleep(time.Until(ended.Add(8 * time.Second)))
	if err := errors.Join(shared.StartAPIServer(), shared.WaitAPI(t.Context())); err != nil {
		t.Fatal(err)
	}
	until(t, "the stream does not go on", func() error {
		resp, err := client.Get(address + "plimsoll/v1/stream")
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			return fmt.Errorf("%s %s", resp.Status, body)
		}
		s = &stream{body: resp.Body, lines: bufio.NewReader(resp.Body)}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return errors.Join(s.next(), s.next())
	})
	t.Logf("it goes on %v after the API server's end", time.Since(ended).Round(100*time.Millisecond))
	until(t, "the past of that time has a hole", func() error {
		resp, err := client.Get(fmt.Sprintf("%splimsoll/v1/series?metric=container_memory_working_set_bytes&by=namespace&namespace=%s&start=%d&end=%d&step=10&window=15", address, ns, ended.Unix()-20, time.Now().Unix()))
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		var a struct {
			Series []struct{ Points [][2]*float64 }
		}
		raw, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, json.Unmarshal(raw, &a)); err != nil || len(a.Series) != 1 {
			return fmt.Errorf("%s %s %w", resp.Status, raw, errors.Join(err))
		}
		last := 0.0
		for _, p := range a.Series[0].Points {
			if p[1] == nil {
				return fmt.Errorf("there is no value at %v: %s", *p[0], raw)
			}
			if last > 0 && *p[0]-last > 15 {
				return fmt.Errorf("there are %v s between two values: %s", *p[0]-last, raw)
			}
			last = *p[0]
		}
		if last < float64(ended.Unix()+15) {
			return fmt.Errorf("there is nothing after %v yet: %s", last, raw)
		}
		return nil
	})
}

// stream is the page's, as a browser reads it.
type stream struct {
	body  io.Closer
	lines *bufio.Reader
	last  time.Time
	gap   time.Duration // the longest between the times of two pictures
}

func follow(t *testing.T, client *http.Client, address string) *stream {
	t.Helper()
	resp, err := client.Get(address + "plimsoll/v1/stream")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(resp.Body)
		t.Fatalf("the stream: %s %s", resp.Status, body)
	}
	return &stream{body: resp.Body, lines: bufio.NewReader(resp.Body)}
}

// next reads up to the next picture of the whole.
func (s *stream) next() error {
	for event := ""; ; {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return err
		}
		if strings.Contains(line, "marked") {
			return fmt.Errorf("it tells %s", line)
		}
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			event = strings.TrimSpace(name)
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok || event != "overview" {
			continue
		}
		var o struct{ Time time.Time }
		if err := json.Unmarshal([]byte(data), &o); err != nil {
			return err
		}
		if !s.last.IsZero() {
			s.gap = max(s.gap, o.Time.Sub(s.last))
		}
		s.last = o.Time
		return nil
	}
}
