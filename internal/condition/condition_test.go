package condition

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSet(t *testing.T) {
	start := time.Unix(1.8e9, 0)
	now := start
	s := &Set{Type: "HistoryWritable", Blocks: []string{"Closed", "DiskFull"}, Tells: []string{"Damaged", "Repaired"}, Now: func() time.Time { return now }}
	list := func(want string) {
		t.Helper()
		var got []string
		for _, c := range s.List() {
			if c.Type != s.Type || c.OK() {
				t.Errorf("got %+v", c)
			}
			got = append(got, c.Reason+"="+c.Message)
		}
		if d := cmp.Diff(want, strings.Join(got, " ")); d != "" {
			t.Errorf("want -, got +:\n%s", d)
		}
	}
	health := func(ok bool, reason string, since time.Time) {
		t.Helper()
		if h := s.Health(); h.OK() != ok || h.Reason != reason || !h.Since.Equal(since) || h.Type != s.Type {
			t.Errorf("got %+v, want %v %q since %v", h, ok, reason, since)
		}
	}
	fresh := func(got, want bool) {
		t.Helper()
		if got != want {
			t.Errorf("it is new: got %v, want %v", got, want)
		}
	}
	health(true, "", time.Time{})
	fresh(s.Say("Unheard", "1"), true)
	fresh(s.Say("Repaired", "2"), true)
	health(true, "Repaired", start)
	now = start.Add(time.Second)
	fresh(s.Say("DiskFull", "3"), true)
	fresh(s.Say("Another", "4"), true)
	now = start.Add(2 * time.Second)
	fresh(s.Say("DiskFull", "5"), false)
	health(false, "DiskFull", start.Add(time.Second))
	list("DiskFull=5 Repaired=2 Unheard=1 Another=4")
	if d := cmp.Diff([]string{"DiskFull"}, s.Clear("Closed", "DiskFull")); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
	s.Clear("Unheard", "Another")

	// What is said for a while is over by itself, and when the clock is set back.
	fresh(s.SayFor(time.Minute, "Damaged", "6"), true)
	now = now.Add(time.Minute - 1)
	fresh(s.SayFor(time.Minute, "Damaged", "7"), false)
	health(true, "Damaged", start.Add(2*time.Second))
	now = now.Add(time.Minute)
	if c, ok := s.Get("Damaged"); ok {
		t.Errorf("got %+v, want it over", c)
	}
	fresh(s.SayFor(time.Minute, "Damaged", "8"), true)
	now = start
	list("Repaired=2")
	if c, ok := s.Get("Repaired"); !ok || c.Message != "2" {
		t.Errorf("got %+v, %v", c, ok)
	}
}

func TestJSON(t *testing.T) {
	got, err := json.Marshal(Ill("HistorySent", "Busy", "m", time.Unix(0, 0).UTC()))
	if want := `{"type":"HistorySent","status":"False","reason":"Busy","message":"m","since":"1970-01-01T00:00:00Z"}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}
