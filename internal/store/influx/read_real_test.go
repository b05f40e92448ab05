package influx

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/storetest"
)

type direct struct {
	*Reader
	mu   sync.Mutex
	enc  *Encoder
	base string
	db   string
}

func (d *direct) write(ctx context.Context, lines []byte) error {
	if d.closed.Load() {
		return store.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(lines) == 0 {
		return nil
	}
	resp, err := http.Post(d.base+"/write?precision=ms&db="+d.db, "text/plain", strings.NewReader(string(lines)))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != 204 {
		b, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%s: %s", resp.Status, b)
	}
	return nil
}

func (d *direct) Append(ctx context.Context, b *metric.Batch) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	lines, _ := d.enc.Encode(nil, b, time.Now())
	return d.write(ctx, lines)
}

func (d *direct) AppendDecision(ctx context.Context, x store.Decision) error {
	lines, err := EncodeDecision(nil, "", x)
	if err != nil {
		return err
	}
	return d.write(ctx, lines)
}

func TestReal(t *testing.T) {
	base := os.Getenv("INFLUX")
	if base == "" {
		t.Skip("needs INFLUX")
	}
	storetest.Run(t, func(t *testing.T) store.Store {
		db := "t" + strings.NewReplacer("/", "_", "#", "_").Replace(t.Name())
		resp, err := http.PostForm(base+"/query", url.Values{"q": {`DROP DATABASE "` + db + `"; CREATE DATABASE "` + db + `"`}})
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || strings.Contains(string(b), "error") {
			t.Fatalf("%s %s", resp.Status, b)
		}
		r, err := NewReader(ReaderOptions{URL: base, Database: db})
		if err != nil {
			t.Fatal(err)
		}
		enc, err := NewEncoder(EncoderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		d := &direct{Reader: r, enc: enc, base: base, db: db}
		t.Cleanup(func() { d.Close() })
		return d
	}, storetest.Options{SubSummed: true})
}
