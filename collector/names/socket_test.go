package names

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/metric"
)

// runtimeFake speaks as much of Docker's API as Names asks for.
type runtimeFake struct {
	mu   sync.Mutex
	list []listed
	// lives are the answers for single containers, by id.
	lives map[string]string
	out   chan string // lines of the event stream; closing it ends the stream
}

func (f *runtimeFake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/containers/json":
		f.mu.Lock()
		defer f.mu.Unlock()
		_ = json.NewEncoder(w).Encode(f.list)
	case "/events":
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		f.mu.Lock()
		out := f.out
		f.mu.Unlock()
		for {
			select {
			case line, ok := <-out:
				if !ok {
					return
				}
				fmt.Fprintln(w, line)
				w.(http.Flusher).Flush()
			case <-r.Context().Done():
				return
			}
		}
	default:
		if !f.life(w, r) {
			http.NotFound(w, r)
		}
	}
}

// serve listens on a socket in a folder of the test's own.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sock") // t.TempDir may be longer than a socket's path can be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "d.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close() })
	return path
}

// start runs a Names on a socket until the test ends.
func start(t *testing.T, path string) *Names {
	t.Helper()
	n, err := New(Options{Node: "n1", Sockets: []string{path}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return n
}

// until polls a condition of the real world.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited a minute in vain until %s", what)
		}
	}
}

func nameOf(n *Names, path string) string {
	e, ok := n.Name(path)
	if !ok {
		return ""
	}
	return e.Namespace + "/" + e.Workload + "/" + e.Container
}

func TestNamesFollowTheSocket(t *testing.T) {
	f := &runtimeFake{out: make(chan string)}
	f.list = []listed{{ID: idA, Names: []string{"/other/alias", "/web-1"}, Image: "web:2",
		Labels: map[string]string{"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}}}
	n := start(t, serve(t, f))
	a, b := "/docker/"+idA, "/system.slice/docker-"+idB+".scope"
	n.Name(a)
	until(t, "the list is known", func() bool { return nameOf(n, a) == "shop/web/web-1" })
	want := metric.Entity{Level: metric.Container, Node: "n1", Namespace: "shop", WorkloadKind: "Compose", Workload: "web",
		Pod: "web-1", Container: "web-1", ID: a, Runtime: "docker", Image: "web:2"}
	got, _ := n.Name(a)
	if d := cmp.Diff(*got, want); d != "" {
		t.Errorf("entity (-got +want):\n%s", d)
	}

	if got := nameOf(n, b); got != "" {
		t.Errorf("name before the event: %q, want none yet", got)
	}
	f.out <- "not an event"
	f.out <- `{"Type":"container","Action":"exec_create: sh","Actor":{"ID":"` + idB + `","Attributes":{"name":"wrong"}}}`
	f.out <- `{"Type":"network","Action":"create","Actor":{"ID":"` + idB + `","Attributes":{"name":"wrong"}}}`
	f.out <- `{"Type":"container","Action":"start","Actor":{"ID":"` + idB + `","Attributes":{"name":"db","image":"pg:17"}}}`
	until(t, "the event is known", func() bool { return nameOf(n, b) == "docker/db/db" })
	first, _ := n.Name(b)
	f.out <- `{"Type":"container","Action":"rename","Actor":{"ID":"` + idB + `","Attributes":{"name":"db2","oldName":"/db","image":"pg:17"}}}`
	until(t, "the new name is known", func() bool { return nameOf(n, b) == "docker/db2/db2" })
	if second, _ := n.Name(b); second == first || first.Container != "db" {
		t.Error("a renamed container kept its pointer, or the old entity was changed")
	}

	f.out <- `{"Type":"container","Action":"destroy","Actor":{"ID":"` + idB + `"}}`
	until(t, "the container is forgotten", func() bool { n.mu.Lock(); defer n.mu.Unlock(); return len(n.infos[""]) == 1 })

	// The daemon restarts: what it lists then is the whole truth.
	f.mu.Lock()
	f.list = []listed{{ID: idB, Names: []string{"/new"}}}
	old := f.out
	f.out = make(chan string)
	f.mu.Unlock()
	close(old)
	until(t, "the new list is known", func() bool { return nameOf(n, b) == "docker/new/new" })
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.infos[""]) != 1 {
		t.Errorf("%d containers are known, want 1", len(n.infos[""]))
	}
}

func TestSocketsThatMisbehave(t *testing.T) {
	endless := func(w http.ResponseWriter, r *http.Request, what string) {
		for {
			if _, err := io.WriteString(w, what); err != nil {
				return
			}
		}
	}
	release := make(chan struct{})
	t.Cleanup(func() { close(release) }) // after the parallel cases
	cases := []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"not Docker", func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusTeapot) }, "418"},
		{"garbage", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "]}garbage") }, "invalid character"},
		{"not a list", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"message":"x"}`) }, "instead of a list"},
		{"endless", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `[{"Id":"`)
			endless(w, r, strings.Repeat("a", 1<<16))
		}, "longer than"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.invalid/", http.StatusFound)
		}, "302"},
		{"silent", func(w http.ResponseWriter, r *http.Request) { <-release }, "timeout"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n, _ := New(Options{Node: "n1", Sockets: []string{serve(t, c.handler)}})
			n.sockets[0].most = 1 << 20 // so that an endless list is read within the deadline on a busy machine too
			got := n.Check(context.Background())[0]
			for try := 0; try < 5 && !strings.Contains(got.Error, c.want); try++ { // a busy machine may miss the deadline
				got = n.Check(context.Background())[0]
			}
			if got.Reachable || !got.Exists || !strings.Contains(got.Error, c.want) || got.Fix == "" {
				t.Errorf("state %+v, want an error with %q and a fix", got, c.want)
			}
		})
	}
}

