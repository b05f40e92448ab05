package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLicences(t *testing.T) {
	isc := "Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted, provided that the above copyright notice and this permission notice appear in all copies.\n\n" +
		"THE SOFTWARE IS PROVIDED \"AS IS\" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE.\n"
	gpl := "This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public License as published by the Free Software Foundation, either version 3 of the License, or (at your option) any later version.\n"
	f := func(wrong string, texts ...text) {
		t.Helper()
		p := part{name: "a/b", version: "v1", kind: "golang", texts: texts}
		err := p.classify()
		if err == nil {
			err = allowed([]part{p})
		}
		if (err == nil) != (wrong == "") || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Errorf("got %v, want %q", err, wrong)
		}
	}
	f("", text{"LICENSE", isc})
	f("", text{"LICENSE", isc}, text{"NOTICE", "anything"})
	f("has no licence")
	f("has no licence", text{"NOTICE", isc})
	f("GPL-3.0", text{"LICENSE", isc}, text{"in/it/COPYING", gpl})
	f("only 0 %", text{"LICENSE", "You may do what I say."})
}

// A text that several have is there once.
func TestNotice(t *testing.T) {
	got := string(notice([]part{{name: "a", version: "v1", licences: []string{"MIT"}, texts: []text{{"LICENSE", "one\n"}}},
		{name: "b", version: "v2", licences: []string{"ISC", "MIT"}, texts: []text{{"LICENSE", "one\n"}, {"NOTICE", "two\n"}}}}))
	if !strings.Contains(got, "a v1: MIT\nb v2: ISC, MIT\n") || !strings.Contains(got, "\na (LICENSE)\nb (LICENSE)\n\none\n") || strings.Count(got, "one\n") != 1 || !strings.HasSuffix(got, "b (NOTICE)\n\ntwo\n") {
		t.Error(got)
	}
}

// The page's packages are those that it imports, however the line is broken.
func TestPackages(t *testing.T) {
	dir := t.TempDir()
	for name, body := range map[string]string{
		"package-lock.json":                 `{"packages": {"node_modules/preact": {"version": "11.0.0"}, "node_modules/@a/b": {"version": "1.0.0", "integrity": "sha512-x"}}}`,
		"src/page.tsx":                      "import {\n  x,\n} from \"@a/b/hooks\";\nimport y from \"./own\";\nexport const z = \"none\";\nimport \"preact/debug\";\n",
		"node_modules/preact/LICENSE":       "p\r\n",
		"node_modules/@a/b/licence.md":      "q  \n\n",
		"node_modules/@a/b/src/license.txt": "not looked at",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := packages(dir)
	if err != nil || len(got) != 2 || got[0].name != "@a/b" || got[0].sum != "sha512-x" || len(got[0].texts) != 1 || got[0].texts[0].body != "q\n" || got[1].texts[0].body != "p\n" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// The bill of this test's own binary names the modules that it says are in it, and refuses one that the sources do not have.
func TestBill(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	parts := []part{{kind: "golang", name: library, licences: []string{"BSD-3-Clause"}}, {kind: "npm", name: "@a/b", version: "1.0.0"}}
	var out bytes.Buffer
	if err := bill(&out, self, "v1.2", info, parts); err == nil || !strings.Contains(err.Error(), "build it again") {
		t.Errorf("got %v", err)
	}
	for _, m := range info.Deps {
		parts = append(parts, part{kind: "golang", name: m.Path, version: m.Version, licences: []string{"BSD-3-Clause"}})
	}
	out.Reset()
	if err := bill(&out, self, "v1.2", info, parts); err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(out.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"pkg:golang/github.com/google/licensecheck@v0.3.1"`, `"pkg:npm/%40a/b@1.0.0"`, `"pkg:golang/std@` + strings.TrimPrefix(info.GoVersion, "go"), `"serialNumber": "urn:uuid:`, `"pkg:golang/plimsoll.dev/plimsoll/tools@v1.2"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s", want)
		}
	}
	if len(d.Components) != len(parts) || len(d.Dependencies[0].On) != len(parts) {
		t.Errorf("%d components of %d", len(d.Components), len(parts))
	}
}
