package chart

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	sigs "sigs.k8s.io/yaml"
)

// Nonsense is refused with a sentence that names it.
func TestNonsenseIsRefused(t *testing.T) {
	f := func(values, want string) {
		t.Helper()
		_, err := render(t, values)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", values, err, want)
		}
	}
	f("{sever: {replicas: 2}}", "additional properties 'sever' not allowed")
	f("{server: {replicas: 0}}", "at '/server/replicas': minimum: got 0, want 1")
	f("{server: {replicas: two}}", "at '/server/replicas': got string, want integer")
	f("{history: {kind: mysql}}", "value must be one of 'embedded', 'influx', 'remote'")
	f("{collector: {interval: 10}}", "at '/collector/interval': got number, want string")
	f("{collector: {interval: soon}}", "at '/collector/interval': 'soon' does not match pattern")
	f("{image: {digest: latest}}", "at '/image/digest'")
	f("{metricsAPI: {create: maybe}}", "at '/metricsAPI/create'")
	f("{autoscaler: {mode: sometimes}}", "at '/autoscaler/mode'")
	f("{autoscaler: {targets: [{apiGroup: '*', resource: '*'}]}}", "at '/autoscaler/targets/0/")
	f("{autoscaler: {metrics: {custom: ['*']}}}", "at '/autoscaler/metrics/custom/0'")
	f("{autoscaler: {metrics: {custom: ['pods/*']}}}", "at '/autoscaler/metrics/custom/0'")
	f("{autoscaler: {metrics: {external: ['*']}}}", "at '/autoscaler/metrics/external/0'")
	f("{tls: {certificateLifetime: 90}}", "at '/tls/certificateLifetime': got number, want string")
	f("{tls: {authorityLifetime: forever}}", "at '/tls/authorityLifetime': 'forever' does not match pattern")
	f("{tls: {caBundle: x}}", "at '/tls/caBundle'")
	f("{server: {resources: {limits: {memory: [1]}}}}", "at '/server/resources/limits/memory'")
	for _, of := range []string{"server", "collector"} {
		for _, what := range []string{"requests", "limits"} {
			for _, v := range []string{"abc", "1 Gi", "64MB", "-1", "'-1'", "''"} {
				f("{"+of+": {resources: {"+what+": {memory: "+v+"}}}}", "at '/"+of+"/resources/"+what+"/memory'")
			}
		}
	}
	f("{history: {embedded: {persistence: {size: 4GB}}}}", "at '/history/embedded/persistence/size'") // a claim's is Kubernetes' own
	f("{history: {kind: influx}}", "history.influx.url: say where InfluxDB is")
	f("{history: {kind: remote}}", "history.remote.url: say where the engine is")
	f("{history: {kind: influx, influx: {url: 'http://db:8086'}}}", "history.influx.url http://db:8086 is plain HTTP")
	f("{history: {kind: remote, remote: {url: 'http://db/api/v1/write'}}}", "or history.remote.plainHTTP true")
	f("{history: {kind: remote, remote: {url: 'https://m/api/v1/push', queryURL: 'http://m/prometheus'}}}", "history.remote.queryURL http://m/prometheus is plain HTTP")
	f("{history: {kind: influx, influx: {url: 'https://i?q=a'}}}", "history.influx.url https://i?xxxxx: leave out what begins with ? or #")
	f("{history: {kind: remote, remote: {url: 'https://m/push#a'}}}", "history.remote.url https://m/push?xxxxx: leave out")
	f("{history: {kind: remote, remote: {url: 'https://m/push', queryURL: 'https://m?a'}}}", "history.remote.queryURL https://m?xxxxx: leave out")
	f("{history: {kind: influx, influx: {url: 'https://i:port'}}}", "history.influx.url https://i:port is no address: give one such as https://host:8086")
	f("{history: {embedded: {maxBytes: 4.1Gi}}}", "maxBytes 4.1Gi is more than its claim has, history.embedded.persistence.size 4Gi")
	f("{collector: {fastInterval: 10001ms}}", "collector.fastInterval 10001ms is more than 10s: give 200ms to collector.interval, which is 10s")
	f("{collector: {fastInterval: 0s}}", "collector.fastInterval 0s is less than 200ms: give 200ms to collector.interval, which is 10s")
	f("{collector: {fastInterval: 199ms}}", "collector.fastInterval 199ms is less than 200ms")
	f("{collector: {interval: 999ms}}", "collector.interval 999ms is less than 1s: give 1s to 10m")
	f("{collector: {interval: 10m1s}}", "collector.interval 10m1s is more than 10m: give 1s to 10m")
	f("{collector: {enabled: false, interval: 20m}}", "collector.interval 20m is more than 10m") // the server's too
	f("{collector: {queue: {maxBytes: 33MB}}}", "collector.queue.maxBytes 33MB is less than 32Mi: give 32Mi or more")
	f("{collector: {queue: {maxBytes: 99999K}}}", "at '/collector/queue/maxBytes'")                            // it is k or Ki
	f("{collector: {queue: {maxAge: 12h7d}}}", "at '/collector/queue/maxAge': '12h7d' does not match pattern") // weeks and days come first
	f("{history: {embedded: {retention: ''}}}", "at '/history/embedded/retention'")
	f("{collector: {queue: {maxAge: 59.9s}}}", "collector.queue.maxAge 59.9s is less than 1m: give 1m or more")
	f("{collector: {queue: {maxAge: 36501d}}}", "collector.queue.maxAge 36501d is more than 36500d")
	f("{history: {embedded: {retention: 1h59m}}}", "history.embedded.retention 1h59m is less than 2h: give 2h or more")
	f("{history: {kind: influx, influx: {url: 'https://db:8086'}, embedded: {retention: 1h}}}", "history.embedded.retention 1h is less than 2h") // a server's of its decisions
	f("{history: {embedded: {maxBytes: 67MB}}}", "history.embedded.maxBytes 67MB is less than 64Mi: give 64Mi or more")
	f("{tls: {authorityLifetime: 1459d}}", "tls.authorityLifetime 1459d: an authority is renewed")
	f("{server: {replicas: 2}}", "collectors send their history to one server")
	f("{collector: {enabled: false}, server: {replicas: 2}}", "server.replicas is 2, and the history is embedded on one claim, which has one server at a time: let server.replicas be 1, history.embedded.persistence.enabled false")
	f("{collector: {enabled: false}, server: {replicas: 3}, history: {embedded: {persistence: {existingClaim: c, accessModes: [ReadWriteMany]}}}}", "server.replicas is 3, and the history is embedded on one claim")
	f("{collector: {enabled: false}, server: {kubeletFallback: false}}", "nothing would be measured")
	f("{autoscaler: {alone: true}}", "there is no server to send to")
	f("{collector: {enabled: false}, autoscaler: {alone: true, mode: off}}", "there would be nothing to do")
	const alone = "collector: {enabled: false}, autoscaler: {alone: true}"
	f("{"+alone+", metricsAPI: {create: true}}", "autoscaler.alone is true, and metricsAPI.create too: there is no server to answer for metrics.k8s.io")
	f("{"+alone+", customMetricsAPI: {create: true}}", "autoscaler.alone is true, and customMetricsAPI.create too")
	f("{"+alone+", externalMetricsAPI: {create: true}}", "autoscaler.alone is true, and externalMetricsAPI.create too")
	f("{"+alone+", viewAPI: {create: true}}", "autoscaler.alone is true, and viewAPI.create too")
	f("{collector: {enabled: false}, podMonitor: {enabled: true}}", "podMonitor.enabled is true, and collector.enabled is false: there is no collector to scrape")
	f("{collector: {enabled: false, webConfigSecret: w}, podMonitor: {enabled: true}}", "podMonitor.enabled is true, and collector.enabled is false")
	f("{history: {embedded: {persistence: {enabled: false, existingClaim: c}}}}", "history.embedded.persistence.enabled is false, and history.embedded.persistence.existingClaim is c")
	f("{tls: {source: secret}}", "tls.existingSecret: name the Secret")
	f("{tls: {source: secret, existingSecret: mine}}", `the Secret "mine" has no ca.crt that can be read from here`)
}

