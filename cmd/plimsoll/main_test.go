package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	services "plimsoll.dev/plimsoll/autoscaler/process"
	"plimsoll.dev/plimsoll/cmd/plimsoll/terminal"
)

// TestMain lets the test binary be Plimsoll itself, and the guard that Plimsoll starts.
func TestMain(m *testing.M) {
	if services.GuardMain() {
		return
	}
	if os.Getenv("PLIMSOLL_TEST_MAIN") != "" {
		main()
		return
	}
	self, _ := os.Readlink("/proc/self/exe")
	parent, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", os.Getppid()))
	if err == nil && parent == self && !slices.Contains(os.Args, "-test.fuzzworker") {
		fmt.Fprintln(os.Stderr, "the test binary was started by itself without a role")
		os.Exit(3)
	}
	os.Exit(m.Run())
}

// called is what one command line did.
type called struct {
	code     int
	out, err string
}

func call(t *testing.T, env map[string]string, stdin string, args ...string) called {
	t.Helper()
	var out, errs bytes.Buffer
	look := func(k string) (string, bool) { v, ok := env[k]; return v, ok }
	code := execute(context.Background(), streams{in: strings.NewReader(stdin), out: &out, err: &errs}, look, args)
	return called{code, out.String(), errs.String()}
}

func TestUsageErrors(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		got := call(t, nil, "", args...)
		if got.code != exitUsage || !strings.Contains(got.err, want) {
			t.Errorf("%q: got exit %d, %q; want 2 and %q", args, got.code, got.err, want)
		}
	}
	f(`unknown command "rnu"`, "rnu")
	f("unknown flag: --nonsense", "run", "--nonsense")
	f("unknown flag: --nonsense", "top", "pods", "--nonsense")
	f(`takes no arguments, got "extra"`, "run", "extra")
	f(`--interval "1ms"`, "run", "--interval", "1ms")
	f(`--fast-interval "20s"`, "run", "--fast-interval", "20s")
	f(`--interval "48h0m0s": want 1s to 10m`, "run", "--interval", "2d")
	f(`"soon" is no duration`, "collector", "--fast-interval", "soon")
	f(`--retention "1h"`, "run", "--retention", "1h")
	f(`"soon" is no duration`, "run", "--retention", "soon")
	f(`"lots" is no number of bytes`, "run", "--retention-bytes", "lots")
	f(`--log-level "loud"`, "run", "--log-level", "loud")
	f(`-o "xml"`, "top", "pods", "-o", "xml")
	f(`--sort-by "age"`, "top", "pods", "--sort-by", "age")
	f(`cannot show "volumes"`, "top", "volumes")
	f("say what to show", "top")
	f(`--over "0s"`, "top", "nodes", "--over", "0s")
	f(`--over "1m0s"`, "top", "nodes", "--over", "1m", "--local")
	f(`--server "ftp://x"`, "top", "nodes", "--server", "ftp://x")
	for _, args := range [][]string{{"top", "nodes"}, {"explain", "a/b"}, {"capacity"}, {"fit", "--cpu", "1"}, {"rightsize"}, {"collector"}} {
		f("give the login in --server-token-file, not in the address", append(args, "--server", "http://u:hunter2@127.0.0.1:8082")...)
		f("--server-plain-http", append(args, "--server", "http://10.0.0.1:8082")...)
		for _, address := range []string{"http://u:hunter2@127.0.0.1:8082", "http://u:hunter2@127.0.0.1:80 82", "http://u:hunter2@10.0.0.1"} {
			if got := call(t, nil, "", append(args, "--server", address)...); strings.Contains(got.out+got.err, "hunter2") {
				t.Errorf("%q shows the password: %s%s", args, got.out, got.err)
			}
		}
	}
	f("--influx-plain-http", "run", "--influx-url", "http://10.0.0.1:8086")
	f("--remote-plain-http", "run", "--remote-url", "http://10.0.0.1:9090/api/v1/write")
	f("--history-plain-http", "collector", "--history", "http://10.0.0.1:9090/api/v1/write")
	f("--plain-http", "dashboards", "push", "--url", "http://10.0.0.1:3000")
	f("--server-key-file", "top", "nodes", "--server-cert-file", "cert.pem")
	f("name one target", "explain")
	f(`target "web"`, "explain", "web")
	f(`--service "plimsoll": want NAMESPACE/NAME`, "server", "--service", "plimsoll")
	f("--missing takes no target", "explain", "--missing", "demo/web")
	f("give the case with -f", "decide")
	f(`unknown command "sever"; did you mean "server"?`, "sever")
	f(`--limit "0"`, "explain", "demo/web", "--limit", "0")
	f(`no help on "nonsense"`, "help", "nonsense")
	f(`cannot complete in "csh"`, "completion", "csh")
	f("for which shell", "completion")
}

