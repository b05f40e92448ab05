package cluster_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// collecting are the rights of a collector: those that docs/kubernetes.md tells, and no more.
var collecting = []rbacv1.PolicyRule{
	{APIGroups: []string{""}, Resources: []string{"pods", "nodes"}, Verbs: []string{"list", "watch"}},
	{APIGroups: []string{"apps"}, Resources: []string{"replicasets"}, Verbs: []string{"get"}},
	{APIGroups: []string{"batch"}, Resources: []string{"jobs"}, Verbs: []string{"get"}},
	{NonResourceURLs: []string{"/plimsoll/api/v1/write"}, Verbs: []string{"post"}},
}

// unprivileged are setpriv's options for somebody who has no rights on the machine.
var unprivileged = []string{"--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"}

// collectorOn is collectorAs of root, which reads everything every two seconds.
func collectorOn(t *testing.T, ns, node, listen string, s *part, args ...string) *part {
	t.Helper()
	return collectorAs(t, nil, ns, node, listen, s, append([]string{"--interval=2s"}, args...)...)
}

// collectorAs starts the collector of a node as a process, with the tokens of a pod on that node and no other rights, until the test ends; with
// setpriv's options, as somebody else than root.
func collectorAs(t *testing.T, setpriv []string, ns, node, listen string, s *part, args ...string) *part {
	t.Helper()
	pod := podOn(t, ns, "agent-"+node, node, "collector")
	p := &part{dir: t.TempDir(), address: listen, client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: shared.Dial}}}
	admin := shared.Config()
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: "https://10.99.0.1:6443", CertificateAuthorityData: admin.CAData}
	config.AuthInfos["c"] = &clientcmdapi.AuthInfo{Token: token(t, ns, "collector", "", pod)}
	config.Contexts["c"], config.CurrentContext = &clientcmdapi.Context{Cluster: "c", AuthInfo: "c"}, "c"
	file := func(name string) string { return filepath.Join(p.dir, name) }
	ca, err := os.ReadFile(filepath.Join(s.dir, "ca.crt"))
	if err := errors.Join(err, clientcmd.WriteToFile(*config, file("kubeconfig")), os.WriteFile(file("token"), []byte(token(t, ns, "collector", "plimsoll", pod)), 0o644), os.WriteFile(file("ca.crt"), ca, 0o644),
		os.Mkdir(file("queue"), 0o755), os.Chmod(file("kubeconfig"), 0o644)); err != nil {
		t.Fatal(err)
	}
	path, err := plimsoll()
	if err != nil {
		t.Fatal(err)
	}
	command := append([]string{path}, "collector", "--kubeconfig", file("kubeconfig"), "--node", node, "--listen", listen, "--queue", file("queue"),
		"--server", "https://"+s.address, "--server-ca-file", file("ca.crt"), "--server-token-file", file("token"))
	command = append(command, args...)
	if len(setpriv) > 0 {
		command = append(append([]string{"setpriv"}, setpriv...), command...)
		for dir := p.dir; dir != os.TempDir(); dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chown(file("queue"), 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	p.launch(t, "collector", command...)
	until(t, "the collector of "+node+" is not ready", func() error {
		resp, err := p.client.Get("http://" + listen + "/readyz?verbose")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		said := make([]byte, 2000)
		n, _ := resp.Body.Read(said)
		if resp.StatusCode != http.StatusOK || !strings.Contains(string(said[:n]), "[+]cluster ok") {
			return fmt.Errorf("%d %s", resp.StatusCode, said[:n])
		}
		return nil
	})
	return p
}

// container makes one that runs the workload; requests and limits are such as "50m 64Mi", or empty.
func container(name, requests, limits string, args ...string) corev1.Container {
	list := func(s string) corev1.ResourceList {
		if s == "" {
			return nil
		}
		cpu, memory, _ := strings.Cut(s, " ")
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory)}
	}
	return corev1.Container{Name: name, Image: image, ImagePullPolicy: pull, Args: args, Resources: corev1.ResourceRequirements{Requests: list(requests), Limits: list(limits)}}
}

