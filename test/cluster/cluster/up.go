package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	scalepolicies "plimsoll.dev/plimsoll/autoscaler/kube"
	"plimsoll.dev/plimsoll/test/chart"
	"plimsoll.dev/plimsoll/test/cluster/product"
	"plimsoll.dev/plimsoll/test/cluster/rig"
)

// demo is the workload's namespace and name, and workload its image.
const (
	demo     = "demo"
	workload = "plimsoll.dev/workload:1"
)

// up brings a cluster up for a person, and takes it away when ctx ends.
func up(ctx context.Context) error {
	bin, err := rig.Build(ctx, os.Stderr)
	if err != nil {
		return err
	}
	p, err := product.Build(ctx, filepath.Join(bin, "../../.."), bin, os.Stderr)
	if err != nil {
		return err
	}
	c, err := rig.Start(ctx, rig.Options{Name: "up", Bin: bin, Logs: filepath.Join(filepath.Dir(bin), "logs-up"), Out: os.Stderr})
	if err != nil {
		return err
	}
	err = show(ctx, c, p)
	fmt.Fprintln(os.Stderr, "Taking the cluster away")
	return errors.Join(err, c.Stop())
}

// show installs Plimsoll and the workload, says how to look at them, and serves the page until ctx ends.
func show(ctx context.Context, c *rig.Cluster, p *product.Product) error {
	began := time.Now()
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"give the nodes the images", func() error {
			return errors.Join(p.Load(ctx, c), c.Import(ctx, workload, filepath.Join(c.Bin, "workload")))
		}},
		{"deploy a workload under a changing load", func() error { return deploy(ctx, c) }},
		{"install Plimsoll by its chart", func() error { return install(ctx, c, p) }},
		{"have the workload scaled by a ScalePolicy", func() error { return declare(ctx, c) }},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("cannot %s: %w", step.what, err)
		}
		fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(began).Seconds(), step.what)
	}
	door, err := openPage(ctx, c)
	if err != nil {
		return fmt.Errorf("cannot serve the page: %w", err)
	}
	fmt.Printf(`
The page:            %s
In the cluster:      nsenter --net=%s env PATH="%s:$PATH" bash
                     export KUBECONFIG=%s
Then for instance:   kubectl top nodes
                     kubectl top pods -A --containers
                     kubectl -n %[5]s get scp,pods --watch
                     kubectl -n %[5]s describe scp web
Two nodes on one machine, so each says that it has all of its processors. The ScalePolicy web keeps one to eight
pods at 80 %% of what they ask for, while the load that they share rises and falls within five minutes. The history
is in memory of a pod alone: it goes with the pod.
Ctrl-C ends it all and leaves nothing.
`, door.url, c.Namespace(), c.Bin, c.Kubeconfig(), demo)
	return door.run(ctx)
}

// install installs the chart and tells every few seconds what is still awaited.
func install(ctx context.Context, c *rig.Cluster, p *product.Product) error {
	h, err := product.Helm(c, slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		_, err := h.Install(ctx, product.Name, p.Chart, product.Values(chart.Values{"autoscaler": chart.Values{"mode": "on"}}))
		done <- err
	}()
	tick := time.NewTicker(3 * time.Second)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			if list, err := c.Client().CoreV1().Pods(product.Namespace).List(ctx, metav1.ListOptions{}); err == nil {
				fmt.Fprintf(os.Stderr, "         %d of %d pods of Plimsoll are ready\n", ready(list.Items), len(list.Items))
			}
		}
	}
}

func ready(pods []corev1.Pod) (n int) {
	for _, p := range pods {
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
				n++
			}
		}
	}
	return n
}

// deploy makes the workload: pods that share a load, which rises and falls within five minutes.
func deploy(ctx context.Context, c *rig.Cluster) error {
	_, err := c.Client().CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: demo}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	labels := map[string]string{"app": "web"}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Selector: labels}}
	if _, err := c.Client().CoreV1().Services(demo).Create(ctx, service, metav1.CreateOptions{}); err != nil {
		return err
	}
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: appsv1.DeploymentSpec{Replicas: new(int32(2)), Selector: &metav1.LabelSelector{MatchLabels: labels},
		Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{TerminationGracePeriodSeconds: new(int64(1)),
			Containers: []corev1.Container{{Name: "web", Image: workload, ImagePullPolicy: corev1.PullNever, Args: []string{"-cpu=450", "-share=web", "-memory=20", "-period=5m"},
				Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("32Mi")}}}}}}}}
	_, err = c.Client().AppsV1().Deployments(demo).Create(ctx, d, metav1.CreateOptions{})
	return err
}

// declare has the workload scaled.
func declare(ctx context.Context, c *rig.Cluster) error {
	policy := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "plimsoll.dev/v1alpha1", "kind": "ScalePolicy", "metadata": map[string]any{"name": "web"},
		"spec": map[string]any{"scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": int64(1), "maxReplicas": int64(8),
			"behavior": map[string]any{"scaleDown": map[string]any{"stabilizationWindowSeconds": int64(0)}}}}}
	to, err := dynamic.NewForConfig(c.Config())
	if err != nil {
		return err
	}
	_, err = to.Resource(scalepolicies.GVR()).Namespace(demo).Create(ctx, policy, metav1.CreateOptions{})
	return err
}
