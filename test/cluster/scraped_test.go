package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"plimsoll.dev/plimsoll/test/chart"
	"plimsoll.dev/plimsoll/test/cluster/product"
)

// monitors are the kinds of Prometheus' operator that the chart makes, as far as this test needs the API server to know them.
func monitors() string {
	var b strings.Builder
	for _, kind := range []string{"ServiceMonitor", "PodMonitor"} {
		plural := strings.ToLower(kind) + "s"
		fmt.Fprintf(&b, `---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %s.monitoring.coreos.com, annotations: {api-approved.kubernetes.io: unapproved}}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {kind: %s, plural: %s}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`, plural, kind, plural)
	}
	return b.String()
}

// scrapeLogin is the login of collectors' metrics: user "prometheus", password "plumb".
const scrapeLogin = "tls_server_config: {cert_file: tls.crt, key_file: tls.key}\nbasic_auth_users: {prometheus: '$2a$04$BJQTvIdRZafnP9ZukpmZTO5sNflTTCIwk8rOuNCLUfGQt6DSGwfem'}\n"

// monitor is what is read of a ServiceMonitor or PodMonitor.
type monitor struct {
	Metadata struct{ Namespace string }
	Spec     struct {
		Selector            metav1.LabelSelector
		Endpoints           []endpoint
		PodMetricsEndpoints []endpoint
	}
}

type endpoint struct {
	Port, Scheme, Path, Interval, BearerTokenFile string
	TLSConfig                                     struct {
		ServerName string
		CA         struct{ ConfigMap, Secret *corev1.ConfigMapKeySelector }
	}
	BasicAuth *struct{ Username, Password corev1.SecretKeySelector }
}

// TestScraped installs the chart with its ServiceMonitor and PodMonitor and has a real Prometheus scrape what they select, where they point, with the TLS, logins and
// rights that the docs tell, as its operator would have it: each server and each collector is one target, and up.
func TestScraped(t *testing.T) {
	ours(t)
	prometheus := prometheusBinary(t)
	p, client := built(t), shared.Client()
	if out, err := apply(t, "default", monitors()); err != nil {
		t.Fatal(err, out)
	}
	t.Cleanup(func() {
		_, _ = shared.Kubectl(context.Background(), "delete", "crd", "servicemonitors.monitoring.coreos.com", "podmonitors.monitoring.coreos.com")
	})
	for _, crd := range []string{"servicemonitors", "podmonitors"} {
		if out, err := shared.Kubectl(t.Context(), "wait", "--for=condition=Established", "crd/"+crd+".monitoring.coreos.com"); err != nil {
			t.Fatal(err, out)
		}
	}
	secretForScrapes(t)
	name := func(key string) chart.Values { return chart.Values{"name": "scrape", "key": key} }
	install(t, p, chart.Values{"serviceMonitor": chart.Values{"enabled": true, "interval": "2s"},
		"collector": chart.Values{"mountPropagation": "None", "webConfigSecret": "scrape"},
		"podMonitor": chart.Values{"enabled": true, "interval": "2s", "endpoint": chart.Values{"basicAuth": chart.Values{"username": name("user"), "password": name("password")},
			"tlsConfig": chart.Values{"serverName": "localhost", "ca": chart.Values{"secret": name("ca.crt")}}}}})

	ns := namespace(t)
	account(t, ns, "prometheus")
	reads := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: ns + "-reads"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "plimsoll-reader"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: ns, Name: "prometheus"}}}
	s := &scraper{address: "127.0.0.1:8472", dir: t.TempDir(), token: token(t, ns, "prometheus", "", nil)}
	s.start(t, prometheus)
	until(t, "who has no right to /metrics is not told so", func() error {
		all, err := s.targets()
		if err == nil && !slices.ContainsFunc(all, func(x target) bool { return strings.Contains(x.LastError, "403") }) {
			err = fmt.Errorf("%+v", all)
		}
		return err
	})
	if _, err := client.RbacV1().ClusterRoleBindings().Create(t.Context(), reads, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = shared.Kubectl(context.Background(), "delete", "clusterrolebinding", reads.Name) })
	until(t, "not all targets are up", func() error {
		all, err := s.targets()
		if err != nil {
			return err
		}
		jobs := map[string]int{}
		for _, x := range all {
			if jobs[x.Labels["job"]]++; x.Health != "up" {
				return fmt.Errorf("%s is %s: %s", x.ScrapeURL, x.Health, x.LastError)
			}
		}
		if jobs["server"] != 1 || jobs["collector"] != 2 || len(jobs) != 2 {
			return fmt.Errorf("one server and two collectors are the targets %v: %+v", jobs, all)
		}
		return nil
	})
	for _, query := range []string{`count(plimsoll_http_requests_total{job="server"} > 0) > 0`, `sum(plimsoll_live_samples_applied_total{job="server"}) > 0`, `count(plimsoll_collector_live_sent_total{job="collector"}) == 2`,
		`count(count by (instance) (plimsoll_collector_last_tick_timestamp_seconds{job="collector"} > time() - 30)) == 2`, `count(go_goroutines) == 3`} {
		until(t, query, func() error {
			n, err := s.results(query)
			if err == nil && n == 0 {
				err = errors.New("there is no such series")
			}
			return err
		})
	}
}