// What is just within what depends on each other is taken; plain HTTP is asked for of both parts.
func TestValuesAtTheirLimits(t *testing.T) {
	f := func(values string, want ...string) {
		t.Helper()
		texts, err := render(t, values)
		if err != nil {
			t.Errorf("%s: %v", values, err)
		}
		for i := 0; i < len(want); i += 2 {
			if !strings.Contains(texts[want[i]], want[i+1]) {
				t.Errorf("%s: %s lacks %s", values, want[i], want[i+1])
			}
		}
	}
	f("{history: {embedded: {maxBytes: 4Gi}}}")
	f("{collector: {enabled: false}, server: {replicas: 2}, history: {embedded: {persistence: {enabled: false}}}}", "server.yaml", "{name: data, emptyDir: {}}")
	f("{collector: {enabled: false}, server: {replicas: 2}, autoscaler: {alone: true}}", "server.yaml", "{name: data, emptyDir: {}}")
	f("{server: {resources: {requests: {cpu: 1, memory: 1e9, ephemeral-storage: 1.5Gi, hugepages-2Mi: 0}, limits: {cpu: 0.5, memory: 1G, example.com/gpu: '2'}}}, collector: {resources: {requests: {cpu: 50m, memory: null}, limits: null}}}")
	f("{history: {embedded: {persistence: {size: 4.5G}}}}")
	f("{history: {embedded: {maxBytes: 4.2GB}}}")
	f("{collector: {fastInterval: 10000ms}}")
	f("{collector: {fastInterval: 200ms, interval: 1s, queue: {maxBytes: 32Mi, maxAge: 60s}}, history: {embedded: {retention: 120m, maxBytes: 64MiB}}}")
	f("{collector: {fastInterval: 10m, interval: 600s, queue: {maxBytes: 33555kB, maxAge: 5214w2d}}, history: {embedded: {retention: 0.5h1.5h, maxBytes: 67109kB}}}")
	f("{collector: {enabled: false, fastInterval: 0s, queue: {maxBytes: '1', maxAge: 1s}}}")                                          // of what is not there
	f("{collector: {enabled: false, interval: 20m}, autoscaler: {alone: true}, history: {embedded: {retention: 1h, maxBytes: '1'}}}") // the same
	f("{history: {kind: influx, influx: {url: 'https://[fd00::1]:8086/a@b'}, embedded: {maxBytes: '1'}, remote: {url: 'http://u:p@m'}}}")
	f("{history: {kind: remote, remote: {url: 'https://db/api/v1/write?db=x', queryURL: 'https://bücher.example'}}}")
	f("{tls: {authorityLifetime: 1460d}}")
	f("{history: {kind: influx, influx: {url: 'https://db:8086'}, embedded: {persistence: {enabled: false, existingClaim: c}}}}") // of what is not asked for
	// The autoscaler alone serves its own metrics at the port of its Service.
	f("{collector: {enabled: false}, autoscaler: {alone: true}, metricsAPI: {create: false}, serviceMonitor: {enabled: true}}", "observing.yaml", "kind: ServiceMonitor", "server.yaml", "{name: https, port: 443,")
	f("{history: {kind: influx, influx: {url: 'http://db:8086', plainHTTP: true}}}", "collector.yaml", "--influx-plain-http", "server.yaml", "--influx-plain-http")
	f("{history: {kind: remote, remote: {url: 'http://db/api/v1/write', plainHTTP: true}}}", "collector.yaml", "--history-plain-http", "server.yaml", "--remote-plain-http")
}

