package chart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/kube"
	releasev1 "helm.sh/helm/v4/pkg/release/v1"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/rest"
)

// Helm installs the chart on a cluster.
type Helm struct {
	namespace string
	config    *action.Configuration
	wait      time.Duration
}

// NewHelm makes a Helm for a namespace. kubeconfig is the file that says which cluster; reach changes how it is reached, or is nil.
func NewHelm(kubeconfig, namespace string, reach func(*rest.Config) *rest.Config, log slog.Handler) (*Helm, error) {
	flags := genericclioptions.NewConfigFlags(true)
	cache := filepath.Join(filepath.Dir(kubeconfig), "cache")
	flags.KubeConfig, flags.Namespace, flags.WrapConfigFn, flags.CacheDir = &kubeconfig, &namespace, reach, &cache
	config := action.NewConfiguration(action.ConfigurationSetLogger(log))
	if err := config.Init(flags, namespace, "secret"); err != nil {
		return nil, fmt.Errorf("cannot reach the cluster of %q: %w", kubeconfig, err)
	}
	return &Helm{namespace: namespace, config: config, wait: 3 * time.Minute}, nil
}

// Install installs the chart, makes its namespace, and waits until all of it is ready.
func (h *Helm) Install(ctx context.Context, name string, s Source, values Values) (notes string, err error) {
	c, err := s.Load()
	if err != nil {
		return "", err
	}
	a := action.NewInstall(h.config)
	a.ReleaseName, a.Namespace, a.CreateNamespace, a.WaitStrategy, a.Timeout = name, h.namespace, true, kube.StatusWatcherStrategy, h.wait
	return told(a.RunWithContext(ctx, c, values))
}

// Upgrade changes the values of a release, and waits until all of it is ready.
func (h *Helm) Upgrade(ctx context.Context, name string, s Source, values Values) (notes string, err error) {
	c, err := s.Load()
	if err != nil {
		return "", err
	}
	a := action.NewUpgrade(h.config)
	a.Namespace, a.WaitStrategy, a.Timeout = h.namespace, kube.StatusWatcherStrategy, h.wait
	return told(a.RunWithContext(ctx, name, c, values))
}

// told are the notes of a release.
func told(r any, err error) (string, error) {
	if err != nil {
		return "", err
	}
	rel, ok := r.(*releasev1.Release)
	if !ok {
		return "", fmt.Errorf("a release of an unknown kind, %T", r)
	}
	return rel.Info.Notes, nil
}

// Test runs the chart's tests and returns what they printed.
func (h *Helm) Test(name string) (printed string, err error) {
	a := action.NewReleaseTesting(h.config)
	a.Namespace, a.Timeout = h.namespace, h.wait
	r, end, err := a.Run(name)
	var out bytes.Buffer
	if rel, ok := r.(*releasev1.Release); ok {
		err = errors.Join(err, a.GetPodLogs(&out, rel))
	}
	return out.String(), errors.Join(err, end())
}

// Uninstall takes a release away and waits until all that it had is gone. What is not there is no error.
func (h *Helm) Uninstall(name string) error {
	a := action.NewUninstall(h.config)
	a.WaitStrategy, a.Timeout, a.IgnoreNotFound, a.DeletionPropagation = kube.StatusWatcherStrategy, h.wait, true, "foreground"
	_, err := a.Run(name)
	return err
}

// Rollback brings a release back to a revision, and waits until all of it is ready.
func (h *Helm) Rollback(name string, revision int) error {
	a := action.NewRollback(h.config)
	a.Version, a.WaitStrategy, a.Timeout = revision, kube.StatusWatcherStrategy, h.wait
	return a.Run(name)
}
