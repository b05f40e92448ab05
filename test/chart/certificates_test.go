package chart

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/client-go/kubernetes/scheme"
	sigs "sigs.k8s.io/yaml"
)

// certificate reads the one of a Secret.
func certificate(t *testing.T, data string) *x509.Certificate {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no PEM: %q", text)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// secrets gives the Secrets of a rendering, and the bundle by which the API server knows us.
func secrets(t *testing.T, docs []string) (byName map[string]map[string]string, text map[string]string, bundle string) {
	t.Helper()
	byName, text = map[string]map[string]string{}, map[string]string{}
	for _, d := range docs {
		var o struct {
			Kind     string
			Metadata struct{ Name string }
			Data     map[string]string
			Spec     struct{ CABundle string }
		}
		_ = sigs.Unmarshal([]byte(d), &o)
		switch o.Kind {
		case "Secret":
			byName[o.Metadata.Name], text[o.Metadata.Name] = o.Data, d
		case "ConfigMap":
			if o.Metadata.Name == "plimsoll-ca" {
				text["bundle"] = d
			}
		case "APIService":
			bundle = o.Spec.CABundle
		}
	}
	return byName, text, bundle
}

// What Helm makes at an installation is for all names, and lasts as long as the values say.
func TestCertificatesAreMade(t *testing.T) {
	f := func(values string, life, signing int) {
		t.Helper()
		made, _, bundle := secrets(t, must(t, values))
		c, ca := certificate(t, made["plimsoll-tls"]["tls.crt"]), certificate(t, made["plimsoll-ca"]["tls.crt"])
		for _, host := range []string{"plimsoll.monitoring.svc", "plimsoll-live.monitoring.svc", "plimsoll-live.monitoring.svc.cluster.local", "localhost"} {
			pool := x509.NewCertPool()
			pool.AddCert(ca)
			if _, err := c.Verify(x509.VerifyOptions{Roots: pool, DNSName: host}); err != nil {
				t.Errorf("%s: %v", host, err)
			}
		}
		if bundle != made["plimsoll-ca"]["tls.crt"] {
			t.Error("the API server is given another authority")
		}
		for what, x := range map[*x509.Certificate]int{c: life, ca: signing} {
			if left := time.Until(what.NotAfter); left < time.Duration(24*x-1)*time.Hour || left > time.Duration(24*x+1)*time.Hour {
				t.Errorf("%s: a certificate ends at %s", values, what.NotAfter)
			}
		}
	}
	f("", 730, 3650)
	f("{tls: {certificateLifetime: 90d, authorityLifetime: 8760h}}", 90, 365)
	f("{tls: {certificateLifetime: 20m, authorityLifetime: 2h}}", 1, 1) // Helm knows days alone; the servers make shorter ones
}

// What there is stays as it is, whatever the servers have made of it: an upgrade renews nothing and takes nothing back. What is missing is made.
func TestCertificatesAreKept(t *testing.T) {
	_, kept, _ := secrets(t, must(t, ""))
	other, others, _ := secrets(t, must(t, ""))
	// The servers' authority is on its way: they trust two, and the new one is kept beside the old.
	ca := strings.Replace(kept["plimsoll-ca"], "\ndata:", "\ndata:\n  next.crt: "+other["plimsoll-ca"]["tls.crt"]+"\n  next.key: "+other["plimsoll-ca"]["tls.key"], 1)
	var m struct{ Data map[string]string }
	if err := sigs.Unmarshal([]byte(kept["bundle"]), &m); err != nil {
		t.Fatal(err)
	}
	two := m.Data["ca.crt"]
	if err := sigs.Unmarshal([]byte(others["bundle"]), &m); err != nil {
		t.Fatal(err)
	}
	two += m.Data["ca.crt"]
	bundle := kept["bundle"][:strings.Index(kept["bundle"], "\ndata:")] + fmt.Sprintf("\ndata: {ca.crt: %q}", two)
	for _, values := range []string{"", "{server: {kubeletFallback: false}}", "{tls: {certificateLifetime: 1d, authorityLifetime: 2d}}"} {
		made, texts, told := secrets(t, must(t, values, ca, kept["plimsoll-tls"], bundle))
		was, _, _ := secrets(t, []string{ca, kept["plimsoll-tls"]})
		for _, n := range []string{"plimsoll-ca", "plimsoll-tls"} {
			for _, key := range []string{"tls.crt", "tls.key"} {
				if made[n][key] != was[n][key] {
					t.Errorf("%s: another %s of %s", values, key, n)
				}
			}
			if len(made[n]) != 2 {
				t.Errorf("%s: %s has more than Helm's own keys: an upgrade would write what the servers write", values, n)
			}
		}
		if raw, _ := base64.StdEncoding.DecodeString(told); strings.TrimSpace(string(raw)) != strings.TrimSpace(two) {
			t.Errorf("%s: the API server is told of %d authorities", values, strings.Count(string(raw), "BEGIN"))
		}
		if err := sigs.Unmarshal([]byte(texts["bundle"]), &m); err != nil || m.Data["ca.crt"] != two {
			t.Errorf("%s: collectors are told of another bundle: %v", values, err)
		}
	}
	f := func(what string, sameAuthority, sameCertificate bool, docs ...string) {
		t.Helper()
		made, _, _ := secrets(t, must(t, "", docs...))
		was, _, _ := secrets(t, []string{kept["plimsoll-ca"], kept["plimsoll-tls"]})
		if got := made["plimsoll-ca"]["tls.key"] == was["plimsoll-ca"]["tls.key"]; got != sameAuthority {
			t.Errorf("%s: the same authority: %v", what, got)
		}
		if got := made["plimsoll-tls"]["tls.crt"] == was["plimsoll-tls"]["tls.crt"]; got != sameCertificate {
			t.Errorf("%s: the same certificate: %v", what, got)
		}
		if sameAuthority && certificate(t, made["plimsoll-tls"]["tls.crt"]).CheckSignatureFrom(certificate(t, made["plimsoll-ca"]["tls.crt"])) != nil {
			t.Errorf("%s: another authority has signed", what)
		}
	}
	f("no bundle", true, true, kept["plimsoll-ca"], kept["plimsoll-tls"])
	f("no certificate", true, false, kept["plimsoll-ca"], kept["bundle"])
	f("no authority", false, true, kept["plimsoll-tls"], kept["bundle"])
}

// The servers may write the certificates that Helm has made, by name, and no others; where somebody else renews them, none, and they try none.
func TestCertificatesAreRenewed(t *testing.T) {
	const apis = "v1.metrics.k8s.io v1beta1.metrics.k8s.io v1beta1.custom.metrics.k8s.io v1beta2.custom.metrics.k8s.io v1beta1.external.metrics.k8s.io v1alpha1.view.plimsoll.dev"
	foreign := fmt.Sprintf(apiService, "", "kube-system", "metrics-server")
	for name, values := range matrix(t) {
		prefix, all := "plimsoll", apis
		switch name {
		case "names":
			prefix = "other"
		case "no API", "profile autoscaler":
			all = ""
		case "no door":
			all = strings.TrimPrefix(apis, "v1.metrics.k8s.io v1beta1.metrics.k8s.io ")
			all = strings.TrimSuffix(all, " v1alpha1.view.plimsoll.dev") + " v1alpha1.view.plimsoll.dev"
		}
		checkRenewal(t, name, must(t, values), prefix, strings.Fields(all), !slices.Contains([]string{"secret", "cert-manager", "issuer"}, name))
	}
	checkRenewal(t, "beside another's", must(t, "", foreign), "plimsoll", strings.Fields(apis)[2:], true)
}

func checkRenewal(t *testing.T, name string, docs []string, prefix string, apis []string, renewed bool) {
	t.Helper()
	got := map[string][]string{}
	for _, d := range docs {
		obj, _, err := scheme.Codecs.UniversalDeserializer().Decode([]byte(d), nil, nil)
		if err != nil {
			continue
		}
		var rules []rbacv1.PolicyRule
		switch o := obj.(type) {
		case *rbacv1.Role:
			rules = o.Rules
		case *rbacv1.ClusterRole:
			rules = o.Rules
			for _, r := range rules {
				if slices.Contains(r.Resources, "secrets") || slices.Contains(r.Resources, "configmaps") {
					t.Errorf("%s: %v in all namespaces", name, r)
				}
			}
		}
		for _, r := range rules {
			for _, res := range r.Resources {
				if slices.Contains([]string{"secrets", "configmaps", "apiservices"}, res) {
					slices.Sort(r.ResourceNames)
					got[res] = append(got[res], strings.Join(r.ResourceNames, " ")+": "+strings.Join(r.Verbs, " "))
				}
			}
		}
	}
	want := map[string][]string{}
	args := map[string]string{}
	sorted := slices.Sorted(slices.Values(apis))
	if len(apis) > 0 {
		want["apiservices"] = []string{strings.Join(sorted, " ") + ": get"}
	}
	if renewed {
		want["secrets"] = []string{prefix + "-ca " + prefix + "-tls: get update patch create"}
		want["configmaps"] = []string{prefix + "-ca: get update patch create"}
		args["--certificates"] = "monitoring/" + prefix
		if len(apis) > 0 {
			want["apiservices"] = append(want["apiservices"], strings.Join(sorted, " ")+": update")
			args["--certificate-apis"] = strings.Join(sorted, " ")
		}
	}
	for _, res := range []string{"secrets", "configmaps", "apiservices"} {
		if !slices.Equal(got[res], want[res]) {
			t.Errorf("%s: rights to %s are %q, want %q", name, res, got[res], want[res])
		}
	}
	for pod, s := range pods(t, docs) {
		if pod != prefix {
			continue
		}
		for _, flag := range []string{"--certificates", "--certificate-apis"} {
			value := ""
			for _, a := range s.Containers[0].Args {
				if k, v, _ := strings.Cut(a, "="); k == flag {
					value = strings.Join(slices.Sorted(slices.Values(strings.Split(v, ","))), " ")
				}
			}
			if value != args[flag] {
				t.Errorf("%s: %s is %q, want %q", name, flag, value, args[flag])
			}
		}
	}
}
