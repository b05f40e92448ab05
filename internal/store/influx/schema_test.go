package influx

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"plimsoll.dev/plimsoll/internal/metric"
)

// TestClientIsUsedSafely is a house rule: of InfluxDB's client, WriteAPIBlocking.WriteRecord alone writes. Its asynchronous
// writer loses data and can block for ever, its batching forgets what it could not send.
func TestClientIsUsedSafely(t *testing.T) {
	unsafe := regexp.MustCompile(`\.(WriteAPI|WritePoint|EnableBatching|Flush)\(`)
	imports := []byte(`"github.com/influxdata/influxdb-client-go/v2`)
	err := filepath.WalkDir("../../..", func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == ".cache") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "test/influx/") || strings.Contains(path, "test/bench/") {
			return nil // the crash table compares with the client's own writer
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if hit := unsafe.Find(text); hit != nil && bytes.Contains(text, imports) {
			t.Errorf("%s calls %s of InfluxDB's client", path, hit)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// unescape reads a tag's value as InfluxDB does, up to the end of it.
func unescape(s string) (v, rest string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (s[i+1] == ',' || s[i+1] == ' ' || s[i+1] == '=') {
			b.WriteByte(s[i+1])
			i++
			continue
		}
		if s[i] == ',' || s[i] == ' ' {
			return b.String(), s[i:]
		}
		b.WriteByte(s[i])
	}
	return b.String(), ""
}

// checkTag tests what must hold for every value.
func checkTag(t interface{ Errorf(string, ...any) }, v string) {
	tag := TagValue(v)
	line := string(appendTag(nil, tag))
	got, rest := unescape(line + ",next=1")
	switch {
	case got != tag || rest != ",next=1":
		t.Errorf("%q: written %q, read %q, then %q", v, line, got, rest)
	case len(tag) > MaxTag+4:
		t.Errorf("%d bytes became %d", len(v), len(tag))
	case strings.ContainsAny(line, "\n\r\x00"):
		t.Errorf("%q: written %q", v, line)
	case !utf8.ValidString(tag):
		t.Errorf("%q: %q is not UTF-8", v, tag)
	case v != "" && tag == "":
		t.Errorf("%q vanished", v)
	case TagValue(tag) != tag:
		t.Errorf("%q: %q is mapped again to %q", v, tag, TagValue(tag))
	}
	if own := strings.ContainsAny(v, "␀␁␂␃␄␅␆␇␈␉␊␋␌␍␎␏␐␑␒␓␔␕␖␗␘␙␚␛␜␝␞␟␡＼"); utf8.ValidString(v) && len(tag) < MaxTag-20 && !own && LabelValue(tag) != v {
		t.Errorf("%q came back as %q", v, LabelValue(tag))
	}
}

func FuzzTagValue(f *testing.F) {
	for _, v := range []string{"", "a b", `a\`, `a\ b`, "a\nb", "a=b,c", "\xff", "größe", "␊", "＼", strings.Repeat("x", 5000), strings.Repeat("\\", 5000), strings.Repeat("é,", 3000)} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) { checkTag(t, v) })
}

func TestTagValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkTag(t, rapid.StringOf(rapid.RuneFrom([]rune("ab\\\\\\,= \n\t\"é🚢"))).Draw(t, "v"))
	})
	a, b := TagValue(strings.Repeat("x", 64<<10)+"a"), TagValue(strings.Repeat("x", 64<<10)+"b")
	if a == b || len(a) > MaxTag {
		t.Errorf("two long values: %d bytes, the same: %v", len(a), a == b)
	}
	if n := testing.AllocsPerRun(100, func() { _ = LabelValue(TagValue("web-5d8f-x2")) }); n != 0 {
		t.Errorf("a plain value allocates %g times", n)
	}
}

// TestLinesStayLines: whatever an entity is called, a line is one line, and its tags are its own.
func TestLinesStayLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.String()
		e := &metric.Entity{Level: metric.Container, Node: name.Draw(t, "node"), Namespace: name.Draw(t, "namespace"), Pod: name.Draw(t, "pod"), Container: name.Draw(t, "container"), Workload: name.Draw(t, "workload")}
		enc, err := NewEncoder(EncoderOptions{Cluster: name.Draw(t, "cluster")})
		if err != nil {
			t.Fatal(err)
		}
		lines, n := encode(enc, base, metric.Group{Entity: e, Points: []metric.Point{{ID: metric.MemoryUsage, T: base, V: 1}}})
		if n.Lines != 1 || strings.Count(lines, "\n") != 1 || !strings.HasSuffix(lines, " memory_usage_bytes=1 1700000000000\n") {
			t.Fatalf("got %q", lines)
		}
	})
}

func TestDecisionLine(t *testing.T) {
	for _, d := range [][]byte{nil, []byte(`{"a":1}`), []byte("\x00\xff\n"), []byte(base64Mark)} {
		got, err := DecodeDetail(encodeDetail(d))
		if err != nil || !bytes.Equal(got, d) {
			t.Errorf("%q came back as %q, %v", d, got, err)
		}
	}
	if _, err := DecodeDetail(base64Mark + "!"); err == nil {
		t.Error("what is no base64: got no error")
	}
}

func FuzzDecodeDetail(f *testing.F) {
	f.Add([]byte(`{"a":1}`))
	f.Add([]byte("base64:AA=="))
	f.Fuzz(func(t *testing.T, d []byte) {
		got, err := DecodeDetail(encodeDetail(d))
		if err != nil || !bytes.Equal(got, d) {
			t.Errorf("%q came back as %q, %v", d, got, err)
		}
		_, _ = DecodeDetail(string(d))
	})
}