// secretForScrapes is the Secret with collectors' TLS and login, and what Prometheus needs for it.
func secretForScrapes(t *testing.T) {
	t.Helper()
	client, dir := shared.Client(), t.TempDir()
	certificate(t, dir)
	data := map[string][]byte{"web.yaml": []byte(scrapeLogin), "user": []byte("prometheus"), "password": []byte("plumb")}
	for _, name := range []string{"tls.crt", "tls.key", "ca.crt"} {
		raw, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		data[name] = raw
	}
	until(t, "the namespace", func() error {
		_, _ = client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: product.Namespace}}, metav1.CreateOptions{})
		_, err := client.CoreV1().Secrets(product.Namespace).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "scrape"}, Data: data}, metav1.CreateOptions{})
		return err
	})
}

// scraper is a Prometheus whose configuration its operator could have made.
type scraper struct {
	address, dir, token string
	part                *part
}

type target struct {
	Health, LastError, ScrapeURL string
	Labels                       map[string]string
}

func (s *scraper) start(t *testing.T, binary string) {
	t.Helper()
	file := func(name string, content []byte) string {
		path := filepath.Join(s.dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	token := file("token", []byte(s.token))
	var jobs []any
	for job, m := range map[string]struct {
		kind  string
		there []discovered
	}{"server": {"servicemonitor/plimsoll", behindServices(t)}, "collector": {"podmonitor/plimsoll-collector", inPods(t)}} {
		var said monitor
		out, err := shared.Kubectl(t.Context(), "get", m.kind, "-n", product.Namespace, "-o", "yaml")
		if err := errors.Join(err, yaml.Unmarshal([]byte(out), &said)); err != nil {
			t.Fatal(err)
		}
		ends := append(said.Spec.Endpoints, said.Spec.PodMetricsEndpoints...)
		if len(ends) != 1 || said.Metadata.Namespace != product.Namespace || len(said.Spec.Selector.MatchLabels) == 0 || len(said.Spec.Selector.MatchExpressions) > 0 {
			t.Fatalf("this test does not understand %s", out)
		}
		e := ends[0]
		keep := []any{map[string]any{"source_labels": []string{metaPort}, "regex": e.Port, "action": "keep"}}
		for k, v := range said.Spec.Selector.MatchLabels {
			keep = append(keep, map[string]any{"source_labels": []string{metaLabel(k)}, "regex": v, "action": "keep"})
		}
		keep = append(keep, map[string]any{"source_labels": []string{metaName}, "target_label": "of"}, map[string]any{"target_label": "job", "replacement": job})
		there, err := json.Marshal(m.there)
		if err != nil {
			t.Fatal(err)
		}
		tls := map[string]any{"server_name": e.TLSConfig.ServerName, "ca_file": file(job+".crt", referred(t, e))}
		one := map[string]any{"job_name": job, "scheme": e.Scheme, "metrics_path": e.Path, "scrape_interval": e.Interval, "scrape_timeout": e.Interval, "tls_config": tls, "relabel_configs": keep,
			"file_sd_configs": []any{map[string]any{"files": []string{file(job+".json", there)}}}}
		if strings.HasSuffix(e.BearerTokenFile, "/serviceaccount/token") {
			one["authorization"] = map[string]any{"credentials_file": token}
		}
		if b := e.BasicAuth; b != nil {
			one["basic_auth"] = map[string]any{"username": string(secretKey(t, b.Username)), "password": string(secretKey(t, b.Password))}
		}
		jobs = append(jobs, one)
	}
	config, err := yaml.Marshal(map[string]any{"scrape_configs": jobs})
	if err != nil {
		t.Fatal(err)
	}
	s.part = &part{dir: s.dir, address: s.address, client: &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DialContext: shared.Dial}}}
	s.part.launch(t, "prometheus", binary, "--config.file="+file("prometheus.yml", config), "--storage.tsdb.path="+filepath.Join(s.dir, "data"), "--web.listen-address="+s.address)
}

