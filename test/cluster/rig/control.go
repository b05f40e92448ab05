package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"

	corev1 "k8s.io/api/core/v1"
)

// part starts one process of the cluster in a network namespace: a program of Bin, or of a path. Its log has its name.
func (c *Cluster) part(ns, name, log string, args ...string) error {
	f, err := os.OpenFile(filepath.Join(c.Logs, log+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if !filepath.IsAbs(name) {
		name = filepath.Join(c.Bin, name)
	}
	cmd := exec.CommandContext(context.Background(), "nsenter", append([]string{"--net=" + ns, "--", name}, args...)...)
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.Dir = environment(c.Bin), f, f, c.state.Dir
	cmd.SysProcAttr = detached()
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := c.state.note(log, cmd.Process.Pid); err != nil {
		return errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	go func() { _ = cmd.Wait() }() // the reaper ends it
	return nil
}

// etcdURL is a loopback address of the first node's namespace.
const etcdURL = "http://127.0.0.1:2379"

func (c *Cluster) startAPI(ctx context.Context) error {
	if err := c.StartEtcd(); err != nil {
		return err
	}
	if err := c.StartAPIServer(); err != nil {
		return err
	}
	return c.WaitAPI(ctx)
}

// StartEtcd starts etcd, at the start or after End("etcd").
func (c *Cluster) StartEtcd() error {
	return c.part(c.Namespace(), "etcd", "etcd", "--data-dir="+filepath.Join(c.state.Dir, "etcd"), "--listen-client-urls="+etcdURL, "--advertise-client-urls="+etcdURL,
		"--listen-peer-urls=http://127.0.0.1:2380", "--unsafe-no-fsync", "--log-level=warn")
}

// StartAPIServer starts the API server, at the start or after End("kube-apiserver"), with more flags than it usually has.
func (c *Cluster) StartAPIServer(more ...string) error {
	pki := func(flag, file string) string { return "--" + flag + "=" + filepath.Join(c.ca.dir, file) }
	return c.part(c.Namespace(), "kube-apiserver", "kube-apiserver", append([]string{"--etcd-servers=" + etcdURL, "--advertise-address=" + controlIP, "--secure-port=6443",
		pki("client-ca-file", "ca.crt"), pki("tls-cert-file", "apiserver.crt"), pki("tls-private-key-file", "apiserver.key"),
		pki("service-account-key-file", "sa.pub"), pki("service-account-signing-key-file", "sa.key"), "--service-account-issuer=https://kubernetes.default.svc",
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction", "--service-cluster-ip-range=" + serviceNet, "--allow-privileged=true",
		pki("kubelet-client-certificate", "admin.crt"), pki("kubelet-client-key", "admin.key"), pki("kubelet-certificate-authority", "ca.crt"), "--kubelet-preferred-address-types=InternalIP",
		pki("requestheader-client-ca-file", "ca.crt"), "--requestheader-allowed-names=front-proxy-client", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--requestheader-group-headers=X-Remote-Group", "--requestheader-username-headers=X-Remote-User", pki("proxy-client-cert-file", "front.crt"), pki("proxy-client-key-file", "front.key"),
		"--enable-aggregator-routing=true", "--watch-cache=true"}, more...)...)
}

// WaitAPI returns when the API server is ready, or ctx or two minutes have ended.
func (c *Cluster) WaitAPI(ctx context.Context) error {
	return c.poll(ctx, "the API server is not ready", func(ctx context.Context) (bool, error) {
		_, err := c.Client().Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err == nil, err
	})
}

func (c *Cluster) startControl(context.Context) error {
	dir := c.state.Dir
	corefile := fmt.Sprintf(".:53 {\n  bind %s\n  errors\n  kubernetes cluster.local in-addr.arpa ip6.arpa {\n    kubeconfig %s/dns.kubeconfig plimsoll\n  }\n}\n", controlIP, dir)
	if err := os.WriteFile(filepath.Join(dir, "Corefile"), []byte(corefile), 0o600); err != nil {
		return err
	}
	return errors.Join(
		c.part(c.Namespace(), "kube-controller-manager", "kube-controller-manager", "--kubeconfig="+dir+"/kcm.kubeconfig", "--authentication-kubeconfig="+dir+"/kcm.kubeconfig",
			"--authorization-kubeconfig="+dir+"/kcm.kubeconfig", "--service-account-private-key-file="+c.ca.dir+"/sa.key", "--root-ca-file="+c.ca.dir+"/ca.crt", "--use-service-account-credentials=true",
			"--cluster-signing-cert-file="+c.ca.dir+"/ca.crt", "--cluster-signing-key-file="+c.ca.dir+"/ca.key", "--leader-elect=false", "--node-monitor-grace-period=20s"),
		c.part(c.Namespace(), "kube-scheduler", "kube-scheduler", "--kubeconfig="+dir+"/sched.kubeconfig", "--authentication-kubeconfig="+dir+"/sched.kubeconfig",
			"--authorization-kubeconfig="+dir+"/sched.kubeconfig", "--leader-elect=false"),
		c.part(c.Namespace(), "coredns", "coredns", "-conf", dir+"/Corefile"))
}

func (c *Cluster) startNodes(ctx context.Context) error {
	for _, n := range c.nodes {
		if err := n.Start(ctx); err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	return nil
}

func (c *Cluster) waitReady(ctx context.Context) error {
	return c.poll(ctx, "not all nodes are Ready", func(ctx context.Context) (bool, error) {
		list, err := c.Client().CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		ready := 0
		for _, n := range list.Items {
			for _, cond := range n.Status.Conditions {
				if cond.Type == corev1.NodeReady && cond.Status == corev1.ConditionTrue {
					ready++
				}
			}
		}
		return ready >= len(c.nodes), nil
	})
}

// poll asks twice a second for at most two minutes. Its error has the last one that was met.
func (c *Cluster) poll(ctx context.Context, what string, done func(context.Context) (bool, error)) error {
	return c.pollFor(ctx, 2*time.Minute, what, done)
}

// pollFor is poll with a limit of its own.
func (c *Cluster) pollFor(ctx context.Context, limit time.Duration, what string, done func(context.Context) (bool, error)) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 500*time.Millisecond, limit, true, func(ctx context.Context) (ok bool, _ error) {
		ok, last = done(ctx)
		return ok, nil
	})
	if err != nil {
		return fmt.Errorf("%s after %.0f s, see the logs in %s: %w", what, time.Since(c.began).Seconds(), c.Logs, errors.Join(err, last))
	}
	return nil
}

// End kills a part, as log names it ("kube-apiserver", "kubelet-node1"), and returns when it has ended.
func (c *Cluster) End(log string) error { return c.state.end(log) }