func TestSocketMissingOrDenied(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.sock")
	n, _ := New(Options{Sockets: []string{missing}})
	if got := n.Check(context.Background())[0]; got.Exists || got.Reachable || got.Denied {
		t.Errorf("missing socket: %+v", got)
	}
	if _, err := New(Options{Sockets: []string{"docker.sock"}}); err == nil {
		t.Error("a relative path passes")
	}
	few := newSocket("/run/docker.sock")
	few.outcome(fmt.Errorf("dial: %w", syscall.EMFILE), 0)
	if got := few.snapshot(); !got.Crowded || !got.Exists || !strings.Contains(got.Fix, "LimitNOFILE") {
		t.Errorf("no more descriptors: %+v", got)
	}
	s := newSocket("/run/x/podman.sock")
	s.outcome(fmt.Errorf("dial: %w", os.ErrPermission), 0)
	if got := s.snapshot(); !got.Denied || !strings.Contains(got.Fix, "group") || got.Runtime != "podman" {
		t.Errorf("denied socket: %+v", got)
	}
}

// TestHangingSocketDelaysNoName holds the socket's answer back while names are asked for. The best of several tries counts: a
// socket that is waited for delays each of them by the deadline of an answer.
func TestHangingSocketDelaysNoName(t *testing.T) {
	release := make(chan struct{})
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	best := time.Hour
	for try := 0; try < 5 && best > 2*time.Second; try++ {
		n := start(t, serve(t, h))
		begun := time.Now()
		for i := range 10_000 {
			n.Name(fmt.Sprintf("/docker/%064x", i))
		}
		best = min(best, time.Since(begun))
	}
	if best > 2*time.Second {
		t.Errorf("10,000 names took %v beside a hanging socket", best)
	}
}

// TestNamesWhileEventsCome asks for names from two readers while a runtime renames the containers.
func TestNamesWhileEventsCome(t *testing.T) {
	n := childless(t, Options{})
	s := newSocket("/none")
	path := func(i int) string { return fmt.Sprintf("/docker/%064x", i%50) }
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for i := range 5000 {
				if e, ok := n.Name(path(i)); !ok || e.Container == "" {
					t.Errorf("Name(%q) = %v, %v", path(i), e, ok)
					return
				}
			}
		})
	}
	for i := range 2000 {
		id := path(i)[len("/docker/"):]
		switch i % 5 {
		case 0:
			n.apply(s, change{id: id, removed: true})
		case 1:
			n.sweep()
		case 2:
			n.replace(s, map[string]info{id: {name: "listed"}})
		default:
			n.apply(s, change{id: id, info: info{name: fmt.Sprint("c", i)}})
		}
	}
	wg.Wait()
}

// A user's runtime names that user's containers and nobody else's, whatever ids it lists.
func TestUsersSocketNamesOnlyTheirs(t *testing.T) {
	n := childless(t, Options{Node: "n1"})
	theirs, machine := newSocket("/run/user/1000/docker.sock"), newSocket("/run/docker.sock")
	mine, other := "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-"+idA+".scope", "/user.slice/user-1001.slice/user@1001.service/user.slice/docker-"+idA+".scope"
	n.replace(theirs, map[string]info{idA: {name: "web", project: "shop"}, idB: {name: "bank"}})
	f := func(path, want string) {
		t.Helper()
		if got := nameOf(n, path); got != want {
			t.Errorf("%q is %q, want %q", path, got, want)
		}
	}
	f(mine, "shop@docker@user-1000/web/web")
	f(other, "docker@user-1001/"+idA[:12]+"/"+idA[:12])
	f("/docker/"+idB, "docker/"+idB[:12]+"/"+idB[:12])
	n.replace(machine, map[string]info{idB: {name: "db"}})
	f("/docker/"+idB, "docker/db/db")
	n.apply(theirs, change{id: idB, info: info{name: "bank"}})
	n.apply(theirs, change{id: idB, removed: true})
	f("/docker/"+idB, "docker/db/db")
	for path, want := range map[string]string{"/run/user/1000/podman/podman.sock": "user-1000", "/host/run/user/7/docker.sock": "user-7", "/run/user/x/docker.sock": "", "/run/docker.sock": ""} {
		if got := ownerOf(path); got != want {
			t.Errorf("%q is of %q, want %q", path, got, want)
		}
	}
}

func FuzzDecodeEvents(f *testing.F) {
	f.Add([]byte(`{"Type":"container","Action":"start","Actor":{"ID":"` + idA + `","Attributes":{"name":"db","image":"pg"}}}`))
	f.Add([]byte("{}\n\n[1]\nnull\n{\"Actor\":{\"ID\":5}}"))
	f.Add([]byte(`{"Action":"destroy","Actor":{"ID":"` + idA + `"}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		_, err := decodeEvents(bytes.NewReader(in), func(c change) {
			if !hex64(c.id) || !c.removed && (c.info.name == "" || c.info.name != clip(c.info.name)) {
				t.Errorf("change %+v", c)
			}
		})
		if err == nil || !errors.Is(err, io.EOF) && !errors.Is(err, errLongEvent) {
			t.Errorf("the stream ended with %v", err)
		}
	})
}

func FuzzDecodeList(f *testing.F) {
	f.Add([]byte(`[{"Id":"` + idA + `","Names":["/web"],"Image":"x","Labels":{"com.docker.compose.project":"p"}}]`))
	f.Add([]byte(`[{"Id":"`))
	f.Add([]byte(`[null,{"Labels":null}]`))
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := decodeList(bytes.NewReader(in), maxList)
		for id, c := range got {
			if err != nil || !hex64(id) || c.name != clip(c.name) {
				t.Errorf("%q: %+v, %v", id, c, err)
			}
		}
	})
}
