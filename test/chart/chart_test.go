package chart

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/scheme"
	sigs "sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write testdata anew")

// cluster is what "lookup" finds: nothing, or what a test puts in.
type cluster struct{ *fake.FakeDynamicClient }

func newCluster(t *testing.T, docs ...string) cluster {
	t.Helper()
	var objects []runtime.Object
	for _, d := range docs {
		u := &unstructured.Unstructured{}
		if err := sigs.Unmarshal([]byte(d), &u.Object); err != nil {
			t.Fatal(err)
		}
		objects = append(objects, u)
	}
	return cluster{fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
		rbacv1.SchemeGroupVersion.WithResource("clusterrolebindings"): "ClusterRoleBindingList"}, objects...)}
}

// GetClientFor implements engine.ClientProvider.
func (c cluster) GetClientFor(apiVersion, kind string) (dynamic.NamespaceableResourceInterface, bool, error) {
	gv, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		return nil, false, err
	}
	return c.Resource(gv.WithResource(strings.ToLower(kind) + "s")), kind != "APIService", nil
}

// dir is the chart's folder.
const dir = "../../charts/plimsoll"

var boards = map[string][]byte{"plimsoll-cluster.json": []byte(`{"title": "Cluster {{instance}}"}`), "plimsoll-cluster-influx.json": []byte(`{"title": "Cluster"}`)}

func render(t *testing.T, values string, docs ...string) (map[string]string, error) {
	t.Helper()
	v, err := Parse(values)
	if err != nil {
		t.Fatal(err)
	}
	return Source{dir, boards}.Render(Release{Name: "plimsoll", Namespace: "monitoring", Cluster: newCluster(t, docs...)}, v)
}

func must(t *testing.T, values string, docs ...string) []string {
	t.Helper()
	texts, err := render(t, values, docs...)
	if err != nil {
		t.Fatalf("%s: %v", values, err)
	}
	return Documents(texts)
}

// matrix are the values that the rules are tried on.
func matrix(t *testing.T) map[string]string {
	out := map[string]string{"default": "",
		"influx":       "{server: {replicas: 2}, history: {kind: influx, influx: {url: 'https://influx:8086', org: o, collectorToken: {secret: w}, serverToken: {secret: r, key: k}}}}",
		"remote":       "{clusterName: c1, history: {kind: remote, remote: {url: 'https://mimir/api/v1/push', queryURL: 'https://mimir/prometheus', token: {secret: m}}}}",
		"narrow":       "{server: {kubeletFallback: false}, collector: {mountPropagation: None, fileSystems: false, hostPID: false, queue: {hostPath: /var/lib/q}}}",
		"everything":   "{boards: {enabled: true}, serviceMonitor: {enabled: true, labels: {a: b}}, networkPolicy: {enabled: true}, server: {podDisruptionBudget: {enabled: true}}, commonLabels: {team: x}, imagePullSecrets: [{name: s}], serviceAccount: {annotations: {a: b}}}",
		"names":        "{fullnameOverride: other, image: {repository: r.example/p, digest: 'sha256:" + strings.Repeat("a", 64) + "'}, collector: {podLabels: {a: b}, podAnnotations: {c: d}, extraArgs: [--log-level=debug]}, server: {podLabels: {a: b}, podAnnotations: {c: d}, extraArgs: [--log-level=debug], tolerations: [{operator: Exists}], affinity: {nodeAffinity: {}}}}",
		"secret":       "{tls: {source: secret, existingSecret: mine, caBundle: \"-----BEGIN CERTIFICATE-----\\nAA==\\n-----END CERTIFICATE-----\"}}",
		"cert-manager": "{tls: {source: cert-manager}}",
		"issuer":       "{tls: {source: cert-manager, issuerRef: {name: i, kind: ClusterIssuer}}, serviceMonitor: {enabled: true}}",
		"monitored":    "{collector: {webConfigSecret: w}, networkPolicy: {enabled: true}, podMonitor: {enabled: true, labels: {a: b}, endpoint: {basicAuth: {username: {name: s, key: u}, password: {name: s, key: p}}}}}",
		"scaling":      "{autoscaler: {mode: on, targets: [{apiGroup: argoproj.io, resource: rollouts}], metrics: {custom: [pods/qps, metrics/lag, deployments.apps/lag], external: [queue:length]}}}",
		"no scaling":   "{autoscaler: {mode: off}}",
		"no API":       "{metricsAPI: {create: false}, customMetricsAPI: {create: false}, externalMetricsAPI: {create: false}, viewAPI: {create: false}}",
		"no door":      "{metricsAPI: {create: false}, viewAPI: {everybody: false}}",
		"emptyDir":     "{history: {embedded: {persistence: {enabled: false}}}}",
		"claim":        "{history: {embedded: {persistence: {existingClaim: c, storageClass: s}}}}"}
	for name, more := range map[string]string{"metrics": "", "watch": "", "autoscaler": "", "full": "\nhistory: {kind: influx, influx: {url: 'https://influx:8086', collectorToken: {secret: w}, serverToken: {secret: r}}}\n"} {
		text, err := os.ReadFile(filepath.Join(dir, "profiles", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if more != "" {
			text = append(regexp.MustCompile(`(?s)\nhistory:\n  kind: influx\n`).ReplaceAll(text, []byte("\n")), more...)
		}
		out["profile "+name] = string(text)
	}
	return out
}

// Every object of the matrix is what Kubernetes' own types say, in the namespace of the release, once, and with our labels.
func TestObjectsAreKnown(t *testing.T) {
	foreign := regexp.MustCompile(`^(cert-manager.io|monitoring.coreos.com|apiregistration.k8s.io)/`)
	decoder := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, json.SerializerOptions{Yaml: true, Strict: true})
	for name, values := range matrix(t) {
		seen := map[string]bool{}
		for _, d := range must(t, values) {
			var u unstructured.Unstructured
			if err := sigs.UnmarshalStrict([]byte(d), &u.Object); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, d)
			}
			id := u.GetKind() + "/" + u.GetNamespace() + "/" + u.GetName()
			if seen[id] {
				t.Errorf("%s: %s is there twice", name, id)
			}
			seen[id] = true
			if ns := u.GetNamespace(); ns != "" && ns != "monitoring" && id != "RoleBinding/kube-system/"+u.GetName() {
				t.Errorf("%s: %s is in another namespace", name, id)
			}
			if u.GetLabels()["app.kubernetes.io/instance"] != "plimsoll" || u.GetLabels()["app.kubernetes.io/managed-by"] != "Helm" {
				t.Errorf("%s: %s has labels %v", name, id, u.GetLabels())
			}
			if foreign.MatchString(u.GetAPIVersion()) {
				continue
			}
			if _, _, err := decoder.Decode([]byte(d), nil, nil); err != nil {
				t.Errorf("%s: %s: %v\n%s", name, id, err, d)
			}
		}
		if len(seen) < 10 {
			t.Errorf("%s: only %d objects", name, len(seen))
		}
	}
}

