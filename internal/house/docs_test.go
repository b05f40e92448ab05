package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Links between documents lead somewhere.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)
	seen := 0
	err := filepath.WalkDir(root(t), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git" || d.Name() == ".cache") {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			seen++
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s links to %q, which is not there", path, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 10 {
		t.Errorf("found only %d links: the rule checks nothing", seen)
	}
}

// The map of the folders has every package: a row whose folder it is in, or a folder above, names the rest of its path.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root(t), "docs/architecture.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	word := regexp.MustCompile("`([a-z0-9/]+)`")
	for line := range strings.Lines(string(text)) {
		if words := word.FindAllStringSubmatch(line, -1); strings.HasPrefix(line, "| `") {
			for _, w := range words {
				named[words[0][1]+"/"+w[1]] = true
			}
			named[words[0][1]] = true
		}
	}
	seen := map[string]bool{}
	for _, s := range sources(t) {
		if s.test || seen[s.pkg] {
			continue
		}
		seen[s.pkg] = true
		if !named[s.pkg] {
			t.Errorf("docs/architecture.md has no row that names %q", s.pkg)
		}
	}
	if len(seen) < 30 {
		t.Errorf("found only %d packages: the rule checks nothing", len(seen))
	}
}

// named says whether the code has a metric's name: whole, or put together of its package's beginning and a rest.
func named(code, metric string) bool {
	has := func(s string) bool { return strings.Contains(code, `"`+s+`"`) }
	words := strings.Split(metric, "_")
	if len(words) < 4 {
		return has(metric)
	}
	n := len(words)
	return has(metric) || has(strings.Join(words[2:], "_")) || has("plimsoll_"+words[1]+"_") && has("_"+words[n-2]+"_"+words[n-1])
}

// Own metrics that the documents name exist.
func TestDocumentsNameRealMetrics(t *testing.T) {
	var code strings.Builder
	for _, s := range sources(t) {
		if !s.test {
			code.WriteString(s.text)
		}
	}
	files, err := filepath.Glob(filepath.Join(root(t), "docs/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`[^`]*?(plimsoll_[a-z_]+[a-z])[^`*]*`").FindAllStringSubmatch(string(text), -1) {
			seen++
			if !named(code.String(), m[1]) {
				t.Errorf("%s names the metric %q, which no code has", path, m[1])
			}
		}
	}
	if seen < 10 {
		t.Errorf("found only %d metrics: the rule checks nothing", seen)
	}
}

// Operators read each reason of a decision in a column, and look it up.
func TestDocumentsSayWhatReasonsMean(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root(t), "docs/kubernetes.md"))
	if err != nil {
		t.Fatal(err)
	}
	reason := regexp.MustCompile(`\b(?:policy\.)?Reason += "(\w+)"`)
	fine := []string{"SucceededGetScale", "ReadyForNewScale", "SucceededRescale", "ValidMetricFound", "DesiredWithinRange", "ScaledToZero", "NotScaledToZero", "HighestRecent"} // of conditions that are as they should be, and of compat
	seen := 0
	for _, s := range sources(t) {
		if s.test || !strings.HasPrefix(s.pkg, "autoscaler") {
			continue
		}
		for _, m := range reason.FindAllStringSubmatch(s.text, -1) {
			if seen++; !strings.Contains(string(text), "`"+m[1]+"`") && !slices.Contains(fine, m[1]) {
				t.Errorf("docs/kubernetes.md does not say what %q means", m[1])
			}
		}
	}
	if seen < 40 {
		t.Errorf("found only %d reasons: the rule checks nothing", seen)
	}
}
