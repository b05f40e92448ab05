// Package chart renders and installs the Helm chart through Helm's own library, without the command.
package chart

import (
	"bytes"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chartv2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/engine"
	"sigs.k8s.io/yaml"
)

// Values are what a user sets.
type Values = map[string]any

// Source is the chart in a checkout.
type Source struct {
	Dir    string            // charts/plimsoll
	Boards map[string][]byte // what packing adds, by file name
}

// Parse reads values as a values file has them.
func Parse(text string) (Values, error) {
	var out Values
	err := yaml.Unmarshal([]byte(text), &out)
	return out, err
}

// Release says as what the chart is rendered.
type Release struct {
	Name, Namespace string
	Upgrade         bool
	Cluster         engine.ClientProvider // what "lookup" finds; nil for none, as 'helm template' has
}

// Load reads the chart, with boards as packing adds them.
func (s Source) Load() (*chartv2.Chart, error) {
	c, err := loader.Load(s.Dir)
	if err != nil {
		return nil, err
	}
	c.Files = slices.DeleteFunc(c.Files, func(f *common.File) bool { return strings.HasPrefix(f.Name, "boards/") })
	for _, name := range slices.Sorted(maps.Keys(s.Boards)) {
		c.Files = append(c.Files, &common.File{Name: "boards/" + name, Data: s.Boards[name]})
	}
	return c, nil
}

// Render gives each template's text, by its name without the chart's. It checks the values against the schema first, as Helm does.
func (s Source) Render(r Release, values Values) (map[string]string, error) {
	c, err := s.Load()
	if err != nil {
		return nil, err
	}
	caps := common.DefaultCapabilities.Copy()
	if caps.KubeVersion, err = kubeVersion(); err != nil {
		return nil, err
	}
	all, err := util.ToRenderValues(c, values, common.ReleaseOptions{Name: r.Name, Namespace: r.Namespace, Revision: 1, IsInstall: !r.Upgrade, IsUpgrade: r.Upgrade}, caps)
	if err != nil {
		return nil, err
	}
	var texts map[string]string
	if r.Cluster == nil {
		texts, err = engine.Render(c, all)
	} else {
		texts, err = engine.RenderWithClientProvider(c, all, r.Cluster)
	}
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for name, text := range texts {
		if base := strings.TrimPrefix(name, "plimsoll/templates/"); !strings.HasPrefix(filepath.Base(base), "_") {
			out[base] = text
		}
	}
	return out, nil
}

func kubeVersion() (common.KubeVersion, error) {
	v, err := common.ParseKubeVersion("v1.37.2")
	if err != nil {
		return common.KubeVersion{}, err
	}
	return *v, nil
}

// Documents splits what templates gave into YAML documents that hold something. NOTES.txt is none.
func Documents(texts map[string]string) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if name == "NOTES.txt" {
			continue
		}
		for _, d := range strings.Split("\n"+texts[name], "\n---\n") {
			if holds(d) {
				out = append(out, strings.TrimSpace(d))
			}
		}
	}
	return out
}

func holds(doc string) bool {
	for line := range bytes.Lines([]byte(doc)) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return true
		}
	}
	return false
}
