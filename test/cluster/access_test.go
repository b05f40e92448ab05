package cluster_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"plimsoll.dev/plimsoll/internal/identity"
	"plimsoll.dev/plimsoll/internal/metric"
	"plimsoll.dev/plimsoll/internal/remotewrite"
)

// account makes a ServiceAccount that may do what the rules say, once the API server knows it.
func account(t *testing.T, ns, name string, rules ...rbacv1.PolicyRule) {
	t.Helper()
	client, id := shared.Client(), ns+"-"+name
	_, err := client.CoreV1().ServiceAccounts(ns).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err == nil {
		_, err = client.RbacV1().ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: id}, Rules: rules}, metav1.CreateOptions{})
	}
	if err == nil {
		_, err = client.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: id},
			RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: id}, Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: ns, Name: name}}}, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.RbacV1().ClusterRoleBindings().Delete(context.Background(), id, metav1.DeleteOptions{})
		_ = client.RbacV1().ClusterRoles().Delete(context.Background(), id, metav1.DeleteOptions{})
	})
	for i := range rules {
		inForce(t, "system:serviceaccount:"+ns+":"+name, &rules[i])
	}
}

// inForce waits until a user has a right that a rule gives: the API server follows what it stores.
func inForce(t *testing.T, user string, rule *rbacv1.PolicyRule) {
	t.Helper()
	first := func(list []string) string {
		if len(list) == 0 {
			return ""
		}
		return strings.ReplaceAll(list[0], "*", "x")
	}
	spec := authorizationv1.SubjectAccessReviewSpec{User: user}
	if len(rule.NonResourceURLs) > 0 {
		spec.NonResourceAttributes = &authorizationv1.NonResourceAttributes{Path: first(rule.NonResourceURLs), Verb: first(rule.Verbs)}
	} else {
		resource, sub, _ := strings.Cut(first(rule.Resources), "/")
		spec.ResourceAttributes = &authorizationv1.ResourceAttributes{Group: first(rule.APIGroups), Resource: resource, Subresource: sub, Name: first(rule.ResourceNames), Verb: first(rule.Verbs)}
	}
	until(t, user+" has no right yet", func() error {
		got, err := shared.Client().AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{Spec: spec}, metav1.CreateOptions{})
		if err == nil && !got.Status.Allowed {
			err = fmt.Errorf("%+v: %+v", spec, got.Status)
		}
		return err
	})
}

// token asks for a token of an account, made out to an audience, "" for the API server; bound to a pod unless that is nil.
func token(t *testing.T, ns, account, audience string, pod *corev1.Pod) string {
	t.Helper()
	req := &authenticationv1.TokenRequest{}
	if audience != "" {
		req.Spec.Audiences = []string{audience}
	}
	if pod != nil {
		req.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}
	}
	got, err := shared.Client().CoreV1().ServiceAccounts(ns).CreateToken(t.Context(), account, req, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return got.Status.Token
}

// podOn starts a pod of an account on a node, and waits until it runs.
func podOn(t *testing.T, ns, name, node, account string) *corev1.Pod {
	t.Helper()
	pods := shared.Client().CoreV1().Pods(ns)
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.PodSpec{NodeName: node, ServiceAccountName: account, TerminationGracePeriodSeconds: new(int64(1)),
		Containers: []corev1.Container{{Name: "web", Image: image, ImagePullPolicy: pull}}}}
	if _, err := pods.Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	until(t, name+" does not run", func() (err error) {
		if p, err = pods.Get(t.Context(), name, metav1.GetOptions{}); err == nil && p.Status.Phase != corev1.PodRunning {
			err = errNotYet(p.Status.Phase)
		}
		return err
	})
	return p
}

type errNotYet string

func (e errNotYet) Error() string { return "it is " + string(e) }

// sample is a request about a container of a pod that a node says it has.
func sample(t *testing.T, node, ns, pod string) []byte {
	t.Helper()
	return sampleAt(t, node, ns, pod, time.Now(), 1e6)
}

