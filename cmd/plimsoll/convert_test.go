package main

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// kubeAPI is a fake. It stands for an API server that has some objects, merges patches into them, and refuses what is asked to be refused.
type kubeAPI struct {
	mu      sync.Mutex
	objects map[string]map[string]any // by path
	refuse  string
	patches []string
}

func (k *kubeAPI) serve(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	answer := func(code int, reason, text string, details map[string]any) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": text, "details": details})
	}
	w.Header().Set("Content-Type", "application/json")
	o := k.objects[r.URL.Path]
	if r.Method == http.MethodPatch {
		body, _ := io.ReadAll(r.Body)
		k.patches = append(k.patches, r.URL.RawQuery+" "+string(body))
		switch {
		case k.refuse != "":
			answer(http.StatusForbidden, "Forbidden", k.refuse, nil)
			return
		case strings.Contains(r.Header.Get("Content-Type"), "apply"):
			_, _ = w.Write(body)
			return
		case o != nil && !strings.Contains(r.URL.RawQuery, "dryRun=All"):
			var patch map[string]any
			_ = json.Unmarshal(body, &patch)
			merge(o, patch)
		}
	}
	if o == nil {
		parts := strings.Split(r.URL.Path, "/")
		details := map[string]any{}
		if len(parts) == 8 {
			details = map[string]any{"name": parts[7], "group": parts[2], "kind": parts[6]}
		}
		answer(http.StatusNotFound, "NotFound", "not found", details)
		return
	}
	_ = json.NewEncoder(w).Encode(o)
}

func merge(to, patch map[string]any) {
	for name, v := range patch {
		below, ok := v.(map[string]any)
		at, there := to[name].(map[string]any)
		switch {
		case v == nil:
			delete(to, name)
		case ok && there:
			merge(at, below)
		default:
			to[name] = v
		}
	}
}

// kubeCluster has a policy, an HPA, and workloads with annotations and without.
func kubeCluster(t *testing.T) (*kubeAPI, string) {
	t.Helper()
	k := &kubeAPI{objects: map[string]map[string]any{}}
	put := func(path, text string) {
		var o map[string]any
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			t.Fatal(err)
		}
		k.objects[path] = o
	}
	const target = `"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 5}`
	hpa := `{"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web", "namespace": "shop"}, ` + target + `}`
	put("/apis/plimsoll.dev/v1alpha1/namespaces/shop/scalepolicies/web", `{"apiVersion": "plimsoll.dev/v1alpha1", "kind": "ScalePolicy", "metadata": {"name": "web", "namespace": "shop"}, `+target+`}`)
	put("/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/web", hpa)
	put("/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers", `{"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscalerList", "items": [`+hpa+`]}`)
	put("/apis/autoscaling/v2/namespaces/none/horizontalpodautoscalers", `{"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscalerList", "items": []}`)
	put("/apis/apps/v1/namespaces/shop/deployments/web", `{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop", "annotations": {"plimsoll.dev/max": "9"}}}`)
	put("/apis/apps/v1/namespaces/shop/statefulsets/db", `{"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db", "namespace": "shop"}}`)
	s := httptest.NewTLSServer(http.HandlerFunc(k.serve))
	t.Cleanup(s.Close)
	path := filepath.Join(t.TempDir(), "config")
	ca := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}))
	text := "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: ann, namespace: shop}}]\nclusters: [{name: c, cluster: {server: " + s.URL + ", certificate-authority-data: " + ca + "}}]\nusers: [{name: ann, user: {token: anns}}]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return k, path
}

