package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// kubeVersion is the version that the cluster says it is, which kube/go.mod fixes.
const kubeVersion = "1.37.2"

// tools are the binaries that are built from modules of their own.
var tools = []string{
	"github.com/containerd/containerd/v2/cmd/containerd@v2.4.2",
	"github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2@v2.4.2",
	"github.com/containerd/containerd/v2/cmd/ctr@v2.4.2",
	"github.com/coredns/coredns@v1.15.0",
}

// kubeParts are the names under which the one binary of Kubernetes is started.
var kubeParts = []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"}

// Build makes the cluster's binaries from source and returns their folder. What is there already is not built again. The first time takes
// about eight minutes of two processors; later ones seconds, since Go keeps what it has built.
func Build(ctx context.Context, out io.Writer) (bin string, err error) {
	root, err := moduleDir(ctx)
	if err != nil {
		return "", err
	}
	bin = filepath.Join(root, "../../.cache/cluster/bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(bin+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close() // two at once build once
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	version := "-X k8s.io/component-base/version."
	major, minor, _ := strings.Cut(kubeVersion, ".")
	minor, _, _ = strings.Cut(minor, ".")
	ldflags := fmt.Sprintf("-s -w %[1]sgitVersion=v%[2]s %[1]sgitMajor=%[3]s %[1]sgitMinor=%[4]s", version, kubeVersion, major, minor)
	if _, err := os.Stat(filepath.Join(bin, "kube")); err != nil {
		_, _ = fmt.Fprintln(out, "Building Kubernetes", kubeVersion, "from source; the first time takes about eight minutes")
	}
	if err := goCommand(ctx, filepath.Join(root, "kube"), nil, "build", "-trimpath", "-ldflags", ldflags, "-o", filepath.Join(bin, "kube"), "."); err != nil {
		return "", err
	}
	if err := goCommand(ctx, root, []string{"CGO_ENABLED=0"}, "build", "-trimpath", "-o", bin+"/", "./cluster", "./pause", "./workload"); err != nil {
		return "", err
	}
	for _, p := range kubeParts {
		link := filepath.Join(bin, p)
		if to, err := os.Readlink(link); err == nil && to == "kube" {
			continue
		}
		if err := errors.Join(os.RemoveAll(link), os.Symlink("kube", link)); err != nil {
			return "", err
		}
	}
	for _, t := range tools {
		if err := Tool(ctx, out, bin, t); err != nil {
			return "", err
		}
	}
	return bin, present()
}

// Tool builds a command from its module, "path@version", into bin, unless it is there in that version.
func Tool(ctx context.Context, out io.Writer, bin, tool string) error {
	pkg, version, _ := strings.Cut(tool, "@")
	path := filepath.Join(bin, filepath.Base(pkg))
	if made, err := os.ReadFile(path + ".version"); err == nil && string(made) == version {
		return nil
	}
	_, _ = fmt.Fprintln(out, "Building", tool)
	if err := goCommand(ctx, bin, []string{"GOBIN=" + bin, "CGO_ENABLED=0", "GOFLAGS="}, "install", "-trimpath", "-ldflags", "-s -w", tool); err != nil {
		return err
	}
	return os.WriteFile(path+".version", []byte(version), 0o644)
}

// metricsServer is the reference that some tests run beside Plimsoll, with its own tests.
const metricsServer = "sigs.k8s.io/metrics-server@v0.9.0"

// Reference builds metrics-server, its end-to-end tests as they are (metrics-server.test), and what their pods run (consume-cpu), into bin. The first time takes some
// minutes.
func Reference(ctx context.Context, out io.Writer, bin string) error {
	module, version, _ := strings.Cut(metricsServer, "@")
	if err := Tool(ctx, out, bin, module+"/cmd/metrics-server@"+version); err != nil {
		return err
	}
	root, err := moduleDir(ctx)
	if err != nil {
		return err
	}
	consumer := "k8s.io/kubernetes/test/images/resource-consumer/consume-cpu"
	if err := goCommand(ctx, filepath.Join(root, "kube"), []string{"CGO_ENABLED=0"}, "build", "-trimpath", "-o", bin+"/", consumer); err != nil {
		return err
	}
	tests := filepath.Join(bin, "metrics-server.test")
	if made, err := os.ReadFile(tests + ".version"); err == nil && string(made) == version {
		return nil
	}
	_, _ = fmt.Fprintln(out, "Building the tests of", metricsServer)
	said, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", metricsServer).Output()
	var got struct{ Dir string }
	if err := errors.Join(err, json.Unmarshal(said, &got)); err != nil {
		return fmt.Errorf("cannot get %s: %w", metricsServer, err)
	}
	if err := goCommand(ctx, got.Dir, []string{"CGO_ENABLED=0", "GOFLAGS="}, "test", "-c", "-trimpath", "-o", tests, "./test"); err != nil {
		return err
	}
	return os.WriteFile(tests+".version", []byte(version), 0o644)
}

// CertManager builds cert-manager's controllers (cert-manager) into bin, and returns the folder with the definitions of its kinds. The first time takes some minutes.
func CertManager(ctx context.Context, out io.Writer, bin string) (kinds string, err error) {
	root, err := moduleDir(ctx)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "certmanager")
	if _, err := os.Stat(filepath.Join(bin, "cert-manager")); err != nil {
		_, _ = fmt.Fprintln(out, "Building cert-manager")
	}
	if err := goCommand(ctx, dir, []string{"CGO_ENABLED=0"}, "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(bin, "cert-manager"), "."); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/cert-manager/cert-manager")
	cmd.Dir = dir
	said, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("cannot find cert-manager's module: %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(said)), "deploy/crds"), nil
}

// moduleDir is the folder of this module in the checkout.
func moduleDir(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "plimsoll.dev/plimsoll/test/cluster").Output()
	if err != nil {
		return "", fmt.Errorf("cannot find the module of the cluster tests; run from its folder: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

func goCommand(ctx context.Context, dir string, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// present says what a node needs of the machine and does not find.
func present() error {
	var lacks []string
	for name, where := range map[string][]string{
		"runc": {"/usr/sbin/runc", "/usr/bin/runc", "/usr/local/sbin/runc"}, "containernetworking-plugins": {"/usr/lib/cni/bridge", "/opt/cni/bin/bridge"},
		"iptables": {"/usr/sbin/iptables"}, "conntrack": {"/usr/sbin/conntrack"}, "iproute2": {"/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"}} {
		found := false
		for _, p := range where {
			_, err := os.Stat(p)
			found = found || err == nil
		}
		if !found {
			lacks = append(lacks, name)
		}
	}
	if len(lacks) > 0 {
		return fmt.Errorf("a node needs these Debian packages, which test/setup.sh installs: %s", strings.Join(lacks, " "))
	}
	return nil
}
