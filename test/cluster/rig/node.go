package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/image"
)

// Node is one real node: a kubelet, a containerd and a kube-proxy. All nodes share this machine's kernel, but for one that Machine has made.
type Node struct {
	Name    string
	cluster *Cluster
	index   int
	dir     string
	machine bool // with a kernel of its own
}

// NodeList returns the cluster's real nodes, the first with the control plane.
func (c *Cluster) NodeList() []*Node { return c.nodes }

func (n *Node) ip() string {
	if n.index == 0 {
		return controlIP
	}
	return fmt.Sprintf("10.99.%d.2", n.index)
}

func (n *Node) gateway() string { return fmt.Sprintf("10.99.%d.1", n.index) }
func (n *Node) podNet() string  { return fmt.Sprintf("10.244.%d.0/24", n.index) }
func (n *Node) socket() string  { return filepath.Join(n.cluster.state.run(), n.Name+".sock") }

// Namespace is the path of the node's network namespace.
func (n *Node) Namespace() string { return netns(n.cluster.state.node(n.index)) }

// CgroupRoot is the cgroup below which the node's kubelet puts its pods, "/plimsoll-e2e/node1".
func (n *Node) CgroupRoot() string { return "/" + n.cluster.state.cgroup() + "/" + n.Name }

// StaticPods is the folder of the node's static pods.
func (n *Node) StaticPods() string { return filepath.Join(n.dir, "static-pods") }

// Start starts the node's three parts, with its configuration.
func (n *Node) Start(ctx context.Context) error {
	if err := n.configure(); err != nil {
		return err
	}
	c := n.cluster
	if err := c.part(n.Namespace(), "containerd", "containerd-"+n.Name, "-c", n.dir+"/containerd.toml"); err != nil {
		return err
	}
	if err := c.poll(ctx, "containerd does not answer", func(ctx context.Context) (bool, error) {
		err := n.ctr(ctx, "version")
		return err == nil, err
	}); err != nil {
		return err
	}
	if err := n.Load(ctx, image.Options{Name: pauseImage, Binary: filepath.Join(c.Bin, "pause")}); err != nil {
		return err
	}
	return errors.Join(n.StartKubelet(), c.part(n.Namespace(), "kube-proxy", "kube-proxy-"+n.Name, "--config="+n.dir+"/proxy.json"))
}

// StartKubelet starts the kubelet, at the start or after End("kubelet-"+Name).
func (n *Node) StartKubelet() error {
	return n.cluster.part(n.Namespace(), "kubelet", "kubelet-"+n.Name, "--config="+n.dir+"/kubelet.json", "--kubeconfig="+filepath.Join(n.cluster.state.Dir, "kubelet"+n.Name+".kubeconfig"),
		"--hostname-override="+n.Name, "--node-ip="+n.ip(), "--root-dir="+n.dir+"/kubelet")
}

// pauseImage holds a pod's network namespace.
const pauseImage = "plimsoll.dev/pause:1"