// sampleAt is sample at a time, with some memory.
func sampleAt(t *testing.T, node, ns, pod string, now time.Time, memory float64) []byte {
	t.Helper()
	e := &metric.Entity{Level: metric.Container, Node: node, Namespace: ns, Pod: pod, WorkloadKind: "Pod", Workload: pod, Container: "web", ID: "/kubepods/" + node + "/" + pod, Runtime: "containerd"}
	raw, err := remotewrite.Encode(&metric.Batch{Node: node, Time: now, Fast: true, Groups: []metric.Group{{Entity: e, Start: now.Add(-time.Minute),
		Points: []metric.Point{{ID: metric.CPUUsage, T: now.UnixMilli(), V: 1}, {ID: metric.MemoryWorkingSet, T: now.UnixMilli(), V: memory}}}}}, identity.Wire)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestWhoMayWhat asks a server in the cluster with every kind of token, for every kind of path: who sends what is not theirs is refused with a sentence.
func TestWhoMayWhat(t *testing.T) {
	ours(t)
	ns := namespace(t)
	write := rbacv1.PolicyRule{NonResourceURLs: []string{"/plimsoll/api/v1/write"}, Verbs: []string{"post"}}
	account(t, ns, "collector", write)
	account(t, ns, "reader", rbacv1.PolicyRule{NonResourceURLs: []string{"/plimsoll/v1/*", "/plimsoll/api/v1/query"}, Verbs: []string{"get"}})
	account(t, ns, "nobody")
	one, two := podOn(t, ns, "one", "node1", "collector"), podOn(t, ns, "two", "node2", "collector")
	strange := podOn(t, ns, "strange", "node1", "nobody")
	s := server(t, 8443)
	sender, other := token(t, ns, "collector", "plimsoll", one), token(t, ns, "collector", "plimsoll", two)

	read := func(what, token, path string, want int, says string) {
		t.Helper()
		code, body, err := s.ask("GET", path, token, nil, nil)
		if err != nil || code != want || !strings.Contains(body, says) {
			t.Errorf("%s: got %d %q %v, want %d with %q", what, code, body, err, want, says)
		}
	}
	const overview = "/plimsoll/v1/overview"
	read("no token", "", overview, 401, "show a token of the cluster")
	read("garbage", "garbage", overview, 401, "the token is wrong")
	read("a JWT of another", sender[:len(sender)-4]+"AAAA", overview, 401, "the token is wrong")
	read("another audience", token(t, ns, "reader", "elsewhere", nil), overview, 401, "made out to somebody else")
	read("a collector", sender, overview, 403, `verb \"get\" on the nonResourceURL \"/plimsoll/v1/overview\"`)
	read("a reader", token(t, ns, "reader", "", nil), overview, 200, "plimsoll.dev/overview")
	read("a reader of Prometheus's API", token(t, ns, "reader", "", nil), "/api/v1/query?query=up", 200, "success")
	read("a reader's token for Plimsoll", token(t, ns, "reader", "plimsoll", nil), overview, 200, "plimsoll.dev/overview")
	read("health", "", "/livez", 200, "ok")
	nobody := token(t, ns, "nobody", "", nil)
	for _, path := range []string{"/", overview, "/plimsoll/v1/missing", "/metrics", "/api/v1/query?query=up", "/api/v1/query_range?query=up", "/api/v1/labels", "/api/v1/label/namespace/values", "/api/v1/series",
		"/api/v1/metadata", "/api/v1/format_query", "/api/v1/status/buildinfo", "/api/v1/model/namespaces/", "/api/v1/historical/nodes/", "/api/v1/metric-export", "/api/v1/metric-export-schema"} {
		read("a login without any right, "+path, nobody, path, 403, `verb \"get\" on the nonResourceURL`)
	}
	read("nothing there", "", "/nothing", 401, "")

	send := func(what, token, node, pod string, want int, says string) {
		t.Helper()
		h := http.Header{}
		remotewrite.SetLiveHeader(h, true)
		h.Set(remotewrite.SourceHeader, "test of "+token[max(0, len(token)-8):])
		code, body, err := s.ask("POST", "/api/v1/write", token, h, bytes.NewReader(sample(t, node, ns, pod)))
		if err != nil || code != want || !strings.Contains(body, says) {
			t.Errorf("%s: got %d %q %v, want %d with %q", what, code, body, err, want, says)
		}
	}
	send("no token", "", "node1", "one", 401, "show a token")
	send("its own", sender, "node1", "one", 204, "")
	send("the other its own", other, "node2", "two", 204, "")
	send("another node", sender, "node2", "one", 403, `the login does not speak for node "node2"`)
	send("another node's pod", sender, "node1", "two", 400, "(pod)")
	send("a pod that is not there", sender, "node1", "three", 204, "")
	send("without a pod", token(t, ns, "collector", "plimsoll", nil), "node1", "one", 403, "does not speak for node")
	send("for the API server", token(t, ns, "collector", "", one), "node1", "one", 403, "does not speak for node")
	send("without the right", token(t, ns, "nobody", "plimsoll", strange), "node1", "one", 403, "may not post")

	reader := token(t, ns, "reader", "", nil)
	until(t, "what is shown", func() error {
		var all struct{ Items []struct{ Pod, Node string } }
		s.read(t, "/plimsoll/v1/containers", reader, &all)
		got := map[string]string{}
		for _, c := range all.Items {
			got[c.Pod] += c.Node
		}
		if got["one"] != "node1" || got["two"] != "node2" || len(got) != 2 {
			return fmt.Errorf("%v of %v", got, all)
		}
		return nil
	})
	metrics, err := s.get("/metrics", adminToken(t, ns))
	for _, want := range []string{`plimsoll_ingest_samples_dropped_total{reason="pod"} 2`, `plimsoll_ingest_samples_dropped_total{reason="unknown_pod"} 2`, `plimsoll_ingest_samples_dropped_total{reason="node"} 6`,
		`plimsoll_lease_held 1`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %q (%v)", want, err)
		}
	}
}

// adminToken is of one who may read everything.
func adminToken(t *testing.T, ns string) string {
	t.Helper()
	account(t, ns, "admin", rbacv1.PolicyRule{NonResourceURLs: []string{"*"}, Verbs: []string{"*"}})
	return token(t, ns, "admin", "", nil)
}
