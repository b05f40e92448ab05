package chart

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// Every argument of every rendering is a flag of the command.
func TestArgumentsAreFlags(t *testing.T) {
	known := map[string]string{}
	for _, command := range []string{"collector", "server", "autoscaler", "top nodes"} {
		cmd := exec.CommandContext(t.Context(), "go", append([]string{"run", "./cmd/plimsoll"}, append(strings.Fields(command), "--help")...)...)
		cmd.Dir = "../.."
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		known[strings.Fields(command)[0]] = string(out)
	}
	for name, values := range matrix(t) {
		for pod, s := range pods(t, must(t, values)) {
			for _, c := range s.Containers {
				for _, a := range c.Args[1:] {
					flag, _, _ := strings.Cut(a, "=")
					if strings.HasPrefix(flag, "--") && !regexp.MustCompile(`\s`+regexp.QuoteMeta(flag)+`\s`).MatchString(known[c.Args[0]]) {
						t.Errorf("%s: %s: 'plimsoll %s' has no %s", name, pod, c.Args[0], flag)
					}
				}
			}
		}
	}
}

// Where the chart's bounds end, the command's do: what is just within is refused for nothing but its level of the log, before anything starts.
func TestBoundsAreTheCommands(t *testing.T) {
	for _, values := range []string{
		"{collector: {fastInterval: 200ms, interval: 1s, queue: {maxBytes: 32Mi, maxAge: 60s}}, history: {embedded: {retention: 120m, maxBytes: 64MiB}}}",
		"{collector: {fastInterval: 10m, interval: 600s, queue: {maxBytes: 33555kB, maxAge: 5214w2d}}, history: {embedded: {retention: 0.5h1.5h, maxBytes: 67109kB}}}",
		"{history: {kind: influx, influx: {url: 'https://[fd00::1]:8086/a@b, c', org: 'a: b', bucket: 'c #d'}}}",
		"{history: {kind: influx, influx: {url: 'http://db', plainHTTP: true}}}",
		"{history: {kind: remote, remote: {url: 'https://db/api/v1/write?db=x', queryURL: 'https://bücher.example'}}}",
	} {
		for pod, s := range pods(t, must(t, values)) {
			c := s.Containers[0]
			if c.Args[0] == "top" {
				continue
			}
			cmd := exec.CommandContext(t.Context(), "go", append([]string{"run", "./cmd/plimsoll"}, append(c.Args, "--log-level=none", "--web.config.file=")...)...)
			cmd.Dir, cmd.Env = "../..", append(os.Environ(), "NODE_NAME=n")
			if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), `--log-level "none"`) {
				t.Errorf("%s: %s: %v: %s", values, pod, err, out)
			}
		}
	}
}

// A login in an address is refused, and not shown: arguments are seen by whoever may read pods.
func TestLoginsInAddressesAreRefused(t *testing.T) {
	f := func(values, want string) {
		t.Helper()
		_, err := render(t, values)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "S3C") {
			t.Errorf("%s: got %v, want %q", values, err, want)
		}
	}
	for _, scheme := range []string{"http", "https"} {
		f("{history: {kind: influx, influx: {url: '"+scheme+"://u:S3CRET@i:8086/x'}}}", "history.influx.url "+scheme+"://xxxxx@i:8086/x has a login in it")
		f("{history: {kind: influx, influx: {url: '"+scheme+"://u:S3CRET@i'}}}", "name a Secret with it in history.influx.collectorToken and history.influx.serverToken")
		f("{history: {kind: influx, influx: {url: '"+scheme+"://u:S3C/RET@i'}}}", "history.influx.url "+scheme+"://xxxxx@i is no address")
		f("{history: {kind: remote, remote: {url: '"+scheme+"://S3CRET@m/push'}}}", "name a Secret with it in history.remote.token")
		f("{history: {kind: remote, remote: {url: 'https://m/push', queryURL: '"+scheme+"://u:S3CRET@m'}}}", "history.remote.queryURL "+scheme+"://xxxxx@m has a login in it")
	}
}