func TestUnreachableServer(t *testing.T) {
	if got := call(t, nil, "", "top", "nodes", "--server", "http://127.0.0.1:1", "--timeout", "1d"); got.code != exitFailed {
		t.Errorf("--timeout 1d: got exit %d, %q; want 1", got.code, got.err)
	}
	got := call(t, nil, "", "top", "nodes", "--server", "http://127.0.0.1:1")
	if want := `plimsoll: cannot reach "http://127.0.0.1:1": dial tcp 127.0.0.1:1: connect: connection refused: is 'plimsoll run' there? give its address with --server, or --local to read this machine` + "\n"; got.code != exitFailed || got.err != want {
		t.Errorf("got exit %d, %q; want 1, %q", got.code, got.err, want)
	}
	if got := call(t, nil, "", "explain", "demo/web", "--server", "http://127.0.0.1:1"); !strings.HasSuffix(got.err, "give its address with --server\n") {
		t.Errorf("got %q; want what explain can do, and not --local", got.err)
	}
}

func TestFlagsWinOverVariablesWinOverFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plimsoll.yaml")
	if err := os.WriteFile(file, []byte("# all commands' flags may be here\noutput: yaml\ninterval: 20s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(want string, env map[string]string, args ...string) {
		t.Helper()
		got := call(t, env, "", append([]string{"version"}, args...)...)
		if got.code != exitDone || !strings.HasPrefix(got.out, want) {
			t.Errorf("%v %q: got exit %d, %q %q; want it to begin with %q", env, args, got.code, got.out, got.err, want)
		}
	}
	f("plimsoll ", nil)
	f("commit:", nil, "--config", file)
	f("commit:", map[string]string{"PLIMSOLL_CONFIG": file})
	f("{", map[string]string{"PLIMSOLL_OUTPUT": "json"}, "--config", file)
	f("plimsoll ", map[string]string{"PLIMSOLL_OUTPUT": "json"}, "--config", file, "-o", "table")
}

// A variable is there once: for a flag that may be repeated it holds several values, and a command that asks one server says so.
func TestSeveralServersInOneVariable(t *testing.T) {
	f := func(want, value string, args ...string) {
		t.Helper()
		got := call(t, map[string]string{"PLIMSOLL_SERVER": value}, "", args...)
		if got.code != exitUsage || !strings.Contains(got.err, want) {
			t.Errorf("%q: got exit %d, %q; want 2 and %q", value, got.code, got.err, want)
		}
	}
	f(`--server "ftp://x": want an address`, "http://127.0.0.1:1, ftp://x", "collector")
	f("say where to send", " , ", "collector")
	f("a command asks one server: give one address", "http://127.0.0.1:1,http://127.0.0.1:2", "top", "nodes")
}

