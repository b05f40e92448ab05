package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// influxdb starts InfluxDB 1.8 in the cluster's network, until the test ends, and returns its address. test/influx builds it.
func influxdb(t *testing.T, port int) string {
	t.Helper()
	binary, err := filepath.Abs("../../.cache/influx/influxd-1.8.3")
	if err == nil {
		_, err = os.Stat(binary)
	}
	if err != nil {
		t.Skipf("there is no InfluxDB: run make test first (%v)", err)
	}
	dir, address := t.TempDir(), fmt.Sprint("10.99.0.1:", port)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := shared.Command(t.Context(), binary)
	cmd.Env = append(cmd.Env, "INFLUXDB_META_DIR="+dir+"/meta", "INFLUXDB_DATA_DIR="+dir+"/data", "INFLUXDB_DATA_WAL_DIR="+dir+"/wal", "INFLUXDB_HTTP_BIND_ADDRESS="+address,
		fmt.Sprintf("INFLUXDB_BIND_ADDRESS=10.99.0.1:%d", port+1), "INFLUXDB_REPORTING_DISABLED=true", "INFLUXDB_MONITOR_STORE_ENABLED=false", "INFLUXDB_HTTP_LOG_ENABLED=false", "HOME="+dir)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // nsenter becomes the command
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	until(t, "InfluxDB does not answer", func() error { _, err := influxQL(address, "", "SHOW DATABASES"); return err })
	return address
}

// influxQL asks a database, and returns the rows of the answer: each its tags and columns by name.
func influxQL(address, db, query string) ([]map[string]any, error) {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: shared.Dial, DisableKeepAlives: true}}
	resp, err := client.Get("http://" + address + "/query?" + url.Values{"db": {db}, "q": {query}}.Encode())
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	var a struct {
		Results []struct {
			Error  string
			Series []struct {
				Tags    map[string]string
				Columns []string
				Values  [][]any
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		return nil, err
	}
	var out []map[string]any
	for _, r := range a.Results {
		if r.Error != "" {
			return nil, fmt.Errorf("%s: %s", query, r.Error)
		}
		for _, s := range r.Series {
			for _, v := range s.Values {
				row := map[string]any{}
				for k, tag := range s.Tags {
					row[k] = tag
				}
				for i, c := range s.Columns {
					row[c] = v[i]
				}
				out = append(out, row)
			}
		}
	}
	return out, nil
}

// TestHistory keeps what is measured of a cluster in a real InfluxDB, in our schema and in Heapster's, and compares what is read back, the reports, the lists and
// Heapster's model with what the API server says there is.
func TestHistory(t *testing.T) {
	ours(t)
	ns := namespace(t)
	account(t, ns, "collector", collecting...)
	db := influxdb(t, 8586)
	inPool(t, "node1", "blue")
	inPool(t, "node2", "blue")
	into := func(name string, more ...string) []string {
		return append([]string{"--influx-url", "http://" + db, "--influx-bucket", name, "--influx-plain-http", "--cluster", "tests", "--interval", "2s"}, more...)
	}
	s := server(t, 8446, into("plimsoll")...)
	deploy(t, ns, "web", 2, "-cpu=20")
	stateful(t, ns, "db")
	cron(t, ns, "tick")
	create(t, ns, "mem", "node1", corev1.PodSpec{Containers: []corev1.Container{container("app", "30m 64Mi", "200m 128Mi", "-memory=50"), container("log", "10m 16Mi", "")}})
	fails := container("app", "10m 16Mi", "")
	fails.Image = "plimsoll.dev/nowhere:1"
	create(t, ns, "fails", "node2", corev1.PodSpec{Containers: []corev1.Container{fails}})
	for i, node := range []string{"node1", "node2"} {
		collectorAs(t, nil, ns, node, fmt.Sprint("127.0.0.1:", 8191+i), s, into("plimsoll")...)
	}
	admin := adminToken(t, ns)
	t.Run("kinds", func(t *testing.T) { kinds(t, s, ns, admin) })
	t.Run("model", func(t *testing.T) { model(t, s, ns, admin) })
	t.Run("reports", func(t *testing.T) { reports(t, s, ns, admin) })
	t.Run("v1", func(t *testing.T) { schemaV1(t, s, db, ns, admin) })
	t.Run("heapster", func(t *testing.T) {
		other := namespace(t) // for the other collector's pod
		account(t, other, "collector", collecting...)
		old := into("k8s", "--influx-schema", "heapster")
		collectorAs(t, nil, other, "node1", "127.0.0.1:8193", server(t, 8447, old...), old...)
		schemaHeapster(t, db, ns)
	})
}

// inPool puts a node into a pool, until the test ends.
func inPool(t *testing.T, node, pool string) {
	t.Helper()
	label := func(ctx context.Context, value string) {
		patch := fmt.Sprintf(`{"metadata":{"labels":{"plimsoll.dev/pool":%s}}}`, value)
		if _, err := shared.Client().CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
			t.Error(err)
		}
	}
	label(t.Context(), strconv.Quote(pool))
	t.Cleanup(func() { label(context.Background(), "null") })
}

