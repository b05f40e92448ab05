package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// part is something of others that ships.
type part struct {
	name, version string
	kind          string // golang, npm
	sum           string // as the lock file has it
	licences      []string
	texts         []text
}

// library is the name of Go's own library. Its version is the binary's, not the sources'.
const library = "std"

// text is a licence or a notice.
type text struct {
	file string // in the part
	body string
}

var legal = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|copyright|unlicense|patents)([-._].*)?$`)

// find lists what ships, in the order of names.
func find(ctx context.Context, root, program, page, arch string) ([]part, error) {
	linked, err := modules(ctx, root, program, arch)
	if err != nil {
		return nil, err
	}
	shown, err := packages(filepath.Join(root, page))
	if err != nil {
		return nil, err
	}
	all := slices.Concat(linked, shown)
	slices.SortFunc(all, func(a, b part) int { return strings.Compare(a.kind+a.name, b.kind+b.name) })
	for i := range all {
		if err := all[i].classify(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// modules are those of the packages that the program links, and Go's own library. A module's texts are those beside its packages that are
// linked and in the folders above them.
func modules(ctx context.Context, root, program, arch string) ([]part, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-json=Dir,Standard,Module", program)
	cmd.Dir, cmd.Stderr, cmd.Env = root, os.Stderr, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	raw, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("cannot list what %q links: %w", program, err)
	}
	type module struct {
		Path, Version, Dir, Sum string
		Main                    bool
		Replace                 *module
	}
	found := map[string]*part{}
	seen := map[string]bool{}
	for in := json.NewDecoder(bytes.NewReader(raw)); ; {
		var p struct {
			Dir      string
			Standard bool
			Module   *module
		}
		if err := in.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if p.Standard || p.Module == nil || p.Module.Main {
			continue
		}
		m := p.Module
		if m.Replace != nil {
			m = m.Replace
		}
		if found[m.Path] == nil {
			found[m.Path] = &part{kind: "golang", name: m.Path, version: m.Version, sum: m.Sum}
		}
		for dir := p.Dir; !seen[dir] && strings.HasPrefix(dir, m.Dir); dir = filepath.Dir(dir) {
			seen[dir] = true
			if err := found[m.Path].read(dir, m.Dir); err != nil {
				return nil, err
			}
		}
	}
	goroot, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	where := strings.TrimSpace(string(goroot))
	std := &part{kind: "golang", name: library}
	if err := std.read(where, where); err != nil {
		return nil, err
	}
	found[library] = std
	var out []part
	for _, name := range slices.Sorted(maps.Keys(found)) {
		out = append(out, *found[name])
	}
	return out, nil
}

// read adds the texts of a folder of a part.
func (p *part) read(dir, of string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !legal.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
			continue
		}
		body, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(of, filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		p.texts = append(p.texts, text{rel, clean(string(body))})
	}
	slices.SortFunc(p.texts, func(a, b text) int { return strings.Compare(a.file, b.file) })
	return nil
}

// clean makes texts that are the same the same, whatever editor wrote them.
func clean(s string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.ReplaceAll(s, "\r\n", "\n")) {
		b.WriteString(strings.TrimRight(line, " \t\n\f") + "\n")
	}
	return strings.Trim(b.String(), "\n") + "\n"
}

var imported = regexp.MustCompile(`(?m)^(?:import|export)\b(?:[^"=;(]*\bfrom)?\s*"((?:@[^/"]+/)?[^./"][^/"]*)[^"]*"`)

// packages are those that the page's sources import.
func packages(page string) ([]part, error) {
	var lock struct {
		Packages map[string]struct{ Version, Integrity string }
	}
	raw, err := os.ReadFile(filepath.Join(page, "package-lock.json"))
	if err == nil {
		err = json.Unmarshal(raw, &lock)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the page's lock file: %w", err)
	}
	names := map[string]bool{"preact": true} // what JSX becomes
	err = filepath.WalkDir(filepath.Join(page, "src"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(filepath.Ext(path), "ts") {
			return err
		}
		code, err := os.ReadFile(path)
		for _, m := range imported.FindAllSubmatch(code, -1) {
			names[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	var out []part
	for _, name := range slices.Sorted(maps.Keys(names)) {
		dir := "node_modules/" + name
		x, ok := lock.Packages[dir]
		if !ok {
			return nil, fmt.Errorf("the page imports %q, which its lock file does not have", name)
		}
		p := part{kind: "npm", name: name, version: x.Version, sum: x.Integrity}
		if err := p.read(filepath.Join(page, dir), filepath.Join(page, dir)); err != nil {
			return nil, fmt.Errorf("%w; run npm ci", err)
		}
		out = append(out, p)
	}
	return out, nil
}
