package policy_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/autoscaler/policy/casefile"
)

var update = flag.Bool("update", false, "rewrite the answers in testdata/*.txt; read the difference before you commit it")

// TestStories runs the stories in testdata. A story is a list of commands, each followed by a line "----" and the answer;
// blank lines divide them, lines that begin with # are for the reader. The commands work on one case:
//
//	given      the lines below, YAML, replace fields of the case
//	at, after  set or move the time
//	pods N     N pods web-1 ... with key=value of age, ready, phase, request
//	pod NAME   changes one pod: key=value of age, ready, phase, deleting, since (of ready)
//	load V...  usage of each pod, one value for all or one each, "-" for none; key=value of window, ago
//	looks W=V~N...  each pod's usage V over W with noise N of the total (none: not known); key=value of ago, departed (used by pods that are gone)
//	forget     drops the memory
//	decide     decides; the memory and the count go on to the next
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories in testdata: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := tell(t, string(want))
			if got == string(want) {
				return
			}
			if !*update {
				t.Errorf("%s tells another story now; run go test -update and read the difference.\ngot:\n%s", file, got)
				return
			}
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// tell runs a story and returns it with the answers that were given.
func tell(t *testing.T, text string) string {
	t.Helper()
	s := &story{doc: map[string]any{"target": map[string]any{}}, now: time.Date(2026, 1, 1, 0, 10, 0, 0, time.UTC)}
	var out strings.Builder
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		command, _, _ := strings.Cut(strings.TrimSpace(block), "\n----")
		var lines, remarks []string
		for line := range strings.Lines(command) {
			if line = strings.TrimRight(line, "\n"); strings.HasPrefix(line, "#") && len(lines) == 0 {
				remarks = append(remarks, line)
			} else {
				lines = append(lines, line)
			}
		}
		if out.Len() > 0 {
			out.WriteString("\n")
		}
		for _, r := range remarks {
			out.WriteString(r + "\n")
		}
		if len(lines) == 0 {
			continue
		}
		answer, err := s.do(strings.Fields(lines[0]), strings.Join(lines[1:], "\n"))
		if err != nil {
			answer = "error: " + err.Error()
		}
		out.WriteString(strings.Join(lines, "\n") + "\n")
		if answer != "" {
			out.WriteString("----\n" + strings.TrimRight(answer, "\n") + "\n")
		}
	}
	return out.String()
}

// story is a case in the making.
type story struct {
	doc map[string]any
	now time.Time
}

// do runs one command.
func (s *story) do(words []string, body string) (string, error) {
	args, keys := split(words[1:])
	switch words[0] {
	case "given":
		var fields map[string]any
		if err := yaml.Unmarshal([]byte(body), &fields); err != nil {
			return "", err
		}
		for k, v := range fields {
			s.doc[k] = v
		}
	case "at":
		t, err := time.Parse(time.RFC3339, args[0])
		s.now = t
		return "", err
	case "after":
		d, err := time.ParseDuration(args[0])
		s.now = s.now.Add(d)
		return "", err
	case "pods":
		s.pods(args, keys)
	case "pod":
		s.pod(args[0], keys)
	case "load":
		s.doc["usage"] = s.usage(args, keys)
		delete(s.doc, "looks")
	case "looks":
		s.looks(args, keys)
	case "forget":
		delete(s.doc, "state")
	case "decide":
		return s.decide()
	default:
		return "", fmt.Errorf("unknown command %q", words[0])
	}
	return "", nil
}

// split parts plain words from key=value; a word that begins with a digit is plain.
func split(words []string) (args []string, keys map[string]string) {
	keys = map[string]string{}
	for _, w := range words {
		if k, v, ok := strings.Cut(w, "="); ok && (k[0] < '0' || k[0] > '9') {
			keys[k] = v
		} else {
			args = append(args, w)
		}
	}
	return args, keys
}

func (s *story) pods(args []string, keys map[string]string) {
	n, request := 0, "500m"
	fmt.Sscan(args[0], &n)
	if r := keys["request"]; r != "" {
		request = r
	}
	var pods []any
	for i := range n {
		pods = append(pods, map[string]any{"name": fmt.Sprintf("web-%d", i+1), "phase": "Running", "ready": "True", "startTime": s.ago("1h"),
			"containers": []any{map[string]any{"name": "c", "requests": map[string]any{"cpu": request, "memory": "64Mi"}}}})
	}
	s.doc["pods"] = pods
	for i := range n {
		s.pod(fmt.Sprintf("web-%d", i+1), keys)
	}
}

