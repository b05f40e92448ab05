package grafana

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestExport writes everything, and again over it, and leaves alone what is not its own.
func TestExport(t *testing.T) {
	for _, s := range Sources() {
		t.Run(string(s), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "new", "folder")
			o := ExportOptions{Dir: dir, Source: s, SeenAt: "/var/lib/grafana/plimsoll"}
			paths, err := Export(o)
			if err != nil || len(paths) != len(Boards())+2 {
				t.Fatalf("got %v, %v", paths, err)
			}
			for _, b := range Boards() {
				got, err := os.ReadFile(filepath.Join(dir, "dashboards", b.UID(s)+".json"))
				want, _ := b.JSON(s)
				if err != nil || string(got) != string(want) {
					t.Errorf("%s: %v, or another board", b.UID(s), err)
				}
			}
			for _, kind := range []string{"dashboards", "datasources"} {
				raw, err := os.ReadFile(filepath.Join(dir, "provisioning", kind, s.tag()+".yaml"))
				if err != nil {
					t.Fatal(err)
				}
				golden(t, filepath.Join(string(s), kind+".yaml"), raw)
				var doc map[string]any
				if err := yaml.UnmarshalStrict(raw, &doc); err != nil || doc["apiVersion"] != 1.0 {
					t.Errorf("%s: %v: %v", kind, err, doc)
				}
			}
			source := filepath.Join(dir, "provisioning", "datasources", s.tag()+".yaml")
			for name, text := range map[string]string{source: "filled in", filepath.Join(dir, "dashboards", "mine.json"): "{}", filepath.Join(dir, "dashboards", Boards()[0].UID(s)+".json"): "old"} {
				if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if paths, err = Export(o); err != nil || len(paths) != len(Boards())+1 {
				t.Fatalf("again: got %v, %v", paths, err)
			}
			files, err := filepath.Glob(filepath.Join(dir, "dashboards", "*"))
			if err != nil || len(files) != len(Boards())+1 {
				t.Errorf("files: %v", files)
			}
			if raw, err := os.ReadFile(source); err != nil || string(raw) != "filled in" {
				t.Errorf("the datasource file was replaced: %s", raw)
			}
			st, err := os.Stat(filepath.Join(dir, "dashboards", Boards()[0].UID(s)+".json"))
			if err != nil || st.Size() < 1000 || st.Mode().Perm() != 0o644 {
				t.Errorf("the board was not replaced: %v %v", st, err)
			}
		})
	}
}

func TestExportErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(o ExportOptions, word string) {
		t.Helper()
		if paths, err := Export(o); err == nil || len(paths) > 0 || !strings.Contains(err.Error(), word) {
			t.Errorf("%+v: got %v, %v", o, paths, err)
		}
	}
	f(ExportOptions{Source: Influx}, "no folder")
	f(ExportOptions{Source: Influx, Dir: file}, file)
	f(ExportOptions{Source: "loki", Dir: t.TempDir()}, `"loki"`)
	f(ExportOptions{Source: Influx, Dir: t.TempDir(), SeenAt: "boards"}, `"boards"`)
}

// TestProviderPath: a path with what YAML and Grafana read as their own comes through.
func TestProviderPath(t *testing.T) {
	path := `/a b/it's: #1/$HOME`
	var doc struct {
		Providers []struct {
			AllowUIUpdates bool `json:"allowUiUpdates"`
			Options        struct{ Path string }
		}
	}
	if err := yaml.Unmarshal(provider(Prometheus, path), &doc); err != nil {
		t.Fatal(err)
	}
	if p := doc.Providers[0]; p.AllowUIUpdates || p.Options.Path != strings.ReplaceAll(path, "$", "$$") {
		t.Errorf("got %+v", p)
	}
}
