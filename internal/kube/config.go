package kube

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"plimsoll.dev/plimsoll/internal/disk"
)

// API is how to reach an API server.
type API = rest.Config

// Config says how to reach the API server: as a kubeconfig file says, or with "" as the service account of the pod that this runs in.
func Config(kubeconfig, agent string) (*API, error) {
	c, err := load(kubeconfig)
	if err != nil {
		return nil, err
	}
	c.UserAgent, c.QPS, c.Burst = agent, 50, 100
	return c, nil
}

func load(kubeconfig string) (*API, error) {
	if kubeconfig != "" {
		c, err := named(kubeconfig)
		if err != nil {
			return nil, fmt.Errorf("cannot use kubeconfig %q: %w", kubeconfig, err)
		}
		return c, nil
	}
	c, err := rest.InClusterConfig()
	if errors.Is(err, rest.ErrNotInCluster) {
		return nil, errors.New("this is no pod of a cluster: give a kubeconfig in --kubeconfig")
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use the service account of this pod: %w", err)
	}
	return c, nil
}

// named reads a kubeconfig file. The library's own way would wait for a file that never answers.
func named(kubeconfig string) (*API, error) {
	raw, err := disk.ReadGiven(kubeconfig)
	if err != nil {
		return nil, err
	}
	all, err := clientcmd.Load(raw)
	if err != nil {
		return nil, err
	}
	for _, c := range all.Clusters {
		c.LocationOfOrigin = kubeconfig
	}
	for _, a := range all.AuthInfos {
		a.LocationOfOrigin = kubeconfig
	}
	if err := clientcmd.ResolveLocalPaths(all); err != nil { // they may be relative to the file
		return nil, err
	}
	return clientcmd.NewDefaultClientConfig(*all, &clientcmd.ConfigOverrides{}).ClientConfig()
}

// Namespace is the namespace of the pod that this runs in; "" where it is none.
func Namespace() string {
	raw, _ := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace") // outside of a pod there is none
	return strings.TrimSpace(string(raw))
}
