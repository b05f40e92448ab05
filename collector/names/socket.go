package names

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// SocketState tells how a runtime's socket is doing.
type SocketState struct {
	Path      string
	Runtime   string // "docker" or "podman"
	Exists    bool   // the file is there
	Reachable bool   // it answered the last time it was asked
	// Denied says that this user may not open it.
	Denied bool
	// Crowded says that it could not be asked, because this process may open no more files: nothing is known of the socket.
	Crowded bool
	Error   string // what went wrong the last time, ""
	Fix     string // what a person can do about it, ""
	// Containers is how many containers it has told about.
	Containers int
}

// Limits on what a socket may send, whoever is behind it, and on how long it may take.
const (
	maxList        = 64 << 20 // bytes of a list of containers
	maxEvent       = 1 << 20  // bytes of one event
	maxContainers  = 100_000  // containers that one socket may name
	answerDeadline = 5 * time.Second
	listDeadline   = 20 * time.Second
)

// socket is one runtime's socket.
type socket struct {
	path   string
	owner  string // whose runtime it is: "user-1000", "" for the machine's
	client *http.Client
	most   int64         // bytes of a list: maxList, or less in a test
	wake   chan struct{} // there is something to ask again
	asking chan struct{} // has one while a container is asked about: one at a time

	mu    sync.Mutex
	state SocketState
	asked bool // state says how it went
}

func newSocket(path string) *socket {
	s := &socket{path: path, owner: ownerOf(path), most: maxList, wake: make(chan struct{}, 1), asking: make(chan struct{}, 1)}
	s.state = SocketState{Path: path, Runtime: s.runtime()}
	dialer := net.Dialer{Timeout: answerDeadline}
	s.client = &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "unix", path)
			},
			ResponseHeaderTimeout:  answerDeadline,
			MaxResponseHeaderBytes: 64 << 10,
			DisableKeepAlives:      true, // one list and one stream now and then; keep no idle connection
			DisableCompression:     true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s
}

// ownerOf says whose a socket is, from where it lies: the folder /run/user/1000 is that user's alone.
func ownerOf(path string) string {
	_, below, ok := strings.Cut(path, "/run/user/")
	id, _, _ := strings.Cut(below, "/")
	if !ok || !digits(id) {
		return ""
	}
	return userPrefix + id
}

// runtime guesses from the path who is behind the socket; podman speaks Docker's API.
func (s *socket) runtime() string {
	if strings.Contains(s.path, "podman") {
		return "podman"
	}
	return "docker"
}

// errNotFound is a runtime's answer that it has no such thing.
var errNotFound = errors.New(`it answered "404 Not Found"`)

// get asks for a path of Docker's API without a version, which means the newest that the daemon has; the
// fields that are read here are in every version.
func (s *socket) get(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	u := url.URL{Scheme: "http", Host: "localhost", Path: path, RawQuery: query.Encode()}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("cannot ask %q for %q: %w", s.path, path, err)
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		if resp.StatusCode == http.StatusNotFound {
			return nil, fmt.Errorf("cannot ask %q for %q: %w", s.path, path, errNotFound)
		}
		return nil, fmt.Errorf("cannot ask %q for %q: it answered %q", s.path, path, resp.Status)
	}
	return resp, nil
}

// listed is what is read of one container in the answer to /containers/json.
type listed struct {
	ID     string            `json:"Id"`
	Names  []string          `json:"Names"`
	Image  string            `json:"Image"`
	State  string            `json:"State"`
	Labels map[string]string `json:"Labels"`
}

// list asks for all containers, by id.
func (s *socket) list(ctx context.Context) (map[string]info, error) {
	ctx, cancel := context.WithTimeout(ctx, listDeadline)
	defer cancel()
	resp, err := s.get(ctx, "/containers/json", url.Values{"all": {"1"}})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	out, err := decodeList(resp.Body, s.most)
	if err != nil {
		return nil, fmt.Errorf("cannot read the list of containers from %q: %w", s.path, err)
	}
	return out, nil
}

