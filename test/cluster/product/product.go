// Package product brings Plimsoll itself to a cluster of the tests: its image, built from this checkout, and its chart.
package product

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"

	"k8s.io/client-go/rest"

	"plimsoll.dev/plimsoll/internal/image"
	"plimsoll.dev/plimsoll/test/chart"
	"plimsoll.dev/plimsoll/test/cluster/rig"
)

// Where Plimsoll is in the cluster, and its image.
const (
	Name      = "plimsoll"
	Namespace = "plimsoll"
	tag       = "checkout"
)

// Product is what is installed.
type Product struct {
	Chart chart.Source
	image image.Options
}

// Build builds the binary and has it write Grafana's boards, below bin. root is the checkout's folder.
func Build(ctx context.Context, root, bin string, out io.Writer) (*Product, error) {
	binary := filepath.Join(bin, "plimsoll")
	_, _ = fmt.Fprintln(out, "Building Plimsoll")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w -X main.version="+tag, "-o", binary, "./cmd/plimsoll")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot build Plimsoll: %w\n%s", err, text)
	}
	dir, err := os.MkdirTemp("", "plimsoll-boards")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if text, err := exec.CommandContext(ctx, binary, "dashboards", "export", dir).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot export the boards: %w\n%s", err, text)
	}
	boards, err := chart.ReadBoards(filepath.Join(dir, "dashboards"))
	return &Product{Chart: chart.Source{Dir: filepath.Join(root, "charts/plimsoll"), Boards: boards}, image: image.Options{Binary: binary, Name: Name + ":" + tag, Dir: image.Dir, Labels: image.Labels(tag, "checkout")}}, err
}

// Image is what the chart runs.
func (p *Product) Image() image.Options { return p.image }

// Binary is the path of the command.
func (p *Product) Binary() string { return p.image.Binary }

// Load gives every node the image.
func (p *Product) Load(ctx context.Context, c *rig.Cluster) error { return c.Load(ctx, p.image) }

// Values are those of the tests' clusters, which have no registry, no storage, and the machine's / as it is, with others on top.
func Values(more chart.Values) chart.Values {
	out := chart.Values{"image": chart.Values{"tag": tag, "pullPolicy": "Never"}, "clusterName": "tests", "collector": chart.Values{"mountPropagation": "None"},
		"history": chart.Values{"embedded": chart.Values{"persistence": chart.Values{"enabled": false}}}}
	for k, v := range more {
		out[k] = v
	}
	return out
}

// Helm installs on a cluster of the tests.
func Helm(c *rig.Cluster, log slog.Handler) (*chart.Helm, error) {
	return chart.NewHelm(c.Kubeconfig(), Namespace, Reach(c), log)
}

// Reach has a client's connections begin in the cluster's network.
func Reach(c *rig.Cluster) func(*rest.Config) *rest.Config {
	return func(r *rest.Config) *rest.Config {
		r.Dial, r.QPS, r.Burst = c.Dial, 200, 400
		return r
	}
}