// pods gives the pods of a rendering by the kind and name of what makes them.
func pods(t *testing.T, docs []string) map[string]corev1.PodSpec {
	t.Helper()
	out := map[string]corev1.PodSpec{}
	for _, d := range docs {
		obj, _, err := scheme.Codecs.UniversalDeserializer().Decode([]byte(d), nil, nil)
		if err != nil {
			continue // of a kind that is not Kubernetes' own
		}
		switch o := obj.(type) {
		case *appsv1.DaemonSet:
			out[o.Name] = o.Spec.Template.Spec
		case *appsv1.Deployment:
			out[o.Name] = o.Spec.Template.Spec
		case *corev1.Pod:
			out[o.Name] = o.Spec
		}
	}
	return out
}

// No pod is privileged, none runs as root or writes to its root file system; of the machine only the collector sees anything, and read-only.
func TestPodsAreUnprivileged(t *testing.T) {
	for name, values := range matrix(t) {
		for pod, s := range pods(t, must(t, values)) {
			collects := strings.HasSuffix(pod, "-collector")
			if sc := s.SecurityContext; sc == nil || !*sc.RunAsNonRoot || *sc.RunAsUser == 0 || sc.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
				t.Errorf("%s: %s: %+v", name, pod, sc)
			}
			if s.HostNetwork || s.HostIPC || s.HostPID && !collects {
				t.Errorf("%s: %s is in namespaces of its node", name, pod)
			}
			for _, c := range s.Containers {
				sc := c.SecurityContext
				if sc == nil || *sc.AllowPrivilegeEscalation || !*sc.ReadOnlyRootFilesystem || len(sc.Capabilities.Drop) != 1 || sc.Capabilities.Drop[0] != "ALL" || len(sc.Capabilities.Add) > 0 || sc.Privileged != nil {
					t.Errorf("%s: %s: %+v", name, pod, sc)
				}
				if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
					t.Errorf("%s: %s asks for %v", name, pod, c.Resources)
				}
				for _, v := range s.Volumes {
					for _, m := range c.VolumeMounts {
						if v.HostPath != nil && m.Name == v.Name && (!collects || !m.ReadOnly && m.Name != "queue") {
							t.Errorf("%s: %s mounts %s of its node", name, pod, v.HostPath.Path)
						}
					}
				}
			}
		}
	}
}