// TestModes has each command say what it did, twice the same, and change what it says and no more.
func TestModes(t *testing.T) {
	k, path := kubeCluster(t)
	f := func(line, want, patch string) {
		t.Helper()
		k.patches = nil
		got := call(t, nil, "", append(strings.Fields(line), "--kubeconfig", path)...)
		if got.code != exitDone || got.err != "" || !strings.Contains(got.out, want) {
			t.Errorf("%s: got %+v, want %q", line, got, want)
		}
		if sent := strings.Join(k.patches, "\n"); patch == "" && sent != "" || !strings.Contains(sent, patch) {
			t.Errorf("%s: it sends %s, want %s", line, sent, patch)
		}
	}
	f("pause web --dry-run=client", `ScalePolicy "web" in namespace "shop" would be paused: Plimsoll says what it would do and leaves the count alone, until 'plimsoll resume web -n shop'. (client dry run: nothing was changed)`, "")
	f("pause web --dry-run=server", `would be paused`, "dryRun=All")
	f("resume web", `ScalePolicy "web" in namespace "shop" is already in force: what Plimsoll decides is carried out, where its autoscaler is on.`, "")
	f("pause scp/web -n shop", `ScalePolicy "web" in namespace "shop" is paused: `, `{"spec":{"mode":"Paused"}}`)
	f("pause scalepolicy.plimsoll.dev/web", `is already paused: `, "")
	f("dry-run web", `is in dry run: Plimsoll says what it would do and does nothing, until 'plimsoll resume web -n shop'.`, `{"spec":{"mode":"DryRun"}}`)
	f("resume web", `is in force: `, `{"spec":{"mode":"Auto"}}`)

	f("boost web", `HorizontalPodAutoscaler "web" in namespace "shop" is boosted: where its autoscaler is on, Plimsoll raises the count sooner`, `{"metadata":{"annotations":{"plimsoll.dev/boost":"true"}}}`)
	f("boost hpa/web", "is already boosted: ", "")
	f("pause hpa/web", `The boost of HorizontalPodAutoscaler "web" in namespace "shop" is paused: Plimsoll says what it would do and leaves the count alone, until 'plimsoll resume hpa/web -n shop'. The HPA itself goes on.`, `{"plimsoll.dev/mode":"Paused"}`)
	f("boost web", "is already boosted, in mode Paused: ", "")
	f("resume hpa/web", "is in force: ", `{"plimsoll.dev/mode":null}`)
	f("resume hpa/web", "is already in force: ", "")
	f("boost web --off", "is boosted no more: the HPA alone changes the count.", `{"plimsoll.dev/boost":null}`)
	f("boost web --off", `HorizontalPodAutoscaler "web" in namespace "shop" is not boosted: the HPA alone changes the count.`, "")
	f("dry-run hpa/web", "The boost of HorizontalPodAutoscaler", `{"plimsoll.dev/boost":"true","plimsoll.dev/mode":"DryRun"}`)
	f("boost web --off", "is boosted no more", `{"plimsoll.dev/boost":null,"plimsoll.dev/mode":null}`)

	f("pause deployment.apps/web", `Deployment "web" in namespace "shop" is paused: `, `{"plimsoll.dev/mode":"Paused"}`)
	f("resume deploy/web", `is in force: `, `{"plimsoll.dev/mode":null}`)
}

// TestModesRefused says what is not there, not allowed, or not to be had.
func TestModesRefused(t *testing.T) {
	k, path := kubeCluster(t)
	f := func(code int, line, want string) {
		t.Helper()
		if got := call(t, nil, "", append(strings.Fields(line), "--kubeconfig", path)...); got.code != code || !strings.Contains(got.err, want) {
			t.Errorf("%s: got %+v, want %d with %q", line, got, code, want)
		}
	}
	f(exitFailed, "pause nothing", `there is no scalepolicies.plimsoll.dev "nothing" in namespace "shop"`)
	f(exitFailed, "pause hpa/web", `is not boosted, so Plimsoll does nothing to it; 'plimsoll boost web -n shop' changes that`)
	f(exitFailed, "pause sts/db", `no annotation such as plimsoll.dev/max scales StatefulSet "db" in namespace "shop"; if a ScalePolicy does ('kubectl get scp -n shop'), give its name`)
	f(exitUsage, "pause", "name one, such as 'plimsoll pause web'")
	f(exitUsage, "pause pod/web", `"pod/web": want the name of a ScalePolicy, or hpa/NAME`)
	f(exitUsage, "boost deployment/web", "only an HPA is boosted")
	f(exitUsage, "pause web --dry-run=maybe", `--dry-run "maybe": want server or client`)
	f(exitUsage, "pause web --context nowhere", "nowhere")
	k.refuse = `scalepolicies.plimsoll.dev "web" is forbidden: User "ann" cannot patch resource "scalepolicies"`
	f(exitFailed, "pause web", `User "ann" cannot patch`)
	if got := call(t, nil, "", "pause", "web", "--kubeconfig", unreachable(t)); got.code != exitFailed || !strings.Contains(got.err, "cannot reach the API server") {
		t.Errorf("no API server: %+v", got)
	}
}