// Every value of values.yaml is in the schema, and every one of the schema is there.
func TestSchemaHasAllValues(t *testing.T) {
	read := func(name string) (out map[string]any) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := sigs.Unmarshal(text, &out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	var compare func(path string, schema, values map[string]any)
	compare = func(path string, schema, values map[string]any) {
		known, _ := schema["properties"].(map[string]any)
		if known == nil {
			return
		}
		for k := range known {
			if _, ok := values[k]; !ok && path+k != "/global" && !strings.HasPrefix(path, "/tls/issuerRef") && !strings.Contains(path, "/resources/") {
				t.Errorf("values.yaml has no %s%s", path, k)
			}
		}
		for k, v := range values {
			s, ok := known[k].(map[string]any)
			if !ok {
				t.Errorf("the schema has no %s%s", path, k)
			} else if m, ok := v.(map[string]any); ok {
				compare(path+k+"/", s, m)
			}
		}
	}
	compare("/", read("values.schema.json"), read("values.yaml"))
}

const apiService = `{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: v1beta1.metrics.k8s.io%s}, spec: {service: {namespace: %s, name: %s}}}`

// byUs are the annotations that Helm puts on what the release makes.
const byUs = "meta.helm.sh/release-name: plimsoll, meta.helm.sh/release-namespace: monitoring"

// metrics.k8s.io that is somebody else's is left to them; NOTES say whose it is. One that this release made stays ours, and leads to our Service by its new name.
func TestForeignAPIService(t *testing.T) {
	ours := fmt.Sprintf(apiService, ", annotations: {"+byUs+"}", "monitoring", "plimsoll")
	other := fmt.Sprintf(apiService, ", annotations: {meta.helm.sh/release-name: plimsoll, meta.helm.sh/release-namespace: default}", "default", "plimsoll")
	foreign := fmt.Sprintf(apiService, "", "kube-system", "metrics-server")
	renamed := fmt.Sprintf(apiService, ", annotations: {"+byUs+"}", "monitoring", "old") + "\n{apiVersion: v1, kind: Service, metadata: {namespace: monitoring, name: old, annotations: {" + byUs + "}}}"
	f := func(create, there string, want int, says string) {
		t.Helper()
		texts, err := render(t, "{metricsAPI: {create: "+create+"}}", strings.Split(there, "\n")...)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(texts["certificates.yaml"], "group: metrics.k8s.io"); got != want || !strings.Contains(texts["NOTES.txt"], says) {
			t.Errorf("%s beside %s: %d APIServices, want %d, and notes:\n%s", create, there, got, want, texts["NOTES.txt"])
		}
	}
	nothing := "{apiVersion: v1, kind: ConfigMap, metadata: {name: x, namespace: x}}"
	f("auto", nothing, 2, "kubectl top nodes")
	f("true", nothing, 2, "kubectl top nodes")
	f("false", nothing, 0, "")
	f("auto", ours, 2, "kubectl top nodes")
	f("auto", renamed, 2, "kubectl top nodes")
	f("auto", foreign, 0, "by which 'kubectl top' and HPAs read, is v1beta1.metrics.k8s.io of Service kube-system/metrics-server: uninstall that")
	f("auto", other, 0, "uninstall that")
	texts, err := render(t, "{externalMetricsAPI: {create: false}}", strings.ReplaceAll(foreign, "v1beta1.metrics", "v1beta1.custom.metrics"))
	if err != nil {
		t.Fatal(err)
	}
	if all := texts["certificates.yaml"]; strings.Count(all, "kind: APIService") != 3 || strings.Contains(all, "custom.metrics") || !strings.Contains(texts["server.yaml"], "--external-metrics=false") {
		t.Errorf("beside another's custom metrics, without external ones: %s", all)
	}
	if _, err := render(t, "{metricsAPI: {create: true}}", foreign); err == nil || !strings.Contains(err.Error(), "there is already v1beta1.metrics.k8s.io of Service kube-system/metrics-server") {
		t.Errorf("true beside another's: %v", err)
	}
}

// What this release made and another has taken over is neither taken back nor deleted by an upgrade, which says what there is to decide, whatever the values; once
// it is said that it is theirs, or it is gone, the upgrade goes on.
func TestTakenAPIService(t *testing.T) {
	const role = "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: plimsoll-server, annotations: {" + byUs + "}}, rules: [{apiGroups: [''], resources: [pods], verbs: [list]}, {apiGroups: [apiregistration.k8s.io], resources: [apiservices], resourceNames: [v1beta1.metrics.k8s.io], verbs: [get]}]}"
	const keep = ", annotations: {helm.sh/resource-policy: keep}"
	taken := func(notes string) string { return fmt.Sprintf(apiService, notes, "kube-system", "metrics-server") }
	changed := taken(", annotations: {" + byUs + "}")
	helms := taken(", annotations: {meta.helm.sh/release-name: metrics-server, meta.helm.sh/release-namespace: kube-system}") // an upgrade would delete it all the same
	for _, values := range []string{"", "{metricsAPI: {create: false}}", "{metricsAPI: {create: true}}", "{collector: {enabled: false}, autoscaler: {alone: true}}"} {
		for what, there := range map[string][]string{"changed": {changed}, "made anew": {taken(""), role}, "made anew by Helm": {helms, role}} {
			_, err := render(t, values, there...)
			if want := "the APIService v1beta1.metrics.k8s.io, which this release made, is of Service kube-system/metrics-server by now"; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s, %s: got %v, want %q", values, what, err, want)
			}
		}
	}
	for what, there := range map[string][]string{"changed": {taken(", annotations: {helm.sh/resource-policy: keep, " + byUs + "}")}, "made anew": {taken(keep), role}} {
		texts, err := render(t, "", there...)
		if err != nil || strings.Contains(texts["certificates.yaml"], "group: metrics.k8s.io") || strings.Contains(texts["server-rights.yaml"], `"v1beta1.metrics.k8s.io"`) ||
			!strings.Contains(texts["NOTES.txt"], "is v1beta1.metrics.k8s.io of Service kube-system/metrics-server: uninstall that") {
			t.Errorf("%s and left to them: %v\n%s", what, err, texts["NOTES.txt"])
		}
	}
	if texts, err := render(t, "", role); err != nil || !strings.Contains(texts["certificates.yaml"], "group: metrics.k8s.io") || !strings.Contains(texts["server-rights.yaml"], `"v1beta1.metrics.k8s.io"`) {
		t.Errorf("after its end: %v", err)
	}
	// What a release of this name in another namespace made is not ours: there is nothing to have back.
	theirs := strings.NewReplacer("release-namespace: monitoring", "release-namespace: default").Replace
	other := fmt.Sprintf(apiService, ", annotations: {"+theirs(byUs)+"}", "default", "plimsoll")
	if texts, err := render(t, "", other, theirs(role)); err != nil || strings.Contains(texts["certificates.yaml"], "group: metrics.k8s.io") || !strings.Contains(texts["NOTES.txt"], "is v1beta1.metrics.k8s.io of Service default/plimsoll: uninstall that") {
		t.Errorf("beside a release of this name: %v\n%s", err, texts["NOTES.txt"])
	}
	if _, err := render(t, "{metricsAPI: {create: true}}", other, theirs(role)); err == nil || !strings.Contains(err.Error(), "there is already v1beta1.metrics.k8s.io of Service default/plimsoll") {
		t.Errorf("true beside a release of this name: %v", err)
	}
}