// decodeList reads the answer to /containers/json, one container at a time, within the limits; most is how many bytes.
func decodeList(r io.Reader, most int64) (map[string]info, error) {
	lim := &io.LimitedReader{R: r, N: most}
	dec := json.NewDecoder(lim)
	if t, err := dec.Token(); err != nil {
		return nil, err
	} else if t != json.Delim('[') {
		return nil, fmt.Errorf("it begins with %v instead of a list", t)
	}
	out := map[string]info{}
	for dec.More() {
		var c listed
		if err := dec.Decode(&c); err != nil {
			if lim.N <= 0 {
				return nil, fmt.Errorf("it is longer than %d bytes", most)
			}
			return nil, err
		}
		if !hex64(c.ID) {
			continue
		}
		if len(out) >= maxContainers {
			return nil, fmt.Errorf("it has more than %d containers", maxContainers)
		}
		in := infoOf(ownName(c.Names), c.Image, c.Labels)
		in.lives = c.State == "running" || c.State == "restarting"
		out[c.ID] = in
	}
	return out, nil
}

// ownName picks the container's own name, which begins with "/"; Docker's old links add names with a
// second "/".
func ownName(all []string) string {
	for _, name := range all {
		name = strings.TrimPrefix(name, "/")
		if name != "" && !strings.Contains(name, "/") {
			return name
		}
	}
	return ""
}

// infoOf keeps what is shown, made fit to be shown.
func infoOf(name, image string, labels map[string]string) info {
	return info{
		name: clip(strings.TrimPrefix(name, "/")), image: clip(image),
		project: cmp.Or(clip(labels["com.docker.compose.project"]), clip(labels["io.podman.compose.project"])),
		service: cmp.Or(clip(labels["com.docker.compose.service"]), clip(labels["io.podman.compose.service"])),
	}
}

// outcome notes how the last attempt went and says whether that is a change.
func (s *socket) outcome(err error, containers int) (now SocketState, changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := SocketState{Path: s.path, Runtime: s.state.Runtime, Exists: true, Reachable: err == nil, Containers: containers}
	if err != nil {
		next.Error = err.Error()
		next.Exists = !errors.Is(err, os.ErrNotExist)
		next.Crowded = crowded(err)
		next.Denied = errors.Is(err, os.ErrPermission)
		next.Fix = s.fix(err)
	}
	was := s.state
	s.state, s.asked = next, true
	return next, was.Reachable != next.Reachable || was.Exists != next.Exists || was.Denied != next.Denied || was.Crowded != next.Crowded
}

// crowded says that an error is none of the socket's: this process, or the whole machine, may open no more files.
func crowded(err error) bool { return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) }

func (s *socket) fix(err error) string {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return ""
	case crowded(err):
		return "raise the number of files that Plimsoll may open: LimitNOFILE= of a systemd unit, --ulimit nofile= of a container, ulimit -n of a shell"
	case errors.Is(err, os.ErrPermission):
		return fmt.Sprintf("run as root, or add this user to the group that owns %q (usually %q)", s.path, s.state.Runtime)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("start %s: nobody listens on its socket", s.state.Runtime)
	}
	return fmt.Sprintf("look at the logs of %s: its socket does not answer as it should", s.state.Runtime)
}

// open says whether the socket answers, or has not been asked yet.
func (s *socket) open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.asked || s.state.Reachable
}

func (s *socket) snapshot() SocketState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Sockets tells how each socket is doing, as Run last found it.
func (n *Names) Sockets() []SocketState {
	out := make([]SocketState, 0, len(n.sockets))
	for _, s := range n.sockets {
		out = append(out, s.snapshot())
	}
	return out
}

// Check asks every socket once, takes in what it tells, and says how it went, for a look without Run.
func (n *Names) Check(ctx context.Context) []SocketState {
	for _, s := range n.sockets {
		got, err := s.list(ctx)
		if err == nil {
			n.replace(s, got)
		}
		s.outcome(err, len(got))
	}
	return n.Sockets()
}
