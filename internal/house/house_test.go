package house

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rooms are the places on the river. They do not import one another; only cmd wires.
var rooms = []string{"collector", "aggregator", "autoscaler", "dashboards", "charts"}

// doors are the outside libraries that one package each may import, or few.
var doors = map[string]string{
	"github.com/google/cadvisor":                         "collector/cadvisor",
	"github.com/prometheus/prometheus":                   "internal/store/tsdb",
	"github.com/prometheus/procfs":                       "collector",
	"github.com/prometheus/client_golang/exp/api/remote": "internal/remotewrite",
	"github.com/prometheus/common":                       "aggregator/kubelet",
	"github.com/prometheus/exporter-toolkit":             "internal/serve",
	"golang.org/x/crypto/bcrypt":                         "internal/serve",
	"golang.org/x/crypto/x509roots":                      "internal/dial",
	"github.com/spf13/cobra":                             "cmd",
	"github.com/influxdata/influxdb-client-go":           "internal/store/influx",
	"github.com/grafana-tools/sdk":                       "dashboards/grafana",
	"k8s.io/client-go":                                   "internal/kube aggregator/metricsapi", // of which the API server's library is made
	"k8s.io/component-helpers":                           "internal/kube",
	"k8s.io/klog":                                        "internal/quiet",
	"k8s.io/apiserver":                                   "internal/kube aggregator/metricsapi",
	"k8s.io/api":                                         "autoscaler internal/cluster internal/kube aggregator/metricsapi",
	"k8s.io/metrics":                                     "aggregator/metricsapi internal/kube",
	"sigs.k8s.io/custom-metrics-apiserver":               "aggregator/metricsapi/custom",
	"k8s.io/kube-openapi":                                "aggregator/metricsapi",
	"pgregory.net/rapid":                                 "", // tests only
	"github.com/google/go-cmp":                           "", // tests only
}

func TestRoomsDoNotImportRooms(t *testing.T) {
	for _, s := range sources(t) {
		for _, im := range s.imports {
			inner, ok := strings.CutPrefix(im, module+"/")
			if !ok {
				continue
			}
			for _, to := range rooms {
				if !under(inner, to) {
					continue
				}
				switch {
				case under(s.pkg, "internal") && !s.test:
					t.Errorf("%s: the floor imports the room %q", s.path, im)
				case !under(s.pkg, to) && !under(s.pkg, "cmd") && !under(s.pkg, "internal"):
					t.Errorf("%s: a room imports another room, %q; only cmd wires", s.path, im)
				}
			}
			if under(inner, "cmd") && !under(s.pkg, "cmd") {
				t.Errorf("%s imports %q: nothing imports cmd", s.path, im)
			}
		}
	}
}

func TestOutsideLibrariesHaveOneDoor(t *testing.T) {
	for _, s := range sources(t) {
		for _, im := range s.imports {
			for lib, door := range doors {
				forTests := s.test || strings.HasSuffix(s.pkg, "test") // storetest, vmtest
				if !under(im, lib) || (forTests && door == "") || slices.ContainsFunc(strings.Fields(door), func(d string) bool { return under(s.pkg, d) }) {
					continue
				}
				t.Errorf("%s imports %q: only %q may", s.path, im, door)
			}
		}
	}
}

func TestNames(t *testing.T) {
	bad := regexp.MustCompile(`^(utils?|common|helpers?|misc|base|shared)$`)
	for _, s := range sources(t) {
		if bad.MatchString(s.file.Name.Name) {
			t.Errorf("%s: package %q says nothing; put the code where it is used, or name the noun", s.path, s.file.Name.Name)
		}
	}
}

func TestNoInitAndNoExit(t *testing.T) {
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv == nil && n.Name.Name == "init" {
					t.Errorf("%s: func init: wire where the program is wired", s.path)
				}
			case *ast.CallExpr:
				sel, ok := n.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				x, ok := sel.X.(*ast.Ident)
				if !ok {
					return true
				}
				call := x.Name + "." + sel.Sel.Name
				exits := call == "os.Exit" || call == "log.Fatal" || call == "log.Fatalf"
				if exits && s.file.Name.Name != "main" && !s.test {
					t.Errorf("%s:%d: %s: only main exits", s.path, s.fset.Position(n.Pos()).Line, call)
				}
				if (call == "http.Get" || call == "http.Post") && !s.test {
					t.Errorf("%s:%d: %s has no deadline", s.path, s.fset.Position(n.Pos()).Line, call)
				}
			}
			return true
		})
	}
}