// Two autoscalers would both work the ScalePolicies of the cluster: the second one is refused, with whose the first is. One's own, one that reads no policies and a
// rendering without a cluster go on.
func TestSecondAutoscaler(t *testing.T) {
	const alone = "{collector: {enabled: false}, autoscaler: {alone: true}}"
	of := func(name, namespace, values string) (bindings []string) {
		t.Helper()
		v, err := Parse(values)
		if err != nil {
			t.Fatal(err)
		}
		texts, err := Source{dir, boards}.Render(Release{Name: name, Namespace: namespace, Cluster: newCluster(t)}, v)
		if err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(Documents(texts), func(d string) bool { return !strings.Contains(d, "kind: ClusterRoleBinding\n") })
	}
	f := func(values string, there []string, want string) {
		t.Helper()
		v, err := Parse(values)
		if err != nil {
			t.Fatal(err)
		}
		for _, upgrade := range []bool{false, true} {
			_, err := Source{dir, boards}.Render(Release{Name: "plimsoll", Namespace: "monitoring", Upgrade: upgrade, Cluster: newCluster(t, there...)}, v)
			if got := fmt.Sprint(err); (err == nil) != (want == "") || !strings.Contains(got, want) || want != "" && !strings.Contains(got, `give this release autoscaler.mode=off (in a file mode: "off")`) {
				t.Errorf("%s, upgrade %v: got %v, want %q", values, upgrade, err, want)
			}
		}
	}
	for _, values := range []string{"", "{autoscaler: {mode: 'on'}}", "{autoscaler: {mode: on}}", alone} {
		for _, first := range []string{"", "{autoscaler: {mode: 'on'}}", "{fullnameOverride: other}", alone} {
			f(values, of("plimsoll", "default", first), "the release plimsoll in the namespace default has an autoscaler")
			f(values, of("blue", "monitoring", first), "the release blue in the namespace monitoring has an autoscaler")
			f(values, of("plimsoll", "monitoring", first), "")
			f("{autoscaler: {mode: 'off'}}", of("blue", "default", first), "")
			f("{autoscaler: {mode: off}}", of("blue", "default", first), "")
		}
		f(values, of("blue", "default", "{autoscaler: {mode: 'off'}}"), "")
		f(values, []string{"{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRoleBinding, metadata: {name: cluster-autoscaler}, roleRef: {name: cluster-autoscaler}, subjects: [{kind: ServiceAccount, namespace: kube-system, name: cluster-autoscaler}]}"}, "")
		f(values, append(of("plimsoll", "monitoring", ""), of("blue", "default", "")...), "the release blue in the namespace default has an autoscaler")
	}
	if _, err := (Source{dir, boards}).Render(Release{Name: "plimsoll", Namespace: "monitoring"}, Values{}); err != nil {
		t.Errorf("without a cluster: %v", err)
	}
}