// configure writes the files of the node's parts.
func (n *Node) configure() error {
	c := n.cluster
	pki := func(file string) string { return filepath.Join(c.ca.dir, "kubelet"+n.Name+file) }
	files := map[string]any{
		"cni/10-bridge.conflist": map[string]any{"cniVersion": "1.0.0", "name": "bridge", "plugins": []any{
			map[string]any{"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true, "ipam": map[string]any{"type": "host-local", "dataDir": n.dir + "/ipam",
				"ranges": []any{[]any{map[string]any{"subnet": n.podNet()}}}, "routes": []any{map[string]any{"dst": "0.0.0.0/0"}}}},
			map[string]any{"type": "portmap", "capabilities": map[string]any{"portMappings": true}}}},
		"kubelet.json": n.withCgroups(map[string]any{"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
			"staticPodPath": n.StaticPods(), "fileCheckFrequency": "1s", "failCgroupV1": false, "failSwapOn": false,
			"authentication": map[string]any{"anonymous": map[string]any{"enabled": false}, "webhook": map[string]any{"enabled": true}, "x509": map[string]any{"clientCAFile": filepath.Join(c.ca.dir, "ca.crt")}},
			"authorization":  map[string]any{"mode": "Webhook"}, "tlsCertFile": pki(".crt"), "tlsPrivateKeyFile": pki(".key"),
			"containerRuntimeEndpoint": "unix://" + n.socket(), "clusterDomain": "cluster.local", "clusterDNS": []string{controlIP}, "podLogsDir": n.dir + "/pod-logs",
			"volumePluginDir": n.dir + "/volume-plugins", "evictionHard": map[string]any{"memory.available": "100Mi"}, "imageGCHighThresholdPercent": 100, "nodeStatusUpdateFrequency": "4s",
			"resolvConf": "", "maxPods": 250, "registryPullQPS": 0, "serializeImagePulls": false}),
		"proxy.json": map[string]any{"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
			"clientConnection": map[string]any{"kubeconfig": filepath.Join(c.state.Dir, "proxy.kubeconfig")}, "mode": "iptables", "clusterCIDR": podNet,
			"conntrack": map[string]any{"maxPerCore": 0}, "hostnameOverride": n.Name},
	}
	for name, content := range files {
		data, err := json.MarshalIndent(content, "", "  ")
		if err != nil {
			return err
		}
		path := filepath.Join(n.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o600)); err != nil {
			return err
		}
	}
	toml := fmt.Sprintf(`version = 3
root = %q
state = %q
[grpc]
  address = %q
[ttrpc]
  address = %q
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = %q
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ["/usr/lib/cni", "/opt/cni/bin"]
  conf_dir = %q
`, n.dir+"/containerd", n.cluster.state.run()+"/"+n.Name, n.socket(), n.socket()+".ttrpc", pauseImage, n.dir+"/cni")
	if n.machine {
		toml = strings.Replace(toml, "  restrict_oom_score_adj = true\n", "", 1) + "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]\n  runtime_type = 'io.containerd.runc.v2'\n" +
			"[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]\n  SystemdCgroup = true\n"
	} else if err := makeCgroup(n.CgroupRoot()); err != nil {
		return err
	}
	return errors.Join(os.WriteFile(n.dir+"/containerd.toml", []byte(toml), 0o600), os.MkdirAll(n.cluster.state.run(), 0o711), os.MkdirAll(n.StaticPods(), 0o755))
}

// withCgroups adds to a kubelet's configuration where its pods' cgroups are, and who makes them.
func (n *Node) withCgroups(kubelet map[string]any) map[string]any {
	if n.machine {
		kubelet["cgroupDriver"] = "systemd"
		return kubelet
	}
	kubelet["cgroupDriver"], kubelet["cgroupRoot"] = "cgroupfs", n.CgroupRoot()
	return kubelet
}

// ctr runs containerd's own client in the namespace of Kubernetes.
func (n *Node) ctr(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(n.cluster.Bin, "ctr"), append([]string{"--address", n.socket(), "--namespace", "k8s.io"}, args...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ctr %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Load gives the node an image. Pods that use it set imagePullPolicy Never.
func (n *Node) Load(ctx context.Context, o image.Options) error {
	tar := filepath.Join(n.dir, "image.tar")
	defer os.Remove(tar)
	if err := writeImage(tar, o); err != nil {
		return err
	}
	return n.ctr(ctx, "images", "import", "--local", tar)
}

func writeImage(path string, o image.Options) error {
	tar, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = image.Write(tar, o)
	return errors.Join(err, tar.Close())
}

// Load gives every node an image.
func (c *Cluster) Load(ctx context.Context, o image.Options) error {
	for _, n := range c.nodes {
		if err := n.Load(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// Import gives every node an image of one static binary, which is its entry point.
func (c *Cluster) Import(ctx context.Context, name, binary string) error {
	return c.Load(ctx, image.Options{Name: name, Binary: binary})
}