func (s *story) pod(name string, keys map[string]string) {
	for _, p := range s.doc["pods"].([]any) {
		pod := p.(map[string]any)
		if pod["name"] != name {
			continue
		}
		for k, v := range keys {
			switch {
			case k == "age":
				pod["startTime"] = s.ago(v)
			case k == "since":
				pod["readyTransition"] = s.ago(v)
			case k == "deleting":
				pod["deleting"] = v == "true"
			case k == "ready" && v == "none":
				delete(pod, "ready")
			case k == "ready" || k == "phase":
				pod[k] = v
			case k == "container":
				pod["containers"].([]any)[0].(map[string]any)["requests"] = map[string]any{}
			}
		}
	}
}

func (s *story) ago(d string) string {
	parsed, err := time.ParseDuration(d)
	if err != nil {
		return err.Error()
	}
	return s.now.Add(-parsed).Format(time.RFC3339)
}

func (s *story) usage(values []string, keys map[string]string) []any {
	window, ago := "30s", "1s"
	if w := keys["window"]; w != "" {
		window = w
	}
	if a := keys["ago"]; a != "" {
		ago = a
	}
	out := []any{}
	for i, p := range s.doc["pods"].([]any) {
		v := values[min(i, len(values)-1)]
		if v == "-" {
			continue
		}
		out = append(out, map[string]any{"pod": p.(map[string]any)["name"], "timestamp": s.ago(ago), "window": window,
			"containers": []any{map[string]any{"name": "c", "usage": map[string]any{"cpu": v, "memory": "20Mi"}}}})
	}
	return out
}

func (s *story) looks(args []string, keys map[string]string) {
	var looks []any
	for _, a := range args {
		window, rest, _ := strings.Cut(a, "=")
		values, noise, noisy := strings.Cut(rest, "~")
		keys["window"] = window
		look := map[string]any{"metric": "cpu", "window": window, "usage": s.usage(strings.Split(values, ","), keys)}
		if noisy {
			look["noise"] = noise
		}
		if v, ok := keys["departed"]; ok {
			look["departed"] = []any{map[string]any{"name": "c", "usage": map[string]any{"cpu": v}}}
		}
		looks = append(looks, look)
	}
	s.doc["looks"] = looks
	delete(s.doc, "usage")
}

func (s *story) decide() (string, error) {
	s.doc["now"] = s.now.Format(time.RFC3339Nano)
	text, err := json.Marshal(s.doc)
	if err != nil {
		return "", err
	}
	in, err := casefile.NewReader(strings.NewReader(string(text))).Next()
	if err != nil {
		_, problem, _ := strings.Cut(err.Error(), ": ") // positions in the made-up text say nothing
		return "", fmt.Errorf("%s", problem)
	}
	d := policy.Decide(in)
	wire, err := json.Marshal(d)
	if err != nil {
		return "", err
	}
	var back struct {
		State any `json:"state"`
	}
	if err := json.Unmarshal(wire, &back); err != nil {
		return "", err
	}
	s.doc["state"] = back.State
	target := s.doc["target"].(map[string]any)
	target["specReplicas"], target["statusReplicas"] = d.Desired, d.Desired
	return tale(&d), nil
}

// tale is a decision for the reader of a story.
func tale(d *policy.Decision) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d", d.Action, d.Current)
	if d.Desired != d.Current {
		fmt.Fprintf(&b, " -> %d", d.Desired)
	}
	fmt.Fprintf(&b, ", %s: %s\n", d.Reason, d.Message)
	for _, s := range d.Steps {
		fmt.Fprintf(&b, "  %s %d", s.Step, s.Before)
		if s.After != s.Before {
			fmt.Fprintf(&b, " -> %d", s.After)
		}
		fmt.Fprintf(&b, ": %s\n", s.Why)
	}
	for _, c := range d.Conditions {
		fmt.Fprintf(&b, "  %s %s %s", c.Type, c.Status, c.Reason)
		if c.Message != "" {
			b.WriteString(": " + c.Message)
		}
		b.WriteString("\n")
	}
	if d.Error != "" {
		fmt.Fprintf(&b, "  error: %s\n", d.Error)
	}
	return b.String()
}
