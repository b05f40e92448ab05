package decisions

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/disk"
	"plimsoll.dev/plimsoll/internal/store"
)

// TestTornDecisions cuts and flips the decision log at every place: what is whole before the damage stays, and what
// comes after it, unless it is the tail.
func TestTornDecisions(t *testing.T) {
	dir := t.TempDir()
	open := func(dir string) (*Log, []string) {
		var reports []string
		l, err := Open(&disk.Folder{Dir: dir}, Options{MaxBytes: 8 << 20, Retention: time.Hour, Report: func(s string) { reports = append(reports, s) }})
		must(t, err)
		return l, reports
	}
	l, _ := open(dir)
	for i := range 5 {
		must(t, l.append(&cluster.Decision{Time: time.Unix(int64(i), 0), Message: strconv.Itoa(i), Detail: []byte(`{"a":1}`)}))
	}
	must(t, l.Close())
	data, err := os.ReadFile(filepath.Join(dir, "decisions", "00000001.jsonl"))
	must(t, err)
	lines := bytes.SplitAfter(data, []byte("\n"))
	check := func(damaged []byte, want string, wantReport bool) {
		t.Helper()
		dir := t.TempDir()
		must(t, os.Mkdir(filepath.Join(dir, "decisions"), 0o750))
		must(t, os.WriteFile(filepath.Join(dir, "decisions", "00000001.jsonl"), damaged, 0o600))
		l, reports := open(dir)
		must(t, l.append(&cluster.Decision{Time: time.Unix(100, 0), Message: "new"}))
		must(t, l.Close())
		l, again := open(dir)
		got, err := l.query(context.Background(), store.DecisionQuery{})
		must(t, err)
		s := ""
		for _, d := range got {
			s = d.Message + s
		}
		if s != want+"new" || (len(reports) > 0) != wantReport {
			t.Errorf("got %q and reports %q, want %q", s, reports, want+"new")
		}
		for _, r := range again {
			if strings.Contains(r, "torn") {
				t.Errorf("a second opening cut again: %q", r)
			}
		}
		must(t, l.Close())
	}
	for at := range data {
		whole, n := "", 0
		for i, line := range lines {
			if n += len(line); n <= at && len(line) > 0 {
				whole += strconv.Itoa(i)
			}
		}
		end := at == 0 || data[at-1] == '\n'
		check(data[:at], whole, !end)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		damaged := bytes.Clone(data)
		at := rng.IntN(len(data))
		damaged[at] ^= 1 << rng.IntN(8)
		hit := bytes.Count(data[:at], []byte("\n"))
		want := strings.Replace("01234", strconv.Itoa(hit), "", 1)
		if data[at] == '\n' && hit < 4 { // two lines become one
			want = strings.Replace(want, strconv.Itoa(hit+1), "", 1)
		}
		check(damaged, want, true)
	}
}

// TestDecisionIndex finds the decisions of one target among many segments, and newest first when they came late.
func TestDecisionIndex(t *testing.T) {
	l := open(t, t.TempDir(), Options{MaxBytes: 512 << 20})
	base := time.Unix(1.8e9, 0)
	for i := range 6000 {
		at := base.Add(time.Duration(i) * time.Second)
		if i%1000 == 999 {
			at = base.Add(time.Hour * 24) // a clock that was ahead
		}
		must(t, l.append(&cluster.Decision{Time: at, Target: cluster.Target{Namespace: "n", Kind: "k", Name: strconv.Itoa(i / 1000)}, Message: strconv.Itoa(i) + strings.Repeat("x", 900)}))
	}
	if len(l.segments) < 5 {
		t.Fatalf("only %d segments", len(l.segments))
	}
	f := func(q store.DecisionQuery, want ...string) {
		t.Helper()
		got, err := l.query(context.Background(), q)
		must(t, err)
		var have []string
		for _, d := range got {
			have = append(have, strings.TrimRight(d.Message, "x"))
		}
		if d := cmp.Diff(want, have); d != "" {
			t.Errorf("%+v: want -, got +:\n%s", q, d)
		}
	}
	f(store.DecisionQuery{Limit: 8}, "5999", "4999", "3999", "2999", "1999", "999", "5998", "5997")
	f(store.DecisionQuery{Target: cluster.Target{Namespace: "n", Kind: "k", Name: "2"}, Limit: 2}, "2999", "2998")
	f(store.DecisionQuery{Start: base.Add(1500 * time.Second), End: base.Add(1501 * time.Second)}, "1501", "1500")
	few, err := l.candidates(&store.DecisionQuery{Target: cluster.Target{Namespace: "n", Kind: "k", Name: "2"}})
	if err != nil || len(few) > 3 {
		t.Errorf("%d segments may hold a target that is in two; error %v", len(few), err)
	}
	if err := l.append(&cluster.Decision{Message: strings.Repeat("x", segmentBytes)}); err == nil {
		t.Error("a decision of more than a megabyte was taken")
	}
}

// FuzzDecisions reads anything as a decision log, and reads back what it took.
func FuzzDecisions(f *testing.F) {
	line, _ := encode(nil, &cluster.Decision{Time: time.Unix(1, 0), Target: cluster.Target{Name: "a"}, Detail: []byte(`{}`)})
	f.Add(line)
	f.Add(append(line, line[:20]...))
	f.Add([]byte("00000000 \n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var again []byte
		n := 0
		good, _ := scan(data, func(d *cluster.Decision) bool {
			n++
			var err error
			if again, err = encode(again, d); err != nil {
				t.Fatalf("cannot write %+v: %v", d, err)
			}
			return true
		})
		if good < 0 || good > len(data) {
			t.Fatalf("%d of %d bytes are good", good, len(data))
		}
		m := 0
		if got, damaged := scan(again, func(*cluster.Decision) bool { m++; return true }); got != len(again) || damaged != 0 || m != n {
			t.Errorf("read %d again of %d, %d damaged", m, n, damaged)
		}
	})
}

// FuzzDetail writes any detail and reads the same bytes back.
func FuzzDetail(f *testing.F) {
	f.Add("w", []byte(`{"a":[1, 2]}`))
	f.Add("\n", []byte("\x00\n"))
	f.Fuzz(func(t *testing.T, name string, detail []byte) {
		line, err := encode(nil, &cluster.Decision{Time: time.Unix(1, 0), Target: cluster.Target{Name: name}, Detail: detail})
		if err != nil {
			return
		}
		var got *cluster.Decision
		good, damaged := scan(line, func(d *cluster.Decision) bool { got = d; return true })
		if good != len(line) || damaged != 0 || got == nil || !bytes.Equal(got.Detail, detail) {
			t.Fatalf("wrote %q, read %+v", line, got)
		}
		if want := strings.ToValidUTF8(name, "\uFFFD"); strings.ToValidUTF8(got.Name, "\uFFFD") == "" && want != "" {
			t.Errorf("got name %q, want %q", got.Name, want)
		}
	})
}