// NOTES tell of what this release has: its claim where there is one, its page where view.plimsoll.dev is its own, and else whose that is.
func TestNotes(t *testing.T) {
	const page, claim = "The page, with your own rights ('plimsoll page' where the program is not linked as kubectl-plimsoll):\n\n  kubectl plimsoll page\n", "The history is in the claim plimsoll-history,"
	const theirs = "view.plimsoll.dev is v1alpha1.view.plimsoll.dev of Service default/plimsoll: uninstall that, then 'helm upgrade' this release, if it shall have the API."
	other := "{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: v1alpha1.view.plimsoll.dev}, spec: {service: {namespace: default, name: plimsoll}}}"
	f := func(values string, there []string, want ...string) {
		t.Helper()
		texts, err := render(t, values, there...)
		if err != nil {
			t.Fatal(err)
		}
		for _, says := range []string{page, claim, theirs, "kubectl plimsoll page", "with your own rights"} {
			if got, want := strings.Contains(texts["NOTES.txt"], says), slices.ContainsFunc(want, func(w string) bool { return strings.Contains(w, says) }); got != want {
				t.Errorf("%s: that they say %q is %v, want %v:\n%s", values, says, got, want, texts["NOTES.txt"])
			}
		}
	}
	f("", nil, page, claim)
	if texts, err := render(t, "{autoscaler: {mode: on}}"); err != nil || strings.Contains(texts["NOTES.txt"], "dry run") {
		t.Errorf("it is on: %v %s", err, texts["NOTES.txt"])
	}
	if texts, err := render(t, ""); err != nil || !strings.Contains(texts["NOTES.txt"], "The autoscaler is in dry run") {
		t.Errorf("by default: %v %s", err, texts["NOTES.txt"])
	}
	f("{viewAPI: {create: false}}", nil, claim)
	f("", []string{other}, claim, theirs)
	f("{collector: {enabled: false}, autoscaler: {alone: true}}", nil)
	f("{history: {embedded: {persistence: {keep: false}}}}", nil, page)
	f("{history: {embedded: {persistence: {existingClaim: c}}}}", nil, page)
}