// unreachable is a kubeconfig of a server that is gone.
func unreachable(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config")
	text := "apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c}}]\nclusters: [{name: c, cluster: {server: https://127.0.0.1:1}}]\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestConvertCommand prints what comes of a file, of standard input and of a cluster, tells what does not, and fails where nothing does.
func TestConvertCommand(t *testing.T) {
	k, path := kubeCluster(t)
	f := func(code int, stdin, line string, out, errs []string) {
		t.Helper()
		got := call(t, nil, stdin, append(strings.Fields(line), "--kubeconfig", path)...)
		if got.code != code {
			t.Errorf("%s: got %+v, want %d", line, got, code)
		}
		for _, want := range out {
			if !strings.Contains(got.out, want) {
				t.Errorf("%s: it prints\n%s\nwithout %q", line, got.out, want)
			}
		}
		for _, want := range errs {
			if !strings.Contains(got.err, want) {
				t.Errorf("%s: it says\n%s\nwithout %q", line, got.err, want)
			}
		}
	}
	const good = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: %s, annotations: {\"a\\nkind: Evil\": x}}\nspec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, maxReplicas: 5}\n"
	two := fmt.Sprintf(good, "one") + "---\n" + fmt.Sprintf(good, "two") + "---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\n"
	f(exitDone, two, "convert hpa -f -", []string{"---\n# From HorizontalPodAutoscaler \"one\", which goes before: delete it once this is there and the autoscaler is on (autoscaler.mode); in dry run nobody would scale then.\n# spec: window,", `[a\nkind: Evil]`, "\nkind: ScalePolicy\nmetadata:\n  name: two\n"},
		[]string{`plimsoll: HorizontalPodAutoscaler "one": spec: window`, `Service "s" is no HorizontalPodAutoscaler and was passed over`})
	f(exitDone, two, "convert hpa two -f - -o json", []string{`"name": "two"`}, nil)
	f(exitDone, two, "convert hpa -f - -o json", []string{`"kind": "List"`}, nil)
	f(exitDone, "", "convert hpa -n shop", []string{"namespace: shop"}, nil)
	f(exitDone, "", "convert horizontalpodautoscalers web", []string{"kind: ScalePolicy"}, nil)
	f(exitDone, two, "convert hpa -f - --dry-run=server", []string{`ScalePolicy "one" in namespace "shop" is taken (server dry run)`}, nil)
	if sent := strings.Join(k.patches, "\n"); !strings.Contains(sent, "dryRun=All") || !strings.Contains(sent, "fieldValidation=Strict") {
		t.Errorf("it sends %s", sent)
	}
	f(exitFailed, two, "convert scaledobject -f -", nil, []string{`there is no ScaledObject in "-"`})
	f(exitFailed, two, "convert hpa three -f -", nil, []string{`there is no HorizontalPodAutoscaler "three" in "-"`})
	bad := strings.Replace(fmt.Sprintf(good, "bad"), "maxReplicas: 5", "maxReplicas: 5, metrics: [{type: External, external: {metric: {name: q, selector: {matchLabels: {x: y}}}, target: {type: Value, value: 1}}}]", 1)
	bad = strings.Replace(bad, "{x: y}", "{x: true}", 1)
	for _, in := range []string{bad + "---\n" + two, two + "---\n" + bad, two + "---\n{nonsense\n"} {
		why := "cannot convert HorizontalPodAutoscaler \"bad\": spec cannot be read"
		if strings.Contains(in, "nonsense") {
			why = "-: document 4, line "
		}
		f(exitFailed, in, "convert hpa -f -", []string{"name: one\n", "name: two\n"}, []string{why, "plimsoll: 1 of 3 could not be converted"})
		f(exitFailed, in, "convert hpa -f - -o json", []string{`"kind": "List"`}, []string{why, "plimsoll: 1 of 3 could not be converted"})
		f(exitFailed, in, "convert hpa -f - --dry-run=server", []string{`ScalePolicy "two" in namespace "shop" is taken`}, []string{"plimsoll: 1 of 3 could not be converted"})
	}
	f(exitFailed, strings.Replace(fmt.Sprintf(good, "bad"), "kind: Deployment", "kind: Deploy/ment", 1), "convert hpa -f -", nil, []string{`it makes no policy that can be used: scaleTargetRef.kind "Deploy/ment" must be the name of a kind`})
	f(exitFailed, "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {name: q}\nspec: {scaleTargetRef: {name: q}, triggers: [{type: kafka, metadata: {}}]}\n", "convert scaledobject -f -", nil,
		[]string{`cannot convert ScaledObject "q": none of its triggers`, `ScaledObject "q": spec.triggers[0]: kafka is left out`})
	f(exitFailed, "", "convert hpa -n none", nil, []string{`there is no HorizontalPodAutoscaler in namespace "none"`})
	f(exitFailed, "", "convert hpa missing", nil, []string{`there is no horizontalpodautoscalers.autoscaling "missing" in namespace "shop"`})
	f(exitFailed, "", "convert scaledobject", nil, []string{"does not know scaledobjects.keda.sh"})
	f(exitFailed, "nonsense", "convert hpa -f -", nil, []string{"-: document 1, line 1"})
	if got := call(t, nil, "", "convert", "vpa"); got.code != exitUsage || !strings.Contains(got.err, `cannot convert "vpa": want hpa or scaledobject`) {
		t.Errorf("another kind: %+v", got)
	}
	f(exitUsage, "", "convert hpa --dry-run=client", nil, []string{`--dry-run "client": want server`})
	k.refuse = "it is Sunday"
	f(exitFailed, two, "convert hpa -f - --dry-run=server", []string{`ScalePolicy "two" in namespace "shop" is refused: it is Sunday`}, []string{"2 of 2 policies are refused"})
}