func TestBadConfig(t *testing.T) {
	dir := t.TempDir()
	f := func(text, want string) {
		t.Helper()
		file := filepath.Join(dir, "c.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := call(t, nil, "", "version", "--config", file)
		if got.code != exitUsage || !strings.Contains(got.err, want) {
			t.Errorf("%q: got exit %d, %q; want 2 and %q", text, got.code, got.err, want)
		}
	}
	f("a: 1\nnonsense: 2\n", `:1:1: no command has a flag "a"`)
	f("listen: 1\nnonsense: 2\n", `:2:1: no command has a flag "nonsense"`)
	f("listen: x\nlisten: y\n", `:2:1: "listen" is there twice`)
	f("- a\n", ":1:1: want a mapping")
	f("listen: {a: 1}\n", `"listen" wants a plain value`)
	f("output: xml\n", `-o "xml"`)
	f("a: [\n", "yaml:")
	if got := call(t, nil, "", "version", "--config", filepath.Join(dir, "absent")); got.code != exitUsage {
		t.Errorf("absent file: got exit %d, want 2", got.code)
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if got := call(t, nil, "", "completion", shell); got.code != exitDone || !strings.Contains(got.out, "plimsoll") {
			t.Errorf("%s: got exit %d, %q", shell, got.code, got.err)
		}
	}
	f := func(want string, args ...string) {
		t.Helper()
		if got := call(t, nil, "", append([]string{"__complete"}, args...)...); !strings.Contains(got.out, want) {
			t.Errorf("completing %q: got %q, want %q among it", args, got.out, want)
		}
	}
	f("json", "version", "-o", "")
	f("memory", "top", "pods", "--sort-by", "")
	f("debug", "run", "--log-level", "")
	f("workloads", "top", "")
	f(":4", "explain", "--server", "http://127.0.0.1:1", "") // no server: nothing, and no files either
}

func TestDecide(t *testing.T) {
	const doc = `now: 2026-01-01T00:10:00Z
policy: {minReplicas: 1, maxReplicas: 10, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]}
target: {specReplicas: 1, statusReplicas: 1}
options: {compat: hpa}
pods: [{name: p, phase: Running, ready: "True", startTime: 2026-01-01T00:00:00Z, containers: [{name: c, requests: {cpu: 100m}}]}]
usage: [{pod: p, timestamp: 2026-01-01T00:09:55Z, window: 30s, containers: [{name: c, usage: {cpu: 100m}}]}]
`
	got := call(t, nil, doc, "decide", "-f", "-", "-o", "json")
	if got.code != exitDone || strings.Count(got.out, "\n") != 1 || !strings.Contains(got.out, `"desiredReplicas":2`) {
		t.Errorf("got exit %d, %q, %q; want one line with 2 replicas", got.code, got.out, got.err)
	}
	if got := call(t, nil, doc, "decide", "-f", "-"); !strings.Contains(got.out, "1 -> 2") {
		t.Errorf("as a table: got %q, want 1 -> 2", got.out)
	}
	if got := call(t, nil, doc, "decide", "-f", "-", "-o", "yaml"); !strings.Contains(got.out, "desiredReplicas: 2") {
		t.Errorf("as YAML: got %q, want desiredReplicas: 2", got.out)
	}
	bad := call(t, nil, "now: 2026-01-01T00:10:00Z\npolicy: {minReplicas: 5, maxReplicas: 1}\ntarget: {specReplicas: 1}\n", "decide", "-f", "-", "-o", "json")
	if bad.code != exitFailed || bad.out != "" || !strings.Contains(bad.err, "maxReplicas") {
		t.Errorf("min over max: got exit %d, %q, %q; want 1 and an error that names the field", bad.code, bad.out, bad.err)
	}
}

func TestDecideEndsWhenInterrupted(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	in, _ := io.Pipe() // a terminal at which nobody types
	var errs bytes.Buffer
	ended := make(chan int)
	go func() {
		ended <- execute(ctx, streams{in: in, out: io.Discard, err: &errs}, os.LookupEnv, []string{"decide", "-f", "-"})
	}()
	stop()
	select {
	case code := <-ended:
		if code != exitFailed || !strings.Contains(errs.String(), "interrupted") {
			t.Errorf("got exit %d, %q; want 1 and that it was interrupted", code, errs.String())
		}
	case <-time.After(20 * time.Second):
		t.Fatal("still waits for input after the signal")
	}
	_ = in.Close() // lets go of the read
}

func TestHelpFitsANarrowTerminal(t *testing.T) {
	var out bytes.Buffer
	a := &app{streams: streams{in: strings.NewReader(""), out: &out, err: io.Discard}, env: os.LookupEnv}
	root := a.root()
	for _, cmd := range append(root.Commands(), root) {
		if cmd.Hidden || cmd.Name() == "completion" {
			continue
		}
		out.Reset()
		terminal.WrapHelp(cmd, 80)
		if err := cmd.Help(); err != nil {
			t.Fatal(err)
		}
		text, examples := out.String(), cmd.Example
		for line := range strings.Lines(text) {
			if line = strings.TrimRight(line, "\n"); len([]rune(line)) > 80 && !strings.Contains(examples, line) && !strings.HasPrefix(line, "  plimsoll ") {
				t.Errorf("%s --help has a line of %d columns: %q", cmd.Name(), len([]rune(line)), line)
			}
		}
		if len(strings.Fields(text)) < 20 {
			t.Errorf("%s --help says only %q", cmd.Name(), text)
		}
	}
}