// template is that of pods of one container.
func template(labels map[string]string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{TerminationGracePeriodSeconds: new(int64(1)), Containers: []corev1.Container{container("app", "20m 16Mi", "", "-cpu=10")}}}
}

// stateful makes a StatefulSet of one pod.
func stateful(t *testing.T, ns, name string) {
	t.Helper()
	labels := map[string]string{"app": name, "tier": "data"}
	set := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: appsv1.StatefulSetSpec{ServiceName: name, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template(labels)}}
	if _, err := shared.Client().AppsV1().StatefulSets(ns).Create(t.Context(), set, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// cron makes a CronJob that would run once a year, and has it run now.
func cron(t *testing.T, ns, name string) {
	t.Helper()
	spec := template(nil)
	spec.Spec.RestartPolicy = corev1.RestartPolicyNever
	job := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: batchv1.CronJobSpec{Schedule: "0 0 1 1 *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: spec}}}}
	_, err := shared.Client().BatchV1().CronJobs(ns).Create(t.Context(), job, metav1.CreateOptions{})
	if err == nil {
		_, err = shared.Kubectl(t.Context(), "create", "job", "-n", ns, "--from=cronjob/"+name, name+"-now")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// podsIn are the pods of a namespace, "" for all, as the API server has them.
func podsIn(t *testing.T, ns string) []corev1.Pod {
	t.Helper()
	list, err := shared.Client().CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// kinds looks whether every pod belongs to what made it in the end, by the kind that this has.
func kinds(t *testing.T, s *part, ns, admin string) {
	want := map[string]string{"web": "Deployment", "db": "StatefulSet", "tick": "CronJob"}
	until(t, "workloads by kind", func() error {
		got := map[string]string{}
		for k, c := range s.containers(t, admin, ns) {
			switch owner := want[strings.SplitN(k, "-", 2)[0]]; {
			case c.CPU == nil:
			case c.WorkloadKind != owner:
				return fmt.Errorf("%s is of %q %q, want %q", k, c.WorkloadKind, c.Workload, owner)
			case owner != "":
				got[c.Workload] = c.WorkloadKind
			}
		}
		if !maps.Equal(got, want) {
			return fmt.Errorf("got %v", got)
		}
		return nil
	})
	binary, err := plimsoll()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(admin), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := shared.Command(t.Context(), binary, "top", "workloads", "-n", ns, "--server", "https://"+s.address, "--server-ca-file", filepath.Join(s.dir, "ca.crt"), "--server-token-file", file).CombinedOutput()
	for name, kind := range want {
		if !slices.ContainsFunc(strings.Split(string(out), "\n"), func(l string) bool {
			f := strings.Fields(l)
			return len(f) > 2 && f[0] == ns && f[1] == kind && f[2] == name
		}) {
			t.Errorf("top has no %s %s (%v):\n%s", kind, name, err, out)
		}
	}
}

// model compares Heapster's model with what the API server says.
func model(t *testing.T, s *part, ns, admin string) {
	until(t, "the model's pods", func() error {
		var spaces, names []string
		s.read(t, "/api/v1/model/namespaces/", admin, &spaces)
		s.read(t, "/api/v1/model/namespaces/"+ns+"/pods/", admin, &names)
		if !slices.Contains(spaces, ns) {
			return fmt.Errorf("namespaces %v", spaces)
		}
		for _, p := range podsIn(t, ns) {
			if p.Status.Phase == corev1.PodRunning && p.Name != "fails" && !slices.Contains(names, p.Name) {
				return fmt.Errorf("%s is not among %v", p.Name, names)
			}
		}
		return nil
	})
	var all []struct{ Labels map[string]string }
	s.read(t, "/api/v1/metric-export", admin, &all)
	for _, p := range podsIn(t, ns) {
		if p.Name == "fails" {
			continue
		}
		want := map[string]string{"namespace_name": ns, "pod_name": p.Name, "pod_id": string(p.UID), "nodename": p.Spec.NodeName, "hostname": p.Spec.NodeName, "container_name": "/pod"}
		var labels []string
		for k, v := range p.Labels {
			labels = append(labels, k+":"+v)
		}
		if slices.Sort(labels); len(labels) > 0 {
			want["labels"] = strings.Join(labels, ",")
		}
		if !slices.ContainsFunc(all, func(x struct{ Labels map[string]string }) bool { return maps.Equal(x.Labels, want) }) {
			t.Errorf("there is no pod with %v", want)
		}
	}
}

// reports compares what pods ask for and nodes offer with what the API server says of each.
func reports(t *testing.T, s *part, ns, admin string) {
	nodes, err := shared.Client().CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	type sums struct{ cpuRequests, memoryRequests, cpuAllocatable, memoryAllocatable float64 }
	until(t, "the report's requests and allocatable", func() error {
		want := map[string]*sums{"cluster/": {}, "pool/blue": {}, "namespace/" + ns: {}}
		for _, n := range nodes.Items {
			want["node/"+n.Name] = &sums{}
			for _, k := range []string{"cluster/", "pool/blue", "node/" + n.Name} {
				want[k].cpuAllocatable += n.Status.Allocatable.Cpu().AsApproximateFloat64()
				want[k].memoryAllocatable += n.Status.Allocatable.Memory().AsApproximateFloat64()
			}
		}
		for _, p := range podsIn(t, "") {
			if p.Spec.NodeName == "" || p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed {
				continue // as the scheduler counts: also what cannot run
			}
			for _, c := range p.Spec.Containers {
				for _, k := range []string{"cluster/", "pool/blue", "node/" + p.Spec.NodeName, "namespace/" + p.Namespace} {
					if x := want[k]; x != nil {
						x.cpuRequests += c.Resources.Requests.Cpu().AsApproximateFloat64()
						x.memoryRequests += c.Resources.Requests.Memory().AsApproximateFloat64()
					}
				}
			}
		}
		type room struct{ Allocatable, Requests float64 }
		var r struct {
			Scopes []struct {
				Level, Name string
				CPU, Memory room
			}
		}
		s.read(t, "/plimsoll/v1/capacity?window=1h", admin, &r)
		for _, x := range r.Scopes {
			w := want[x.Level+"/"+x.Name]
			if w == nil {
				continue
			}
			delete(want, x.Level+"/"+x.Name)
			got := sums{x.CPU.Requests, x.Memory.Requests, x.CPU.Allocatable, x.Memory.Allocatable}
			if math.Abs(got.cpuRequests-w.cpuRequests) > 1e-6 || got.memoryRequests != w.memoryRequests || got.cpuAllocatable != w.cpuAllocatable || got.memoryAllocatable != w.memoryAllocatable {
				return fmt.Errorf("%s %s: got %+v, want %+v", x.Level, x.Name, got, *w)
			}
		}
		if len(want) > 0 {
			return fmt.Errorf("%v are not in the report", slices.Collect(maps.Keys(want)))
		}
		return nil
	})
}

// last is the newest value of a metric in the history, as the series API joins it.
func (p *part) last(token, metric string, by url.Values) (float64, error) {
	by.Set("metric", metric)
	by.Set("start", fmt.Sprint(time.Now().Add(-time.Minute).Unix()))
	by.Set("end", fmt.Sprint(time.Now().Unix()))
	by.Set("by", "")
	body, err := p.get("/plimsoll/v1/series?"+by.Encode(), token)
	if err != nil {
		return 0, err
	}
	var a struct {
		Series []struct{ Points [][2]float64 }
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil || len(a.Series) != 1 || len(a.Series[0].Points) != 1 {
		return 0, fmt.Errorf("%s %v: %s %w", metric, by, body, errors.Join(err))
	}
	return a.Series[0].Points[0][1], nil
}

// schemaV1 looks into InfluxDB at tags and fields, and reads values back through the server.
func schemaV1(t *testing.T, s *part, db, ns, admin string) {
	const mib = 1 << 20
	web := url.Values{"namespace": {ns}, "workload_kind": {"Deployment"}, "workload": {"web"}}
	for _, q := range []struct {
		metric      string
		by          url.Values
		least, most float64
	}{
		{"container_memory_working_set_bytes", url.Values{"namespace": {ns}, "pod": {"mem"}, "container": {"app"}}, 48 * mib, 52 * mib},
		{"pod_memory_working_set_bytes", url.Values{"namespace": {ns}, "pod": {"mem"}}, 48 * mib, 56 * mib},
		{"pod_cpu_request_cores", url.Values{"namespace": {ns}, "pod": {"mem"}}, 0.04, 0.04},
		{"pod_memory_limit_bytes", url.Values{"namespace": {ns}, "pod": {"mem"}}, 128 * mib, 128 * mib},
		{"workload_cpu_usage_seconds_total", web, 0.034, 0.046},
		{"workload_memory_request_bytes", web, 32 * mib, 32 * mib},
		{"workload_pods_ready", web, 2, 2},
		{"workload_pods_running", url.Values{"namespace": {ns}, "workload_kind": {"CronJob"}, "workload": {"tick"}}, 1, 1},
		{"kube_pod_status_phase", url.Values{"namespace": {ns}, "pod": {"mem"}, "phase": {"Running"}}, 1, 1},
		{"kube_pod_status_ready", url.Values{"namespace": {ns}, "pod": {"fails"}, "condition": {"true"}}, 0, 0},
		{"kube_pod_status_phase", url.Values{"namespace": {ns}, "pod": {"fails"}, "phase": {"Pending"}}, 1, 1},
		{"kube_pod_container_status_waiting_reason", url.Values{"namespace": {ns}, "pod": {"fails"}}, 1, 1},
		{"namespace_containers_waiting", url.Values{"namespace": {ns}}, 1, 1},
		{"kube_node_status_condition", url.Values{"node": {"node1"}, "condition": {"Ready"}, "status": {"true"}}, 1, 1},
		{"pool_nodes", url.Values{"pool": {"blue"}}, 2, 2},
		{"pool_cpu_allocatable_cores", url.Values{"pool": {"blue"}}, 2, 1024},
		{"cluster_nodes_ready", url.Values{}, 2, 2},
	} {
		until(t, q.metric, func() error {
			v, err := s.last(admin, q.metric, q.by)
			if err == nil && (v < q.least*(1-1e-9) || v > q.most*(1+1e-9)) {
				err = fmt.Errorf("%v: got %v, want %v to %v", q.by, v, q.least, q.most)
			}
			return err
		})
	}
	f := func(measurement, where string, want map[string]any) {
		t.Helper()
		rows, err := influxQL(db, "plimsoll", fmt.Sprintf(`SELECT last(memory_working_set_bytes) FROM %q WHERE %s GROUP BY *`, measurement, where))
		if err != nil || len(rows) != 1 {
			t.Errorf("%s where %s: %d lines, %v", measurement, where, len(rows), err)
			return
		}
		delete(rows[0], "time")
		delete(rows[0], "last")
		if !maps.Equal(rows[0], want) {
			t.Errorf("%s: tags %v, want %v", measurement, rows[0], want)
		}
	}
	f("container", `pod = 'mem' AND container = 'app'`, map[string]any{"cluster": "tests", "node": "node1", "namespace": ns, "pod": "mem", "container": "app", "workload": "", "workload_kind": ""})
	f("pod", `pod = 'db-0'`, map[string]any{"cluster": "tests", "node": nodeOf(t, ns, "db-0"), "namespace": ns, "pod": "db-0", "workload": "db", "workload_kind": "StatefulSet"})
	f("workload", fmt.Sprintf(`workload = 'web' AND namespace = '%s'`, ns), // other tests have one too
		map[string]any{"cluster": "tests", "namespace": ns, "workload": "web", "workload_kind": "Deployment"})
	f("namespace", fmt.Sprintf(`namespace = '%s'`, ns), map[string]any{"cluster": "tests", "namespace": ns})
	f("node", `node = 'node1'`, map[string]any{"cluster": "tests", "node": "node1"})
	f("pool", `pool = 'blue'`, map[string]any{"cluster": "tests", "pool": "blue"})
}

func nodeOf(t *testing.T, ns, pod string) string {
	t.Helper()
	p, err := shared.Client().CoreV1().Pods(ns).Get(t.Context(), pod, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return p.Spec.NodeName
}

// schemaHeapster reads what boards that were made for Heapster read.
func schemaHeapster(t *testing.T, db, ns string) {
	const mib = 1 << 20
	f := func(metric, where string, least, most float64) {
		t.Helper()
		until(t, metric, func() error {
			rows, err := influxQL(db, "k8s", fmt.Sprintf(`SELECT last(value) FROM %q WHERE cluster_name = 'tests' AND namespace_name = '%s' AND %s`, metric, ns, where))
			if err != nil || len(rows) != 1 {
				return fmt.Errorf("%d lines, %w", len(rows), errors.Join(err))
			}
			if v, _ := rows[0]["last"].(float64); v < least || v > most {
				return fmt.Errorf("%s is %v, want %v to %v", where, rows[0], least, most)
			}
			return nil
		})
	}
	f("memory/working_set", `type = 'pod_container' AND pod_name = 'mem' AND container_name = 'app' AND nodename = 'node1'`, 48*mib, 52*mib)
	f("memory/usage", `type = 'pod' AND pod_name = 'mem' AND nodename = 'node1'`, 48*mib, 60*mib)
	f("cpu/request", `type = 'pod' AND pod_name = 'mem'`, 40, 40)
	f("memory/limit", `type = 'pod' AND pod_name = 'mem'`, 128*mib, 128*mib)
	f("memory/request", `type = 'ns'`, 80*mib, 1024*mib)
}