// create makes a pod on a node.
func create(t *testing.T, ns, name, node string, spec corev1.PodSpec) {
	t.Helper()
	spec.NodeName, spec.TerminationGracePeriodSeconds = node, new(int64(1))
	if _, err := shared.Client().CoreV1().Pods(ns).Create(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// seen is a container as the server shows it.
type seen struct {
	Namespace, Pod, Name, Node, Workload, WorkloadKind, Runtime, Image, ID, Source string
	CPU, WorkingSet, CPURequest, MemoryLimit, CPULimit, Restarts, OOMKills         *float64
	Gap                                                                            *struct{ Reason string }
	Started                                                                        *time.Time
}

// containers are those that the server shows of a namespace, "pod/container".
func (p *part) containers(t *testing.T, token, ns string) map[string]seen {
	t.Helper()
	var all struct{ Items []seen }
	p.read(t, "/plimsoll/v1/containers?limit=1000", token, &all)
	out := map[string]seen{}
	for _, c := range all.Items {
		if c.Namespace == ns {
			out[c.Pod+"/"+c.Name] = c
		}
	}
	return out
}

// value is the one value of a PromQL expression.
func (p *part) value(token, query string) (float64, error) {
	body, err := p.get("/api/v1/query?query="+url.QueryEscape(query), token)
	if err != nil {
		return 0, err
	}
	var a struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil || len(a.Data.Result) != 1 {
		return 0, fmt.Errorf("%s: %s %w", query, body, errors.Join(err))
	}
	return strconv.ParseFloat(fmt.Sprint(a.Data.Result[0].Value[1]), 64)
}

// TestCollectors runs a collector for each node, one as root and one without any rights on the machine, and looks at pods of every kind on both: each takes
// those of its own node alone, under their names, with what they use, ask for and may use.
func TestCollectors(t *testing.T) {
	ours(t)
	ns := namespace(t)
	account(t, ns, "collector", collecting...)
	s := server(t, 8444)
	create(t, ns, "guaranteed", "node1", corev1.PodSpec{Containers: []corev1.Container{container("app", "200m 100Mi", "200m 100Mi", "-cpu=50", "-memory=50")}})
	create(t, ns, "burstable", "node2", corev1.PodSpec{Containers: []corev1.Container{container("app", "50m 16Mi", "", "-cpu=50"), container("log", "10m 16Mi", "", "-memory=50")}})
	create(t, ns, "besteffort", "node1", corev1.PodSpec{Containers: []corev1.Container{container("app", "", "", "-memory=50")}})
	create(t, ns, "crash", "node1", corev1.PodSpec{Containers: []corev1.Container{container("app", "10m 16Mi", "", "-for=6s", "-exit=1"), container("calm", "10m 16Mi", "")}})
	deploy(t, ns, "web", 2)
	static(t, ns, "node1")
	one := collectorOn(t, ns, "node1", "127.0.0.1:8183", s)
	collectorAs(t, unprivileged, ns, "node2", "127.0.0.1:8184", s, "--interval=2s")
	mesh := container("mesh", "10m 16Mi", "", "-cpu=5")
	mesh.RestartPolicy = new(corev1.ContainerRestartPolicyAlways)
	create(t, ns, "sidecar", "node2", corev1.PodSpec{InitContainers: []corev1.Container{container("first", "500m 16Mi", "", "-for=15s"), mesh}, Containers: []corev1.Container{container("app", "20m 16Mi", "", "-cpu=10")}})
	admin := adminToken(t, ns)

	shows := func(what string, want map[string]string) {
		t.Helper()
		until(t, what, func() error {
			all := s.containers(t, admin, ns)
			for k, node := range want {
				c, ok := all[k]
				switch {
				case !ok:
					return fmt.Errorf("%s is not there", k)
				case c.Node != node || c.CPU == nil || c.WorkingSet == nil || c.Gap != nil || c.Runtime != "containerd" || c.Image != image || !strings.Contains(c.ID, "/"+node+"/kubepods/"):
					return fmt.Errorf("%s is %+v", k, c)
				}
			}
			return nil
		})
	}
	shows("an init container runs", map[string]string{"sidecar/first": "node2"})
	shows("all others do", map[string]string{"guaranteed/app": "node1", "burstable/app": "node2", "burstable/log": "node2", "besteffort/app": "node1", "sidecar/mesh": "node2", "sidecar/app": "node2",
		"crash/calm": "node1", "static-node1/app": "node1", "agent-node1/web": "node1", "agent-node2/web": "node2"})
	until(t, "a Deployment's pods", func() error {
		nodes := []string{}
		for _, c := range s.containers(t, admin, ns) {
			if c.Workload == "web" && c.WorkloadKind == "Deployment" && c.CPU != nil {
				nodes = append(nodes, c.Node)
			}
		}
		if slices.Sort(nodes); !slices.Equal(nodes, []string{"node1", "node2"}) {
			return fmt.Errorf("they are on %v", nodes)
		}
		return nil
	})
	debug(t, ns, "besteffort")
	shows("an ephemeral container", map[string]string{"besteffort/debugger": "node1"})

	until(t, "what a container has used while it ran stays when it is started again", func() error {
		c := s.containers(t, admin, ns)["crash/app"]
		if c.Restarts == nil || *c.Restarts < 2 || c.CPURequest == nil || *c.CPURequest != 0.01 {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	t.Run("values", func(t *testing.T) { values(t, s, ns, admin) })
	t.Run("claims", func(t *testing.T) { claims(t, s, ns, admin) })
	t.Run("only its own", func(t *testing.T) {
		all, err := s.get("/plimsoll/v1/containers?limit=1000", admin)
		if err != nil || strings.Contains(all, `"namespace":"kubernetes"`) || strings.Contains(all, "pause") {
			t.Errorf("there are containers under an id, or pause containers (%v): %s", err, all)
		}
		metrics, err := s.get("/metrics", admin)
		for _, reason := range []string{"pod", "node"} {
			if err != nil || strings.Contains(metrics, `plimsoll_ingest_samples_dropped_total{reason="`+reason+`"}`) && !strings.Contains(metrics, `plimsoll_ingest_samples_dropped_total{reason="`+reason+`"} 0`) {
				t.Errorf("a collector sent what is not its own (%v): %s", err, metrics)
			}
		}
	})
	t.Run("fresh", func(t *testing.T) { fresh(t, s, ns, admin) })
	t.Run("made anew", func(t *testing.T) { anew(t, s, ns, admin) })
	t.Run("API server away", func(t *testing.T) { apiServerAway(t, s, one, ns, admin) })
}

// values compares use with what the workload was told to use.
func values(t *testing.T, s *part, ns, admin string) {
	for _, pod := range []string{"guaranteed", "burstable"} {
		until(t, "50 millicores of "+pod, func() error {
			of := fmt.Sprintf(`(container_cpu_usage_seconds_total{namespace=%q,pod=%q,container="app"}[1m])`, ns, pod)
			if n, err := s.value(admin, "count_over_time"+of); err != nil || n < 29 {
				return fmt.Errorf("%v samples of a minute, %w", n, errors.Join(err))
			}
			v, err := s.value(admin, "rate"+of)
			if err == nil && (v < 0.047 || v > 0.053) {
				err = fmt.Errorf("they are %.1f", v*1000)
			}
			if err == nil {
				t.Logf("50 millicores of %s are %.1f", pod, v*1000)
			}
			return err
		})
	}
	for pod, container := range map[string]string{"guaranteed": "app", "burstable": "log", "besteffort": "app"} {
		until(t, "50 MB of "+pod, func() error {
			v, err := s.value(admin, fmt.Sprintf(`container_memory_working_set_bytes{namespace=%q,pod=%q,container=%q}`, ns, pod, container))
			if mib := v / (1 << 20); err == nil && (mib < 48 || mib > 52) {
				err = fmt.Errorf("they are %.1f MiB", mib)
			}
			if err == nil {
				t.Logf("50 MB of %s are %.1f MiB", pod, v/(1<<20))
			}
			return err
		})
	}
}

// claims compares requests, limits and what the nodes have with what was declared.
func claims(t *testing.T, s *part, ns, admin string) {
	for query, want := range map[string]float64{
		`kube_pod_container_resource_requests{namespace="NS",pod="guaranteed",resource="cpu"}`:                   0.2,
		`kube_pod_container_resource_limits{namespace="NS",pod="guaranteed",resource="memory"}`:                  100 << 20,
		`sum(kube_pod_container_resource_requests{namespace="NS",pod="burstable",resource="cpu"})`:               0.06,
		`sum(kube_pod_container_resource_requests{namespace="NS",pod="sidecar",resource="cpu"})`:                 0.03, // the init container has ended, and asked for nothing beside them
		`sum(kube_pod_container_resource_requests{namespace="NS",pod="crash",resource="cpu"})`:                   0.02,
		`sum(kube_pod_container_resource_requests{namespace="NS",pod="besteffort",resource="cpu"}) or vector(0)`: 0,
	} {
		query = strings.ReplaceAll(query, "NS", ns)
		until(t, query, func() error {
			v, err := s.value(admin, query)
			if err == nil && math.Abs(v-want) > 1e-9*want {
				err = fmt.Errorf("got %v, want %v", v, want)
			}
			return err
		})
	}
	for _, name := range []string{"node1", "node2"} {
		n, err := shared.Client().CoreV1().Nodes().Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for query, want := range map[string]*resource.Quantity{"machine_memory_bytes": n.Status.Capacity.Memory(), `kube_node_status_allocatable{resource="memory"}`: n.Status.Allocatable.Memory(),
			`kube_node_status_allocatable{resource="cpu"}`: n.Status.Allocatable.Cpu()} {
			v, err := s.value(admin, fmt.Sprintf(`(%s) and on(node) label_replace(vector(1),"node",%q,"","")`, query, name))
			if err != nil || v != want.AsApproximateFloat64() {
				t.Errorf("%s of %s: got %v, %v, want %s", query, name, v, err, want)
			}
		}
	}
}

// fresh looks how soon after a container began what it uses is served.
func fresh(t *testing.T, s *part, ns, admin string) {
	var took []time.Duration
	for i := range 5 {
		name := fmt.Sprint("fresh-", i)
		create(t, ns, name, fmt.Sprint("node", i%2+1), corev1.PodSpec{Containers: []corev1.Container{container("app", "10m 16Mi", "", "-cpu=20")}})
		until(t, name, func() error {
			c := s.containers(t, admin, ns)[name+"/app"]
			if c.CPU == nil || c.WorkingSet == nil || c.Started == nil {
				return fmt.Errorf("%+v", c)
			}
			took = append(took, time.Since(*c.Started))
			return nil
		})
	}
	if slices.Sort(took); took[len(took)-1] > 3*time.Second {
		t.Errorf("a fresh container is served after %v, want 3s", took)
	}
	t.Logf("a fresh container is served after %v", took)
}

// anew makes a pod anew under its name, on the other node: nothing that the old one used is on it.
func anew(t *testing.T, s *part, ns, admin string) {
	create(t, ns, "anew", "node1", corev1.PodSpec{Containers: []corev1.Container{container("app", "10m 16Mi", "", "-memory=90")}})
	shows := func(node string, least, most float64) error {
		c := s.containers(t, admin, ns)["anew/app"]
		if c.Node != node || c.WorkingSet == nil || *c.WorkingSet < least || *c.WorkingSet > most || c.Restarts == nil || *c.Restarts != 0 {
			return fmt.Errorf("%+v", c)
		}
		return nil
	}
	until(t, "the first", func() error { return shows("node1", 85e6, 120e6) })
	if err := shared.Client().CoreV1().Pods(ns).Delete(t.Context(), "anew", metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}); err != nil {
		t.Fatal(err)
	}
	create(t, ns, "anew", "node2", corev1.PodSpec{Containers: []corev1.Container{container("app", "10m 16Mi", "", "-memory=10")}})
	until(t, "the second", func() error { return shows("node2", 5e6, 40e6) })
	for range 20 {
		if err := shows("node2", 5e6, 40e6); err != nil {
			t.Errorf("the old one is on the new: %v", err)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// static puts a static pod on a node, until the test ends.
func static(t *testing.T, ns, node string) {
	t.Helper()
	p := corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: metav1.ObjectMeta{Name: "static", Namespace: ns}, Spec: corev1.PodSpec{Containers: []corev1.Container{container("app", "10m 16Mi", "")}}}
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range shared.NodeList() {
		if n.Name == node {
			file := filepath.Join(n.StaticPods(), "static.json")
			if err := os.WriteFile(file, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.Remove(file) })
		}
	}
}

// debug adds an ephemeral container to a pod, as kubectl debug does.
func debug(t *testing.T, ns, name string) {
	t.Helper()
	pods := shared.Client().CoreV1().Pods(ns)
	p, err := pods.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	p.Spec.EphemeralContainers = append(p.Spec.EphemeralContainers, corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debugger", Image: image, ImagePullPolicy: pull, Args: []string{"-cpu=5"}}})
	if _, err := pods.UpdateEphemeralContainers(t.Context(), name, p, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// apiServerAway ends the API server for a while: what pods use goes on under their names, and a collector that is not told of what is new says so.
func apiServerAway(t *testing.T, s, collector *part, ns, admin string) {
	ready := func() (int, string) {
		resp, err := collector.client.Get("http://" + collector.address + "/readyz/api-server")
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		said := make([]byte, 2000)
		n, _ := resp.Body.Read(said)
		return resp.StatusCode, string(said[:n])
	}
	at := time.Now()
	if err := shared.End("kube-apiserver"); err != nil {
		t.Fatal(err)
	}
	back := func() {
		if err := errors.Join(shared.StartAPIServer(), shared.WaitAPI(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "its absence is told", func() error {
		if code, said := ready(); code != http.StatusServiceUnavailable || !strings.Contains(said, "what was known stays") {
			return fmt.Errorf("%d %s", code, said)
		}
		return nil
	})
	time.Sleep(time.Until(at.Add(20 * time.Second)))
	back()
	until(t, "its return is told", func() error {
		if code, said := ready(); code != http.StatusOK {
			return fmt.Errorf("%d %s", code, said)
		}
		return nil
	})
	until(t, "there is no hole", func() error {
		v, err := s.value(admin, fmt.Sprintf(`count_over_time(container_memory_working_set_bytes{namespace=%q,pod="guaranteed",container="app"}[%ds])`, ns, int(time.Since(at).Seconds())))
		if want := time.Since(at).Seconds()/2 - 3; err == nil && v < want {
			err = fmt.Errorf("%v samples, want %v", v, want)
		}
		return err
	})
}

// metricOf is the value of a metric without labels in what /metrics says.
func metricOf(t *testing.T, all, name string) float64 {
	t.Helper()
	_, after, _ := strings.Cut(all, "\n"+name+" ")
	text, _, _ := strings.Cut(after, "\n")
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// own is one of a server's own metrics.
func (p *part) own(t *testing.T, token, name string) float64 {
	t.Helper()
	all, err := p.get("/metrics", token)
	if err != nil {
		t.Fatal(err)
	}
	return metricOf(t, all, name)
}
