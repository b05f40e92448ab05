package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plimsoll.dev/plimsoll/test/chart"
	"plimsoll.dev/plimsoll/test/cluster/product"
)

// TestClaim installs the chart with its history on a claim, as by default, of a volume on one node: what was measured is there yet after the server's pod was deleted,
// its process killed, the release upgraded, and after it was uninstalled and installed again.
func TestClaim(t *testing.T) {
	ours(t)
	long(t)
	p := built(t)
	volume(t, "plimsoll-tests", "node2")
	values := chart.Values{"history": chart.Values{"embedded": chart.Values{"persistence": chart.Values{"storageClass": "plimsoll-tests"}}}}
	h, notes := install(t, p, values)
	t.Logf("notes:\n%s", notes)
	var first []point
	until(t, "there is a history", func() (err error) {
		if first, err = memoryOfNode(t); err == nil && len(first) < 3 {
			err = fmt.Errorf("of %d points", len(first))
		}
		return err
	})
	goesOn := func(what string) {
		t.Helper()
		began := time.Now()
		within(t, 2*time.Minute, what+": the history does not go on", func() error {
			now, err := memoryOfNode(t)
			switch {
			case err != nil:
				return err
			case len(now) == 0 || now[0] != first[0] || now[1] != first[1]:
				return fmt.Errorf("it began with %v, and is %v", first[:2], now)
			case now[len(now)-1][0] < float64(began.Unix()):
				return fmt.Errorf("it ends %.0f s before", float64(began.Unix())-now[len(now)-1][0])
			}
			return nil
		})
		t.Logf("%s: the history goes on after %.1f s", what, time.Since(began).Seconds())
	}
	ofServer := func() string {
		t.Helper()
		list, err := shared.Client().CoreV1().Pods(product.Namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=server"})
		if err != nil || len(list.Items) != 1 {
			t.Fatalf("%d servers, %v\n%s", len(list.Items), err, state(t))
		}
		if on := list.Items[0].Spec.NodeName; on != "node2" {
			t.Errorf("the server is on %s, its volume on node2", on)
		}
		return list.Items[0].Name
	}
	goesOn("nothing is done")
	if out, err := shared.Kubectl(t.Context(), "-n", product.Namespace, "delete", "pod", ofServer()); err != nil {
		t.Fatal(out, err)
	}
	goesOn("its pod deleted")
	if err := syscall.Kill(processOf(t, ofServer()), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	goesOn("its process killed")
	values["server"] = chart.Values{"podAnnotations": chart.Values{"changed": "yes"}}
	if _, err := h.Upgrade(t.Context(), product.Name, p.Chart, product.Values(values)); err != nil {
		t.Fatalf("%v\n%s", err, state(t))
	}
	goesOn("upgraded")
	if err := h.Uninstall(product.Name); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Install(t.Context(), product.Name, p.Chart, product.Values(values)); err != nil {
		t.Fatalf("%v\n%s", err, state(t))
	}
	goesOn("uninstalled and installed again")
}

// point is a time in Unix seconds and a value.
type point [2]float64

// memoryOfNode is the history of what a node has in use of its memory, in the last ten minutes.
func memoryOfNode(t *testing.T) ([]point, error) {
	now := time.Now().Unix()
	out, err := shared.Kubectl(t.Context(), "get", "--raw", fmt.Sprintf("%s/series?metric=node_memory_working_set_bytes&node=node1&by=node&start=%d&end=%d&step=10", viewBase, now/10*10-600, now))
	var a struct{ Series []struct{ Points []point } }
	if err := errors.Join(err, json.Unmarshal([]byte(out), &a)); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	if len(a.Series) == 0 {
		return nil, nil
	}
	return a.Series[0].Points, nil
}

// volume is room for one claim of a class, in a folder of a node's, until the test ends.
func volume(t *testing.T, class, node string) {
	t.Helper()
	client, dir, waits, local := shared.Client(), t.TempDir(), storagev1.VolumeBindingWaitForFirstConsumer, corev1.PersistentVolumeFilesystem
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.CoreV1().PersistentVolumes().Delete(context.Background(), class, metav1.DeleteOptions{})
		_ = client.StorageV1().StorageClasses().Delete(context.Background(), class, metav1.DeleteOptions{})
	})
	_, err := client.StorageV1().StorageClasses().Create(t.Context(), &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: class}, Provisioner: "kubernetes.io/no-provisioner", VolumeBindingMode: &waits}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	on := []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: corev1.LabelHostname, Operator: corev1.NodeSelectorOpIn, Values: []string{node}}}}}
	_, err = client.CoreV1().PersistentVolumes().Create(t.Context(), &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: class}, Spec: corev1.PersistentVolumeSpec{
		Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("4Gi")}, AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: class, VolumeMode: &local,
		PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain, PersistentVolumeSource: corev1.PersistentVolumeSource{Local: &corev1.LocalVolumeSource{Path: dir}},
		NodeAffinity: &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: on}},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}