// discovered are targets as Prometheus' own discovery gives them, which Debian's is built without: all that there are, of which relabelling keeps those that
// a monitor selects.
type discovered struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

const (
	metaPort = "__meta_port"
	metaName = "__meta_name" // of the Service or pod, by which the operator tells targets apart
)

func metaLabel(k string) string {
	return "__meta_label_" + strings.NewReplacer(".", "_", "/", "_", "-", "_").Replace(k)
}

func discover(address string, port int32, portName, name string, labels map[string]string) discovered {
	d := discovered{[]string{net.JoinHostPort(address, fmt.Sprint(port))}, map[string]string{metaPort: portName, metaName: name}}
	for k, v := range labels {
		d.Labels[metaLabel(k)] = v
	}
	return d
}

// behindServices are the addresses behind all Services of the release's namespace.
func behindServices(t *testing.T) (out []discovered) {
	t.Helper()
	client := shared.Client()
	services, err := client.CoreV1().Services(product.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range services.Items {
		behind, err := client.DiscoveryV1().EndpointSlices(product.Namespace).List(t.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + of.Name})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range behind.Items {
			for _, x := range e.Endpoints {
				for _, port := range e.Ports {
					out = append(out, discover(x.Addresses[0], *port.Port, *port.Name, of.Name, of.Labels))
				}
			}
		}
	}
	return out
}

// inPods are the ports that pods of the namespace name.
func inPods(t *testing.T) (out []discovered) {
	t.Helper()
	pods, err := shared.Client().CoreV1().Pods(product.Namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pods.Items {
		for _, port := range p.Spec.Containers[0].Ports {
			out = append(out, discover(p.Status.PodIP, port.ContainerPort, port.Name, p.Name, p.Labels))
		}
	}
	return out
}

// referred is the authority that an endpoint names.
func referred(t *testing.T, e endpoint) []byte {
	t.Helper()
	if of := e.TLSConfig.CA.ConfigMap; of != nil {
		m, err := shared.Client().CoreV1().ConfigMaps(product.Namespace).Get(t.Context(), of.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return []byte(m.Data[of.Key])
	}
	of := e.TLSConfig.CA.Secret
	return secretKey(t, corev1.SecretKeySelector{LocalObjectReference: of.LocalObjectReference, Key: of.Key})
}

func secretKey(t *testing.T, of corev1.SecretKeySelector) []byte {
	t.Helper()
	m, err := shared.Client().CoreV1().Secrets(product.Namespace).Get(t.Context(), of.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return m.Data[of.Key]
}

// ask reads an answer of Prometheus' API.
func (s *scraper) ask(path string, into any) error {
	resp, err := s.part.client.Get("http://" + s.address + "/api/v1/" + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, raw)
	}
	return errors.Join(err, json.Unmarshal(raw, into))
}

func (s *scraper) targets() ([]target, error) {
	var a struct {
		Data struct{ ActiveTargets []target }
	}
	err := s.ask("targets?state=active", &a)
	return a.Data.ActiveTargets, err
}

func (s *scraper) results(query string) (int, error) {
	var a struct{ Data struct{ Result []any } }
	err := s.ask("query?query="+url.QueryEscape(query), &a)
	return len(a.Data.Result), err
}

// prometheusBinary is the path of a real one.
func prometheusBinary(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("prometheus")
	if err != nil {
		if path, err = filepath.Abs("../../.cache/prometheus/usr/bin/prometheus"); err == nil {
			_, err = os.Stat(path)
		}
	}
	if err != nil {
		t.Skipf("there is no Prometheus; test/setup.sh fetches it: %v", err)
	}
	return path
}
