package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plimsoll.dev/plimsoll/internal/image"
)

// Machine adds a node that is a machine of its own, as most people have them: a kernel with cgroup v2 alone, systemd as the first process, and a kubelet
// and a containerd by whose "systemd" driver each pod is a slice. Its processors are emulated: what it does is right and slow. It has the given images, and no
// Load reaches it. It returns when the node is Ready; Remove takes the node away.
func (c *Cluster) Machine(ctx context.Context, disk string, images ...image.Options) (*Node, error) {
	n := &Node{cluster: c, Name: fmt.Sprintf("node%d", len(c.nodes)+1), index: len(c.nodes), dir: filepath.Join(c.state.Dir, fmt.Sprintf("node%d", len(c.nodes)+1)), machine: true}
	if err := c.login("kubelet"+n.Name, "system:node:"+n.Name, []string{"system:nodes"}, n.Name, n.ip()); err != nil {
		return nil, err
	}
	if err := n.configure(); err != nil {
		return nil, err
	}
	files, err := n.disk(ctx, append([]image.Options{{Name: pauseImage, Binary: filepath.Join(c.Bin, "pause")}}, images...))
	if err != nil {
		return nil, err
	}
	for _, args := range [][]string{
		{"tuntap", "add", "dev", n.Name, "mode", "tap"}, {"addr", "add", n.gateway() + "/24", "dev", n.Name},
		{"link", "set", n.Name, "up"}, {"route", "add", n.podNet(), "via", n.ip()}} {
		if out, err := c.Command(ctx, "ip", args...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	if err := n.boot(disk, files); err != nil {
		return nil, err
	}
	return n, c.pollFor(ctx, 6*time.Minute, n.Name+" is not Ready", func(ctx context.Context) (bool, error) {
		node, err := c.Client().CoreV1().Nodes().Get(ctx, n.Name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		for _, cond := range node.Status.Conditions {
			if cond.Type == corev1.NodeReady {
				return cond.Status == corev1.ConditionTrue, errors.New(cond.Message)
			}
		}
		return false, nil
	})
}

// Remove ends a Machine, and takes its node out of the cluster.
func (n *Node) Remove(ctx context.Context) error {
	err := errors.Join(n.cluster.End("machine-"+n.Name), n.cluster.Client().CoreV1().Nodes().Delete(ctx, n.Name, metav1.DeleteOptions{}))
	if out, e := n.cluster.Command(ctx, "ip", "link", "del", n.Name).CombinedOutput(); e != nil {
		err = errors.Join(err, fmt.Errorf("ip link del %s: %w: %s", n.Name, e, out))
	}
	return err
}

// start is what a Machine's systemd runs: every file has the path that it has outside.
const start = `set -eu
mkdir -p "$STATE" "$BIN" "$RUN"
mount --bind /node/state "$STATE"
mount --bind /node/bin "$BIN"
ip addr add "$ADDRESS/24" dev eth0
ip link set eth0 up
ip route add default via "$GATEWAY"
echo 1 >/proc/sys/net/ipv4/ip_forward
modprobe -a overlay br_netfilter
service() { # service NAME COMMAND...
	name=$1; shift
	systemd-run -q --unit="$name" -p Delegate=yes -p KillMode=process -p OOMScoreAdjust=-999 -p StandardOutput=journal+console -p StandardError=journal+console -E PATH="$BIN:/usr/sbin:/usr/bin" "$BIN/$name" "$@"
}
service containerd -c "$DIR/containerd.toml"
until "$BIN/ctr" --address "$SOCKET" version >/dev/null 2>&1; do sleep 0.5; done
for tar in /node/images/*.tar; do "$BIN/ctr" --address "$SOCKET" --namespace k8s.io images import --local "$tar"; done
service kubelet --config="$DIR/kubelet.json" --kubeconfig="$STATE/kubelet$NAME.kubeconfig" --hostname-override="$NAME" --node-ip="$ADDRESS" --root-dir="$DIR/kubelet"
service kube-proxy --config="$DIR/proxy.json"
`

// disk makes the disk with all that a Machine needs beside its Debian: programs, configuration, certificates, images.
func (n *Node) disk(ctx context.Context, images []image.Options) (path string, err error) {
	c := n.cluster
	root := filepath.Join(n.dir, "disk")
	defer os.RemoveAll(root)
	if err := os.MkdirAll(filepath.Join(root, "images"), 0o755); err != nil {
		return "", err
	}
	for i, o := range images {
		if err := writeImage(filepath.Join(root, "images", fmt.Sprint(i, ".tar")), o); err != nil {
			return "", err
		}
	}
	vars := fmt.Sprintf("STATE=%q\nBIN=%q\nRUN=%q\nDIR=%q\nSOCKET=%q\nADDRESS=%s\nGATEWAY=%s\nNAME=%s\n", c.state.Dir, c.Bin, c.state.run(), n.dir, n.socket(), n.ip(), n.gateway(), n.Name)
	if err := os.WriteFile(filepath.Join(root, "start"), []byte(vars+start), 0o644); err != nil {
		return "", err
	}
	copies := [][2]string{}
	for _, b := range []string{"kube", "kubelet", "kube-proxy", "containerd", "containerd-shim-runc-v2", "ctr"} {
		copies = append(copies, [2]string{filepath.Join(c.Bin, b), "bin"})
	}
	for _, f := range []string{"kubelet" + n.Name + ".kubeconfig", "proxy.kubeconfig"} {
		copies = append(copies, [2]string{filepath.Join(c.state.Dir, f), "state"})
	}
	for _, f := range []string{"ca.crt", "kubelet" + n.Name + ".crt", "kubelet" + n.Name + ".key"} {
		copies = append(copies, [2]string{filepath.Join(c.ca.dir, f), "state/pki"})
	}
	for _, f := range []string{"kubelet.json", "proxy.json", "containerd.toml", "cni", "static-pods"} {
		copies = append(copies, [2]string{filepath.Join(n.dir, f), "state/" + n.Name})
	}
	for _, x := range copies {
		to := filepath.Join(root, x[1])
		if err := os.MkdirAll(to, 0o755); err != nil {
			return "", err
		}
		if out, err := exec.CommandContext(ctx, "cp", "-a", x[0], to).CombinedOutput(); err != nil {
			return "", fmt.Errorf("cp %s: %w: %s", x[0], err, out)
		}
	}
	path = filepath.Join(n.dir, "node.ext4")
	if out, err := exec.CommandContext(ctx, "/sbin/mkfs.ext4", "-q", "-F", "-d", root, path, "3G").CombinedOutput(); err != nil {
		return "", fmt.Errorf("mkfs.ext4: %w: %s", err, out)
	}
	return path, nil
}

// boot starts the emulator, in the first node's network. Neither disk is changed.
func (n *Node) boot(debian, files string) error {
	kernel, initrd, _, err := kernel()
	if err != nil {
		return err
	}
	qemu, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		return fmt.Errorf("a machine needs an emulator: install Debian's qemu-system-x86: %w", err)
	}
	args := []string{"-accel", "tcg,thread=multi", "-cpu", "max", "-m", "2048", "-smp", "2", "-nographic", "-no-reboot", "-monitor", "none", "-kernel", kernel, "-initrd", initrd,
		"-append", "root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet panic=-1", "-netdev", "tap,id=n,ifname=" + n.Name + ",script=no,downscript=no", "-device", "virtio-net-pci,netdev=n"}
	for _, d := range []string{debian, files} {
		args = append(args, "-drive", "if=virtio,format=raw,snapshot=on,file="+d)
	}
	return n.cluster.part(n.cluster.Namespace(), qemu, "machine-"+n.Name, args...)
}