// What runs is watched over: each pod of a part has probes, at a port that it names, and a network policy keeps none of these ports from the kubelet.
func TestPodsAreProbed(t *testing.T) {
	for name, values := range matrix(t) {
		docs := must(t, values)
		for pod, s := range pods(t, docs) {
			if s.RestartPolicy == corev1.RestartPolicyNever {
				continue // a test of the chart's
			}
			for _, c := range s.Containers {
				for what, p := range map[string]*corev1.Probe{"/livez startup": c.StartupProbe, "/livez": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
					path, _, _ := strings.Cut(what, " ")
					if p == nil || p.HTTPGet == nil || p.HTTPGet.Path != path || !slices.ContainsFunc(c.Ports, func(o corev1.ContainerPort) bool { return o.Name == p.HTTPGet.Port.StrVal }) {
						t.Errorf("%s: %s: probe of %s: %+v", name, pod, what, p)
						continue
					}
					open := "{port: " + p.HTTPGet.Port.StrVal + ", protocol: TCP}"
					if all := strings.Join(docs, "\n"); strings.Contains(all, "kind: NetworkPolicy") && !strings.Contains(all, open) {
						t.Errorf("%s: no network policy has %s", name, open)
					}
				}
			}
		}
	}
}

// A server that is replaced goes on until nobody is sent to it any more, within its grace; one with a claim keeps its successor waiting for nothing.
func TestServersPart(t *testing.T) {
	const delay = "--shutdown-delay-duration=10s"
	for name, values := range matrix(t) {
		for pod, s := range pods(t, must(t, values)) {
			if c := s.Containers[0]; c.Args[0] == "server" {
				claimed := slices.ContainsFunc(s.Volumes, func(v corev1.Volume) bool { return v.PersistentVolumeClaim != nil })
				if slices.Contains(c.Args, delay) == claimed || *s.TerminationGracePeriodSeconds < 30 {
					t.Errorf("%s: %s has a claim %v, %d s of grace and %q", name, pod, claimed, *s.TerminationGracePeriodSeconds, c.Args)
				}
			}
		}
	}
}

// Collectors are scraped where their metrics are served with TLS and a login, and only then.
func TestPodMonitor(t *testing.T) {
	const on = "podMonitor: {enabled: true, endpoint: {tlsConfig: {serverName: c}}}"
	all := strings.Join(must(t, "{"+on+", collector: {webConfigSecret: mine}}"), "\n")
	for _, want := range []string{"kind: PodMonitor", "- port: metrics", "scheme: https", "serverName: c", "--listen=:8083", "--web.config.file=/etc/plimsoll/web.yaml", "{name: metrics, containerPort: 8083}",
		"{name: web, secret: {secretName: \"mine\"}}", "{name: web, mountPath: /etc/plimsoll, readOnly: true}"} {
		if !strings.Contains(all, want) {
			t.Errorf("there is no %q", want)
		}
	}
	if all := strings.Join(must(t, ""), "\n"); strings.Contains(all, "PodMonitor") || strings.Contains(all, "--listen=:8083") {
		t.Error("collectors are open without having been asked for")
	}
	if _, err := render(t, "{"+on+"}"); err == nil || !strings.Contains(err.Error(), "collector.webConfigSecret") {
		t.Errorf("without a login: %v", err)
	}
}

// A ServiceMonitor selects one Service, so that each server is scraped once; a PodMonitor no Service's pods but the collectors'.
func TestServiceMonitor(t *testing.T) {
	type labelled struct {
		Kind     string
		Metadata struct {
			Name   string
			Labels map[string]string
		}
		Spec struct {
			Selector  struct{ MatchLabels map[string]string }
			Endpoints []struct{ Port string }
			Ports     []struct{ Name string }
		}
	}
	var monitor labelled
	var services []labelled
	for _, d := range must(t, "{serviceMonitor: {enabled: true}}") {
		var o labelled
		if err := sigs.Unmarshal([]byte(d), &o); err != nil && o.Kind != "Service" { // whose selector is of another form
			continue
		}
		switch o.Kind {
		case "ServiceMonitor":
			monitor = o
		case "Service":
			services = append(services, o)
		}
	}
	var selected []string
	for _, s := range services {
		all := true
		for k, v := range monitor.Spec.Selector.MatchLabels {
			all = all && s.Metadata.Labels[k] == v
		}
		if all && len(s.Spec.Ports) == 1 && s.Spec.Ports[0].Name == monitor.Spec.Endpoints[0].Port {
			selected = append(selected, s.Metadata.Name)
		}
	}
	if len(services) != 2 || !slices.Equal(selected, []string{"plimsoll"}) {
		t.Errorf("of %d Services it selects %q", len(services), selected)
	}
}

