package names

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// restarts reads of all that Read gives "container: restarts".
func restarts(n *Names) map[string]float64 {
	out := map[string]float64{}
	groups, _ := n.Read(time.Now())
	for _, g := range groups {
		out[g.Entity.Container] = g.Points[0].V
		if g.Points[0].ID != metric.Restarts {
			out["another row"] = 1
		}
	}
	return out
}

// A kill of the first process is told from one of another: that one's container goes on, and ends in another way.
func TestKilledIsWhatEndedALife(t *testing.T) {
	for text, want := range map[string]bool{
		`{"State":{"OOMKilled":true,"ExitCode":137,"FinishedAt":"2026-01-01T00:00:00.5Z","Restarting":true}}`: true,
		`{"State":{"OOMKilled":true,"ExitCode":1,"FinishedAt":"2026-01-01T00:00:00.5Z"}}`:                     false,
		`{"State":{"OOMKilled":false,"ExitCode":137,"FinishedAt":"2026-01-01T00:00:00.5Z"}}`:                  false,
		`{"State":{"OOMKilled":true,"ExitCode":137,"FinishedAt":"0001-01-01T00:00:00Z"}}`:                     false,
		`{"State":{"Running":true}}`: false,
	} {
		l, err := decodeLife(strings.NewReader(text))
		if err != nil || (len(l.kills) == 1) != want {
			t.Errorf("%s: killed %v, %v", text, l.kills, err)
		}
	}
}

// A container that its runtime will start again stays in sight while it has no cgroup, with the restarts that the runtime counts.
func TestRestartsComeFromTheRuntime(t *testing.T) {
	f := &runtimeFake{out: make(chan string), lives: map[string]string{
		idA: `{"RestartCount":13,"State":{"Restarting":true}}`, idB: `{"RestartCount":0,"State":{}}`, strings.Repeat("c", 64): `{"RestartCount":-1}`}}
	f.list = []listed{{ID: idA, Names: []string{"/loop"}, State: "restarting"}, {ID: idB, Names: []string{"/calm"}, State: "running"},
		{ID: strings.Repeat("c", 64), Names: []string{"/odd"}, State: "running"}}
	n := start(t, serve(t, f))
	standing := "/docker/" + idB
	n.exists = func(p string) bool { return p == standing }
	until(t, "13 restarts of one without a cgroup", func() bool { n.Name(standing); got := restarts(n); return got["loop"] == 13 && len(got) == 2 })
	if got := restarts(n); got["calm"] != 0 {
		t.Errorf("got %v", got)
	}
	f.mu.Lock()
	f.lives[idA] = `{"RestartCount":14,"State":{"Restarting":false}}` // it is given up
	f.mu.Unlock()
	f.out <- `{"Type":"container","Action":"die","Actor":{"ID":"` + idA + `","Attributes":{"name":"loop","image":"x"}}}`
	until(t, "one that will not come again is out of sight", func() bool { _, there := restarts(n)["loop"]; return !there })
	f.mu.Lock()
	f.lives[idB] = `{"RestartCount":1,"State":{"Restarting":true}}`
	f.mu.Unlock()
	f.out <- `{"Type":"container","Action":"die","Actor":{"ID":"` + idB + `","Attributes":{"name":"calm"}}}`
	standing = ""
	until(t, "one whose cgroup has just ended keeps its entity", func() bool { return restarts(n)["calm"] == 1 })
	f.out <- `{"Type":"container","Action":"destroy","Actor":{"ID":"` + idB + `"}}`
	until(t, "one that was removed is gone", func() bool { return len(restarts(n)) == 0 })
}

// A container that ends is in sight until its runtime says whether it will start it again, and for the fast lane, too: who is asked may be slow.
func TestCrashingStaysInSight(t *testing.T) {
	n, err := New(Options{Sockets: []string{"/run/docker.sock"}})
	if err != nil {
		t.Fatal(err)
	}
	stands := true
	n.exists = func(string) bool { return stands }
	n.infos[""] = map[string]*known{idA: {info: info{name: "crash"}, from: n.sockets[0], life: life{counted: true, restarts: 13, runs: true}},
		idB: {info: info{name: "calm"}, from: n.sockets[0], life: life{counted: true, runs: true}}}
	now := time.Now()
	read := func(after time.Duration, want, wantCrashing int) {
		t.Helper()
		n.Name("/docker/" + idA)
		n.Name("/docker/" + idB)
		all, _ := n.Read(now.Add(after))
		crashing, _ := Crashing{n}.Read(now.Add(after))
		if len(all) != want || len(crashing) != wantCrashing {
			t.Errorf("after %v: %d and %d are in sight, want %d and %d", after, len(all), len(crashing), want, wantCrashing)
		}
		for _, g := range crashing {
			if crash := g.Entity.Container == "crash"; !crash && wantCrashing < 2 || crash && g.Points[0].V < 13 {
				t.Errorf("after %v: %+v", after, g)
			}
		}
	}
	read(0, 2, 1)
	stands = false // both end, and nobody has said anything yet
	read(4*time.Second, 2, 2)
	read(50*time.Second, 2, 2)
	calm := n.infos[""][idB]
	calm.life = life{counted: true, last: calm.last} // it is not started again
	k := n.infos[""][idA]
	k.life = life{counted: true, restarts: 14, runs: true, resting: true, last: k.last, stood: k.stood}
	read(time.Minute, 1, 1) // for as long as it rests
	k.resting, k.runs, k.stood = false, false, time.Time{}
	read(2*time.Minute, 0, 0)
}

func FuzzDecodeLife(f *testing.F) {
	f.Add(`{"RestartCount":13,"State":{"Restarting":true}}`)
	f.Add(`{"RestartCount":1e99}`)
	f.Fuzz(func(t *testing.T, in string) {
		if l, err := decodeLife(strings.NewReader(in)); err == nil && (l.restarts < 0 || !l.counted) {
			t.Errorf("%q: %+v", in, l)
		}
	})
}

// life answers /containers/ID/json.
func (f *runtimeFake) life(w http.ResponseWriter, r *http.Request) bool {
	id, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/containers/"), "/json")
	f.mu.Lock()
	defer f.mu.Unlock()
	text, known := f.lives[id]
	if ok && known {
		fmt.Fprint(w, text)
	}
	return ok && known
}
