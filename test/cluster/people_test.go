package cluster_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const viewBase = "/apis/view.plimsoll.dev/v1alpha1"

// person makes an account without rights, with "view" in a namespace, or in all with "", and returns a kubeconfig for it.
func person(t *testing.T, ns, name, role, in string) (kubeconfig string) {
	t.Helper()
	client, ctx := shared.Client(), t.Context()
	if _, err := client.CoreV1().ServiceAccounts(ns).Create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	ref, who := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role}, []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: ns, Name: name}}
	var err error
	switch {
	case role == "":
	case in != "":
		_, err = client.RbacV1().RoleBindings(in).Create(ctx, &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: ref, Subjects: who}, metav1.CreateOptions{})
	default:
		_, err = client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: ns + name}, RoleRef: ref, Subjects: who}, metav1.CreateOptions{})
		t.Cleanup(func() {
			_ = client.RbacV1().ClusterRoleBindings().Delete(context.Background(), ns+name, metav1.DeleteOptions{})
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	c := shared.Config()
	ca := c.CAData
	if len(ca) == 0 {
		if ca, err = os.ReadFile(c.CAFile); err != nil {
			t.Fatal(err)
		}
	}
	kubeconfig = filepath.Join(t.TempDir(), name)
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\ncurrent-context: c\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nclusters: [{name: c, cluster: {server: %q, certificate-authority-data: %s}}]\nusers: [{name: u, user: {token: %s}}]\n",
		c.Host, base64.StdEncoding.EncodeToString(ca), token(t, ns, name, "", nil))
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

// TestPeople has people with "view" in one namespace, in all and in none read the installed Plimsoll through the API server: by kubectl, by the command
// line, on the page in a browser, and by its stream.
func TestPeople(t *testing.T) {
	ours(t)
	p := built(t)
	install(t, p, nil)
	shop := namespace(t)
	const till = "marked-till"
	if _, err := shared.Client().CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: till}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = shared.Client().CoreV1().Namespaces().Delete(context.Background(), till, metav1.DeleteOptions{})
	})
	until(t, "an account in "+till, func() error {
		_, err := shared.Client().CoreV1().ServiceAccounts(till).Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	deploy(t, shop, "cart", 1)
	deploy(t, till, "marked", 1)
	ann, bob, eve := person(t, shop, "ann", "view", shop), person(t, shop, "bob", "view", ""), person(t, shop, "eve", "", "")
	raw := func(kubeconfig, path string) (string, error) {
		return shared.Kubectl(t.Context(), "--kubeconfig", kubeconfig, "get", "--raw", viewBase+path)
	}
	until(t, "all pods are measured", func() error {
		out, err := raw(bob, "/containers")
		if err == nil && (!strings.Contains(out, `"pod":"cart-`) || !strings.Contains(out, `"pod":"marked-`)) {
			err = fmt.Errorf("bob sees %.300s", out)
		}
		return err
	})
	t.Run("what each sees", func(t *testing.T) { whatEachSees(t, raw, shop, ann, bob, eve) })
	t.Run("commands", func(t *testing.T) { theirCommands(t, p.Binary(), shop, ann, bob, eve) })
	t.Run("discovery", func(t *testing.T) {
		if out, err := raw(ann, ""); err != nil || !strings.Contains(out, `"name":"overview"`) {
			t.Errorf("%v: %s", err, out)
		}
		until(t, "the API server lists what there is", func() error {
			out, err := shared.Kubectl(t.Context(), "--kubeconfig", ann, "api-resources", "--cached=false", "-o", "wide")
			for _, want := range []string{`overview +view.plimsoll.dev/v1alpha1 +false +OverviewView +list`, `nodes +view.plimsoll.dev/v1alpha1 +false +NodeView +get,list`, `stream +view.plimsoll.dev/v1alpha1 +false +StreamView +watch`,
				`nodes +metrics.k8s.io/v1 +false +NodeMetrics +get,list`} {
				if !regexp.MustCompile(`(?m)^` + want).MatchString(out) {
					err = errors.Join(err, fmt.Errorf("no %q", want))
				}
			}
			if strings.Contains(out, "unable to retrieve") || err != nil {
				err = fmt.Errorf("%w: %s", errors.Join(errors.New("it lists"), err), out)
			}
			return err
		})
		for path, want := range map[string]string{"/nodes": `"kind":"NodeViewList"`, "/nodes/node1": `"pods":[{`} {
			if out, err := raw(bob, path); err != nil || !strings.Contains(out, want) {
				t.Errorf("%s lacks %s: %v %.300s", path, want, err, out)
			}
		}
	})
	t.Run("page", func(t *testing.T) { theirPage(t, p.Binary(), ann) })
	t.Run("held", func(t *testing.T) { heldStream(t, p.Binary(), ann, shop) })
}

func whatEachSees(t *testing.T, raw func(kubeconfig, path string) (string, error), shop, ann, bob, eve string) {
	for _, path := range []string{"/overview", "/containers", "/workloads", "/missing", "/decisions", "/capacity", "/rightsize", "/namespaces/" + shop + "/workloads/Deployment/named/cart", "/series?metric=container_memory_working_set_bytes&start=1&end=9999999999"} {
		out, err := raw(ann, path)
		if err != nil || strings.Contains(out, "marked") || strings.Contains(out, "kube-system") || strings.Contains(out, "@node") {
			t.Errorf("ann at %s: %v: %s", path, err, out)
		}
		if path != "/missing" && path != "/decisions" && path != "/capacity" && path != "/rightsize" && !strings.Contains(path, "series") && !strings.Contains(out, "cart") {
			t.Errorf("ann at %s does not see her own: %s", path, out)
		}
		if out, err := raw(eve, path); err == nil || !strings.Contains(err.Error(), `verb "list" on "pods" of API group "metrics.k8s.io"`) {
			t.Errorf("eve at %s: %v: %s", path, err, out)
		}
	}
	for _, path := range []string{"/nodes", "/fit?cpu=1"} {
		if out, err := raw(ann, path); err == nil || !strings.Contains(err.Error(), `verb "list" on "nodes" of API group "metrics.k8s.io"`) {
			t.Errorf("ann at %s: %v: %s", path, err, out)
		}
		if out, err := raw(bob, path); err != nil || !strings.Contains(out, "node2") {
			t.Errorf("bob at %s: %v: %s", path, err, out)
		}
	}
	if out, err := raw(ann, "/namespaces/marked-till/workloads/Deployment/named/marked"); err == nil || !strings.Contains(err.Error(), "there is no workload") {
		t.Errorf("ann asks for another's: %v: %s", err, out)
	}
}

func theirCommands(t *testing.T, binary, shop, ann, bob, eve string) {
	dir := t.TempDir()
	plugin := filepath.Join(dir, "kubectl-plimsoll")
	if err := os.Symlink(binary, plugin); err != nil {
		t.Fatal(err)
	}
	run := func(kubeconfig string, args ...string) string {
		cmd := shared.Command(t.Context(), plugin, args...)
		cmd.Env = append(cmd.Env, "KUBECONFIG="+kubeconfig)
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	for _, c := range []struct {
		who, args, has, lacks string
	}{
		{ann, "top pods", "cart-", "marked"}, {ann, "top workloads", "cart", "marked"}, {ann, "top nodes", `verb "list" on "nodes"`, "node2"}, {ann, "explain --missing", "issing", "marked"},
		{ann, "capacity --window 1h", shop, "marked"}, {ann, "rightsize --window 1h", "", "marked"}, {bob, "top pods", "marked-", ""}, {bob, "top nodes", "node2", ""}, {eve, "top pods", `verb "list" on "pods"`, "cart"},
	} {
		if got := run(c.who, strings.Fields(c.args)...); !strings.Contains(got, c.has) || c.lacks != "" && strings.Contains(got, c.lacks) {
			t.Errorf("%s: %s: %s", filepath.Base(c.who), c.args, got)
		}
	}
}

// theirPage opens the page as the command prints it, with a client, and in a browser where there is one.
func theirPage(t *testing.T, binary, kubeconfig string) {
	cmd, address := openPage(t, binary, kubeconfig)
	client := &http.Client{Transport: &http.Transport{DialContext: shared.Dial}}
	get := func(path string) (int, string) {
		resp, err := client.Get(path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(body)
	}
	if code, body := get(address); code != 200 || !strings.Contains(body, "<!doctype html>") {
		t.Errorf("the page: %d %s", code, body)
	}
	if code, body := get(address + "plimsoll/v1/overview"); code != 200 || !strings.Contains(body, "cart") || strings.Contains(body, "marked") {
		t.Errorf("the overview: %d %s", code, body)
	}
	if code, _ := get(address[:strings.LastIndex(strings.TrimSuffix(address, "/"), "/")+1] + "plimsoll/v1/overview"); code != 404 {
		t.Errorf("without the secret: %d", code)
	}
	if _, err := os.Stat("/usr/bin/chromium"); err == nil {
		dom, err := shared.Command(t.Context(), "/usr/bin/chromium", "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(), "--timeout=6000", "--dump-dom", address).Output()
		if !strings.Contains(string(dom), `id="search"`) || strings.Contains(string(dom), "marked") { // what a script makes of the page; it is taken before the first event
			t.Errorf("in a browser: %v: %s", err, dom)
		}
		t.Logf("in a browser the page has %d bytes", len(dom))
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("after an interrupt: %v", err)
	}
}

// openPage has the command open the page, and returns the address that it prints.
func openPage(t *testing.T, binary, kubeconfig string) (cmd *exec.Cmd, address string) {
	t.Helper()
	cmd = shared.Command(context.Background(), binary, "page", "--no-browser", "--kubeconfig", kubeconfig)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	at := strings.LastIndex(line, "http://")
	if at < 0 {
		t.Fatalf("it says %q, %v", line, err)
	}
	return cmd, strings.TrimSpace(line[at:])
}

// TestNoLoginIsPassedOn stands in the place of our server: what the API server passes on has the name of who asks, and nothing by which one could ask as they.
func TestNoLoginIsPassedOn(t *testing.T) {
	ours(t)
	ns := namespace(t)
	var mu sync.Mutex
	var came []http.Header
	dir := serveTLS(t, "10.99.0.1:8453", &http.Server{TLSConfig: &tls.Config{ClientAuth: tls.RequestClientCert}, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if strings.HasSuffix(r.URL.Path, "/overview") {
			came = append(came, r.Header.Clone())
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "view.plimsoll.dev/v1alpha1", "resources": []}`)
	})})
	publish(t, "plimsoll", dir, 8453, "v1alpha1.view.plimsoll.dev")
	account(t, ns, "ann", rbacv1.PolicyRule{APIGroups: []string{"view.plimsoll.dev"}, Resources: []string{"overview"}, Verbs: []string{"list"}})
	config := shared.Config()
	secret := token(t, ns, "ann", "", nil)
	config.CertData, config.KeyData, config.CertFile, config.KeyFile = nil, nil, "", ""
	until(t, "the API server passes on", func() error {
		req, err := http.NewRequestWithContext(t.Context(), "GET", config.Host+viewBase+"/overview", nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+secret)
		resp, err := (&http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DialContext: shared.Dial, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}).Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != 200 {
			return errNotYet(resp.Status)
		}
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	if len(came) == 0 {
		t.Fatal("nothing came")
	}
	for _, h := range came {
		if h.Get("X-Remote-User") != "system:serviceaccount:"+ns+":ann" {
			t.Errorf("it is not said who asks: %v", h)
		}
		for name, values := range h {
			if name == "Authorization" || name == "Cookie" || strings.Contains(strings.Join(values, " "), secret) {
				t.Errorf("%s is passed on: %d bytes", name, len(strings.Join(values, " ")))
			}
		}
	}
}