// Files and functions over the limits say in a comment why they stay whole ("stays whole").
func TestSizes(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || strings.Contains(s.text, "// Code generated") {
			continue
		}
		if lines := strings.Count(s.text, "\n"); lines > 400 && !strings.Contains(s.text, "stays whole") {
			t.Errorf("%s has %d lines: split it by noun, or say why it stays whole", s.path, lines)
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			lines := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line
			if lines > 80 && !strings.Contains(f.Doc.Text(), "stays whole") {
				t.Errorf("%s: %s has %d lines: split it, or say why it stays whole", s.path, f.Name.Name, lines)
			}
		}
	}
}

func TestEverythingIsDocumented(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if !s.test {
			documented[s.pkg] = documented[s.pkg] || s.file.Doc.Text() != ""
		}
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("package %q has no package comment", pkg)
		}
	}
	for _, s := range sources(t) {
		if s.test || s.file.Name.Name == "main" || strings.Contains(s.text, "// Code generated") {
			continue
		}
		for _, d := range s.file.Decls {
			undocumented(d, func(name string) { t.Errorf("%s: %s has no comment", s.path, name) })
		}
	}
}

// undocumented reports the exported names of a declaration that have no comment of their own or of their group.
func undocumented(d ast.Decl, report func(string)) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc.Text() == "" && (d.Recv == nil || exportedReceiver(d.Recv)) && !wellKnown[d.Name.Name] {
			report(d.Name.Name)
		}
	case *ast.GenDecl:
		for _, sp := range d.Specs {
			switch sp := sp.(type) {
			case *ast.TypeSpec:
				if sp.Name.IsExported() && d.Doc.Text() == "" && sp.Doc.Text() == "" && sp.Comment.Text() == "" {
					report(sp.Name.Name)
				}
			case *ast.ValueSpec:
				for _, n := range sp.Names {
					if n.IsExported() && d.Doc.Text() == "" && sp.Doc.Text() == "" && sp.Comment.Text() == "" {
						report(n.Name)
					}
				}
			}
		}
	}
}

// wellKnown methods mean what their interface says.
var wellKnown = map[string]bool{"Error": true, "Unwrap": true, "String": true, "ServeHTTP": true, "WriteHeader": true, "Len": true, "Less": true, "Swap": true,
	"Describe": true, "Collect": true, "MarshalJSON": true, "UnmarshalJSON": true, "MarshalText": true, "UnmarshalText": true, "Write": true, "Read": true, "Close": true}

func exportedReceiver(r *ast.FieldList) bool {
	t := r.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if ix, ok := t.(*ast.IndexExpr); ok {
		t = ix.X
	}
	id, ok := t.(*ast.Ident)
	return ok && id.IsExported()
}

// Every direct dependency has its reasons written down.
func TestDependenciesAreDecided(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join(root(t), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	why, err := os.ReadFile(filepath.Join(root(t), "docs/decisions/dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(why)) {
		if cells := strings.Split(line, "|"); len(cells) > 3 && strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			listed[strings.Trim(cells[1], " `")] = true
		}
	}
	for line := range strings.Lines(string(mod)) {
		f := strings.Fields(line)
		if len(f) != 2 || !strings.HasPrefix(line, "\t") {
			continue
		}
		if !listed[f[0]] {
			t.Errorf("docs/decisions/dependencies.md does not say why %q is there", f[0])
		}
		delete(listed, f[0])
	}
	for name := range listed {
		t.Errorf("docs/decisions/dependencies.md argues for %q, which go.mod does not have", name)
	}
}

// The project speaks of itself alone: no paths of one machine, no registries.
func TestNoForeignWords(t *testing.T) {
	foreign := regexp.MustCompile(`(^|[^\w/.])/(work|root|home/\w+)/|proxy\.golang\.org|registry\.npmjs|deb\.debian\.org`)
	err := filepath.WalkDir(root(t), func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case ".git", "node_modules", "plimsoll-data", "bin", ".cache", "dist", "out":
				return filepath.SkipDir
			}
			return nil
		}
		switch filepath.Ext(path) {
		case ".go", ".md", ".yaml", ".yml", ".json", ".ts", ".tsx", ".sh", ".mod", "", ".mjs":
		default:
			return nil
		}
		if strings.HasSuffix(path, "house_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if hit := foreign.FindString(string(text)); hit != "" {
			t.Errorf("%s holds %q", path, hit)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
