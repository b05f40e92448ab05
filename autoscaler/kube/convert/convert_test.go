package convert

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"plimsoll.dev/plimsoll/autoscaler/kube"
	"plimsoll.dev/plimsoll/autoscaler/policy"
)

var update = flag.Bool("update", false, "write what comes of testdata anew")

// told is what becomes of a file, for people.
func told(t *testing.T, in string) string {
	t.Helper()
	objects, err := Read(strings.NewReader(in))
	if err != nil {
		return "cannot be read: " + err.Error() + "\n"
	}
	var b strings.Builder
	for _, o := range objects {
		if o.Err != nil {
			fmt.Fprintf(&b, "--- # cannot be read: %v\n", o.Err)
		}
		for _, k := range []Kind{HPA(), ScaledObject()} {
			if !k.Is(&o) {
				continue
			}
			r := k.Convert(o)
			fmt.Fprintf(&b, "--- # %s: %v\n", r.What(), r.Err)
			for _, n := range r.Notes {
				fmt.Fprintf(&b, "# %s\n", n)
			}
			if r.Policy != nil {
				b.WriteString(usable(t, r.Policy))
			}
		}
	}
	return b.String()
}

// usable is a policy as text; it must be one that the autoscaler would put in force as it stands.
func usable(t *testing.T, p *kube.Written) string {
	t.Helper()
	raw, err := yaml.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var u unstructured.Unstructured
	if err := yaml.UnmarshalStrict(raw, &u.Object); err != nil {
		t.Fatal(err)
	}
	if _, err := policy.Compile(p.Spec); err != nil || !kube.ReadPolicy(&u).Usable() {
		t.Errorf("a policy that cannot be used: %v\n%s", err, raw)
	}
	return string(raw)
}

// TestConvert holds what comes of each file of testdata to what is written beside it.
func TestConvert(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(paths) < 4 {
		t.Fatalf("%d files: %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			in, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			beside := strings.TrimSuffix(path, ".yaml") + ".txt"
			got := told(t, string(in))
			if *update {
				if err := os.WriteFile(beside, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(beside)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRead says of what is no object where it is and why.
func TestRead(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		objects, err := Read(strings.NewReader(in))
		for _, o := range objects {
			err = errors.Join(err, o.Err)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.50q: got %v, want %q", in, err, want)
		}
	}
	f("a: 1\n---\n[", "line 1: is no object of Kubernetes")
	f("apiVersion: v1\nkind: Pod\n---\n[", "document 2, line 4")
	f("apiVersion: v1\nkind: [Pod]\n", "cannot be read as an object")
	f("just text", "cannot be read as an object")
	f("apiVersion: v1\napiVersion: v2\nkind: Pod\n", "already set")
	f(strings.Repeat(`{"items": [`, 9)+strings.Repeat(`]}`, 9), "lists in lists")
	f("apiVersion: v1\nkind: Pod\nspec: "+strings.Repeat("x", 5<<20), "larger than 4 MiB")
	f(`{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Pod"}, {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"x": true}}}]}`, "document 1, line 1: items[1]: cannot be read")
	if got, err := Read(strings.NewReader("[\n---\napiVersion: v1\nkind: Pod\n---\na: 1\n")); err != nil || len(got) != 3 || got[0].Err == nil || got[1].Err != nil || got[1].Kind != "Pod" || got[2].Err == nil {
		t.Errorf("one of three can be read: got %+v %v", got, err)
	}
	if got, err := Read(strings.NewReader("")); err != nil || len(got) != 0 {
		t.Errorf("nothing: got %v %v", got, err)
	}
}

// FuzzConvert has anything converted: what comes out can be used.
func FuzzConvert(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*.yaml")
	for _, path := range paths {
		in, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(in))
		for _, part := range strings.Split(string(in), "\n---\n") {
			f.Add(part)
		}
	}
	f.Fuzz(func(t *testing.T, in string) { told(t, in) })
}
