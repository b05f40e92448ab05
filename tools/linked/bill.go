package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"
)

// The parts of CycloneDX that are written.
type (
	document struct {
		Format       string      `json:"bomFormat"`
		Spec         string      `json:"specVersion"`
		Serial       string      `json:"serialNumber"`
		Version      int         `json:"version"`
		Metadata     metadata    `json:"metadata"`
		Components   []component `json:"components"`
		Dependencies []depends   `json:"dependencies"`
	}
	metadata struct {
		Timestamp string    `json:"timestamp,omitempty"`
		Component component `json:"component"`
	}
	component struct {
		Type       string     `json:"type"`
		Ref        string     `json:"bom-ref"`
		Name       string     `json:"name"`
		Version    string     `json:"version"`
		Purl       string     `json:"purl"`
		Licences   []choice   `json:"licenses,omitempty"`
		Hashes     []hash     `json:"hashes,omitempty"`
		Properties []property `json:"properties,omitempty"`
	}
	choice struct {
		License licence `json:"license"`
	}
	licence struct {
		ID string `json:"id"`
	}
	hash struct {
		Alg     string `json:"alg"`
		Content string `json:"content"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	depends struct {
		Ref string   `json:"ref"`
		On  []string `json:"dependsOn"`
	}
)

// bill writes what is in a binary, as the binary says it itself. A module of it whose licence is not known is an error: then it is of other
// sources than those that are here. The same binary gives the same bytes.
func bill(out io.Writer, binary, version string, info *buildinfo.BuildInfo, parts []part) error {
	raw, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	known := map[string]part{}
	for _, p := range parts {
		known[p.name+"@"+p.version] = p
	}
	sum := sha256.Sum256(raw)
	d := document{Format: "CycloneDX", Spec: "1.5", Version: 1, Serial: serial(sum)}
	d.Metadata.Component = component{Type: "application", Name: info.Main.Path, Hashes: []hash{{"SHA-256", hex.EncodeToString(sum[:])}},
		Licences: choices([]string{"Apache-2.0"}), Properties: []property{{"go", info.GoVersion}}}
	main := &d.Metadata.Component
	main.Version = version
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS", "GOARCH", "CGO_ENABLED", "vcs.revision", "vcs.modified":
			main.Properties = append(main.Properties, property{s.Key, s.Value})
		case "vcs.time":
			if at, err := time.Parse(time.RFC3339, s.Value); err == nil {
				d.Metadata.Timestamp = at.UTC().Format(time.RFC3339)
			}
		}
	}
	main.Purl = purl("golang", main.Name, main.Version)
	main.Ref = main.Purl
	add := func(p part) {
		ref := purl(p.kind, p.name, p.version)
		c := component{Type: "library", Ref: ref, Name: p.name, Version: p.version, Purl: ref, Licences: choices(p.licences)}
		if p.sum != "" {
			c.Properties = []property{{"lock", p.sum}}
		}
		d.Components = append(d.Components, c)
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		p, ok := known[m.Path+"@"+m.Version]
		if !ok {
			return fmt.Errorf("%q links %s@%s, which these sources do not: build it again", binary, m.Path, m.Version)
		}
		add(p)
	}
	for _, p := range parts {
		if p.name == library {
			p.version = strings.TrimPrefix(info.GoVersion, "go")
		}
		if p.kind == "npm" || p.name == library {
			add(p)
		}
	}
	all := depends{Ref: main.Ref}
	for _, c := range d.Components {
		all.On = append(all.On, c.Ref)
	}
	d.Dependencies = []depends{all}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(d)
}

// purl names a package as others' tools do.
func purl(kind, name, version string) string {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = strings.ReplaceAll(url.PathEscape(parts[i]), "@", "%40")
	}
	return "pkg:" + kind + "/" + strings.Join(parts, "/") + "@" + url.QueryEscape(version)
}

func choices(ids []string) []choice {
	var out []choice
	for _, id := range ids {
		out = append(out, choice{licence{id}})
	}
	return out
}

// serial is a UUID made of the binary's hash.
func serial(sum [sha256.Size]byte) string {
	b := sum[:16]
	b = append([]byte(nil), b...)
	b[6], b[8] = b[6]&0x0f|0x80, b[8]&0x3f|0x80 // version 8: of our own making
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:16])
}