// Boards reach Grafana as they are, their own braces untouched, those that ask what the history is kept in; a chart without boards says so.
func TestBoards(t *testing.T) {
	all := strings.Join(must(t, "{boards: {enabled: true}}"), "\n---\n")
	if !strings.Contains(all, `name: plimsoll-board-cluster`) || !strings.Contains(all, `{{instance}}`) || !strings.Contains(all, `grafana_dashboard: "1"`) || strings.Contains(all, "board-cluster-influx") {
		t.Errorf("got %s", all)
	}
	all = strings.Join(must(t, `{boards: {enabled: true}, history: {kind: influx, influx: {url: "https://influx:8086"}}}`), "\n---\n")
	if !strings.Contains(all, "name: plimsoll-board-cluster-influx") || strings.Contains(all, `{{instance}}`) {
		t.Errorf("on InfluxDB: %s", all)
	}
	v, _ := Parse("{boards: {enabled: true}}")
	if _, err := (Source{Dir: dir}).Render(Release{Name: "p", Namespace: "n", Cluster: newCluster(t)}, v); err == nil || !strings.Contains(err.Error(), "'make chart' packs it with them") {
		t.Errorf("without boards: %v", err)
	}
}

// A value that is taken away with null is done without, or refused by its name; no template finds nothing where it looks for a part.
func TestNullIsRefused(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(dir, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := sigs.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	var each func(values map[string]any, before, after string)
	each = func(values map[string]any, before, after string) {
		for k, v := range values {
			at := before + "{" + k + ": "
			if _, err := render(t, at+"null}"+after); err != nil && !strings.Contains(err.Error(), "missing property '"+k+"'") {
				t.Errorf("%snull}%s: %v", at, after, err)
			}
			if m, ok := v.(map[string]any); ok {
				each(m, at, "}"+after)
			}
		}
	}
	each(values, "", "")
}