// Rights are named one by one, each with why; never nodes/proxy, nothing that changes a pod or a role, and of Secrets, ConfigMaps and APIServices those that are
// named, which are TestCertificatesAreRenewed's.
func TestRightsAreLeast(t *testing.T) {
	writes := regexp.MustCompile(`^(tokenreviews|subjectaccessreviews|leases|events|scalepolicies/status|[a-z]+/scale)$`)
	certificates := regexp.MustCompile(`^(secrets|configmaps|apiservices)$`)
	rules := 0
	for name, values := range matrix(t) {
		for _, d := range must(t, values) {
			var doc yaml.Node
			if err := yaml.Unmarshal([]byte(d), &doc); err != nil {
				t.Fatal(err)
			}
			var role struct {
				Kind     string
				Metadata struct{ Labels map[string]string }
				Rules    []yaml.Node
			}
			if err := doc.Decode(&role); err != nil || role.Kind != "ClusterRole" && role.Kind != "Role" {
				continue
			}
			for _, r := range role.Rules {
				rules++
				var plain map[string][]string
				if err := r.Decode(&plain); err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(r.HeadComment, "# Why: ") {
					t.Errorf("%s: rule %v has no comment that says why", name, plain)
				}
				named := len(plain["resourceNames"]) > 0
				for _, list := range plain {
					for _, x := range list {
						if x == "*" || x == "/*" || x == "nodes/proxy" || !named && (x == "secrets" || x == "configmaps" || x == "apiservices") {
							t.Errorf("%s: rule %v has %q", name, plain, x)
						}
					}
				}
				for _, v := range plain["verbs"] {
					for _, res := range plain["resources"] {
						people := role.Metadata.Labels["rbac.authorization.k8s.io/aggregate-to-edit"] == "true" && res == "scalepolicies" // TestPeopleMayHavePolicies has them
						if (v == "create" || v == "update" || v == "patch" || strings.HasPrefix(v, "delete")) && !people && !writes.MatchString(res) && !(named && certificates.MatchString(res)) {
							t.Errorf("%s: rule %v may %s %s", name, plain, v, res)
						}
						if res == "nodes/metrics" && strings.Contains(values, "kubeletFallback: false") {
							t.Errorf("%s: nodes/metrics without the kubelet fallback", name)
						}
					}
				}
			}
		}
	}
	// Metrics are read by name, and metrics.k8s.io where kubelets are not.
	for values, want := range map[string]string{"": "", "{server: {kubeletFallback: false}}": "metrics.k8s.io [pods] [list] ", "{autoscaler: {metrics: {custom: [pods/qps]}}}": "custom.metrics.k8s.io [pods/qps] [get] ",
		"{autoscaler: {metrics: {custom: [metrics/qps]}}}":                        "custom.metrics.k8s.io [metrics] [get] [qps] ", // a namespace's: resource metrics, name qps
		"{autoscaler: {metrics: {custom: [metrics/qps, pods/qps, metrics/lag]}}}": "custom.metrics.k8s.io [pods/qps] [get] custom.metrics.k8s.io [metrics] [get] [qps lag] ",
		"{autoscaler: {metrics: {external: [queue]}}}":                            "external.metrics.k8s.io [queue] [list] ", "{collector: {enabled: false}, autoscaler: {alone: true}}": "metrics.k8s.io [pods] [list] ", "{autoscaler: {mode: off, metrics: {external: [queue]}}}": ""} {
		got := ""
		for _, d := range must(t, values) {
			var role rbacv1.ClusterRole
			if err := sigs.Unmarshal([]byte(d), &role); err != nil || role.Kind != "ClusterRole" || !strings.HasSuffix(role.Name, "-autoscaler") {
				continue
			}
			for _, r := range role.Rules {
				if g := strings.Join(r.APIGroups, " "); strings.HasSuffix(g, "metrics.k8s.io") {
					got += fmt.Sprintln(g, r.Resources, r.Verbs)
					if len(r.ResourceNames) > 0 {
						got += fmt.Sprintln(r.ResourceNames)
					}
				}
			}
		}
		if got = strings.ReplaceAll(got, "\n", " "); got != want {
			t.Errorf("%s: got %q, want %q", values, got, want)
		}
	}
	if rules < 50 {
		t.Errorf("found only %d rules: the test checks nothing", rules)
	}
}

// The rendering of the default values is as it was read. Certificates are other ones each time.
func TestDefaultRender(t *testing.T) {
	var got bytes.Buffer
	for _, d := range must(t, "") {
		fmt.Fprintf(&got, "---\n%s\n", d)
	}
	for _, r := range []struct{ find, put string }{{`(?m)^( +)-----BEGIN CERTIFICATE-----\n(?s:.*?)-----END CERTIFICATE-----$`, "${1}(a certificate)"},
		{`(tls\.crt|tls\.key|caBundle): [A-Za-z0-9+/=]{100,}`, "$1: (made anew)"}} {
		got = *bytes.NewBufferString(regexp.MustCompile(r.find).ReplaceAllString(got.String(), r.put))
	}
	path := "testdata/default.yaml"
	if *update {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("-update after reading (-want +got):\n%s", diff)
	}
}
