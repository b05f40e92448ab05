package certificates

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clienttesting "k8s.io/client-go/testing"

	"plimsoll.dev/plimsoll/internal/kube"
)

// run is a test in a world whose time is made up.
func run(t *testing.T, name string, f func(t *testing.T, w *world)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { f(t, newWorld(t)) })
	})
}

func (w *world) crt(n string) string { return string(w.secret(n).Data["tls.crt"]) }

// Nothing is written before half of a certificate's life is over; then it is renewed, and at half of its own the authority, for as long as one looks.
// Nobody is ever kept out.
func TestHalfOfLife(t *testing.T) {
	run(t, "a day", func(t *testing.T, w *world) {
		r, stop := w.renewer()
		defer stop()
		leaf, ca := w.crt(name+"-tls"), w.crt(name+"-ca")
		w.pass(hours/2 - early(hours) - time.Minute)
		if len(w.writes) > 0 {
			t.Errorf("wrote %q before half of the life was over", w.writes)
		}
		w.pass(5 * time.Minute)
		if w.crt(name+"-tls") == leaf || w.crt(name+"-ca") != ca {
			t.Error("the certificate is not another one, or the authority is")
		}
		w.wants("half of the certificate's life")
		w.pass(days / 2)
		if w.crt(name+"-ca") == ca {
			t.Error("the authority is as it was")
		}
		leaves, cas := 1, 0
		for leaf = w.crt(name + "-tls"); len(w.writes) < 400; {
			w.pass(10 * time.Minute)
			if got := w.crt(name + "-tls"); got != leaf {
				leaf, leaves = got, leaves+1
			}
			if got := w.crt(name + "-ca"); got != ca {
				ca, cas = got, cas+1
			}
			if time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) > 24*time.Hour {
				break
			}
		}
		if leaves < 40 || leaves > 60 || cas < 10 || cas > 14 {
			t.Errorf("in a day %d certificates and %d authorities", leaves, cas)
		}
		if len(w.dark) > 0 {
			t.Errorf("%d times somebody could not come in: %q", len(w.dark), w.dark[:1])
		}
		if all := r.Conditions(time.Now()); len(all) > 0 || r.Health() != nil {
			t.Errorf("told of %+v", all)
		}
	})
}

// The order of a change of authority: kept, then trusted, and only when all have had the time to know it does it take over and sign.
func TestAuthorityChanges(t *testing.T) {
	run(t, "in order", func(t *testing.T, w *world) {
		w.note(name+"-ca", renewNote, "now")
		_, stop := w.renewer()
		defer stop()
		ca, leaf := w.crt(name+"-ca"), w.crt(name+"-tls")
		w.comeIn()
		if n := strings.Count(w.bundle().Data["ca.crt"], "BEGIN"); n != 2 || w.secret(name + "-ca").Data[nextCert] == nil {
			t.Errorf("%d are trusted", n)
		}
		w.pass(4 * time.Minute)
		if w.crt(name+"-ca") != ca || w.crt(name+"-tls") != leaf {
			t.Error("it took over before everybody could know it")
		}
		w.pass(3 * time.Minute)
		if w.crt(name+"-ca") == ca || w.crt(name+"-tls") == leaf {
			t.Error("it did not take over")
		}
		if n := strings.Count(w.bundle().Data["ca.crt"], "BEGIN"); n != 2 {
			t.Errorf("the old one was forgotten while its certificate was served: %d are trusted", n)
		}
		leaf = w.crt(name + "-tls")
		w.pass(40 * time.Minute)
		w.wants("after a change")
		if w.crt(name+"-tls") == leaf {
			t.Error("the certificate was not renewed after that")
		}
	})
	run(t, "the certificate is deleted meanwhile", func(t *testing.T, w *world) {
		w.comeIn()
		w.note(name+"-ca", renewNote, "now")
		w.remove("secrets", name+"-tls")
		_, stop := w.renewer()
		defer stop()
		ca := w.crt(name + "-ca")
		w.pass(4 * time.Minute)
		if w.crt(name+"-ca") != ca || w.secret(name+"-tls") == nil {
			t.Error("the new authority took over before everybody could know it, or the certificate was not made by the old one")
		}
		w.pass(45 * time.Minute)
		w.wants("after a change")
	})
	run(t, "the certificate by hand", func(t *testing.T, w *world) {
		ca, leaf := w.crt(name+"-ca"), w.crt(name+"-tls")
		w.note(name+"-tls", renewNote, "")
		r, stop := w.renewer()
		defer stop()
		if w.crt(name+"-ca") != ca || w.crt(name+"-tls") == leaf {
			t.Error("the certificate is as it was, or the authority is not")
		}
		end := readKeeper(w.secret(name+"-tls"), false).now.cert.NotAfter
		if got := testutil.ToFloat64(r.end.WithLabelValues("server")); got != float64(end.Unix()) {
			t.Errorf("the metric says that it ends at %v, want %v", time.Unix(int64(got), 0), end)
		}
		if n := testutil.ToFloat64(r.written.WithLabelValues("server")); n != 1 {
			t.Errorf("%v steps are counted", n)
		}
		w.gate.shut = errors.New("another holds the lease")
		w.pass(2 * time.Minute)
		if n := testutil.CollectAndCount(r.end); n != 0 {
			t.Errorf("%d ends are told by who does not look", n)
		}
		w.wants("by hand")
	})
}

// A process that ends after any of its writes is gone on after by the next, and nobody is kept out meanwhile.
func TestCrashes(t *testing.T) {
	n := 1
	for done := false; !done && n < 40; n++ {
		run(t, fmt.Sprint("after write ", n), func(t *testing.T, w *world) {
			w.note(name+"-ca", renewNote, "now")
			writes := 0
			w.refuse = func(a clienttesting.Action) error {
				if a.GetVerb() == "get" || writes < n {
					if a.GetVerb() != "get" {
						writes++
					}
					return nil
				}
				w.gate.shut = errors.New("the process has ended")
				return w.gate.shut
			}
			_, stop := w.renewer()
			w.pass(40 * time.Minute)
			stop()
			done = w.gate.shut == nil
			w.gate.shut, w.refuse = nil, nil
			_, stop = w.renewer()
			defer stop()
			w.pass(45 * time.Minute)
			w.wants("after a crash")
		})
	}
	if n < 8 || n == 40 {
		t.Errorf("tried %d crashes", n)
	}
}

// What somebody else has written meanwhile is not written over: it is looked at again a minute later.
func TestConflict(t *testing.T) {
	run(t, "once", func(t *testing.T, w *world) {
		w.note(name+"-tls", renewNote, "")
		tries := 0
		w.refuse = func(a clienttesting.Action) error {
			if a.GetVerb() == "update" {
				if tries++; tries < 3 {
					return apierrors.NewConflict(schema.GroupResource{Resource: "secrets"}, name+"-tls", errors.New("modified"))
				}
			}
			return nil
		}
		r, stop := w.renewer()
		defer stop()
		leaf := w.crt(name + "-tls")
		w.pass(59 * time.Second)
		if tries != 1 || w.crt(name+"-tls") != leaf {
			t.Errorf("tried %d times within a minute", tries)
		}
		w.pass(2 * time.Minute)
		w.wants("later")
		if w.crt(name+"-tls") == leaf || len(r.Conditions(time.Now())) > 0 {
			t.Errorf("it was not renewed, or told of: %+v", r.Conditions(time.Now()))
		}
	})
}

// Who may not write writes nothing, and tells nothing of what another does.
func TestOneWrites(t *testing.T) {
	run(t, "not us", func(t *testing.T, w *world) {
		w.note(name+"-tls", renewNote, "")
		w.gate.shut = errors.New("another holds the lease")
		r, stop := w.renewer()
		defer stop()
		w.pass(3 * time.Minute)
		if len(w.writes) > 0 || len(r.Conditions(time.Now())) > 0 {
			t.Errorf("wrote %q", w.writes)
		}
		w.gate.shut = nil
		w.pass(2 * time.Second)
		w.wants("then us")
		if len(w.writes) == 0 {
			t.Error("did not begin when it might")
		}
	})
	run(t, "the API server hangs", func(t *testing.T, w *world) {
		w.note(name+"-tls", renewNote, "")
		w.refuse = func(a clienttesting.Action) error {
			if a.GetVerb() == "get" {
				w.gate.shut = errors.New("the lease was lost meanwhile")
			}
			return nil
		}
		_, stop := w.renewer()
		defer stop()
		w.pass(time.Minute)
		if len(w.writes) > 0 {
			t.Errorf("wrote %q after the lease was lost", w.writes)
		}
	})
}

// What is not ours stays as it is, for all its life.
func TestForeign(t *testing.T) {
	f := func(what, says string, change func(w *world)) {
		run(t, what, func(t *testing.T, w *world) {
			change(w)
			w.note(name+"-ca", renewNote, "")
			w.note(name+"-tls", renewNote, "")
			r, stop := w.renewer()
			defer stop()
			w.pass(50 * time.Minute)
			if len(w.writes) > 0 {
				t.Errorf("wrote %q", w.writes)
			}
			all := fmt.Sprintf("%+v", r.Conditions(time.Now()))
			for _, want := range []string{"NotOurs", says, "Ending", "ends at"} {
				if !strings.Contains(all, want) {
					t.Errorf("no %q in %s", want, all)
				}
			}
		})
	}
	for _, n := range []string{name + "-ca", name + "-tls"} {
		f("no label of "+n, fmt.Sprintf("Secret %q is left alone, as it has not the label", n), func(w *world) {
			s := w.secret(n).DeepCopy()
			delete(s.Labels, "app.kubernetes.io/name")
			w.put(s)
		})
	}
	f("cert-manager's", `Secret "plimsoll-tls" is left alone, as cert-manager renews it`, func(w *world) { w.note(name+"-tls", "cert-manager.io/certificate-name", "x") })
	f("owned", `Secret "plimsoll-tls" is left alone, as it belongs to SealedSecret "x"`, func(w *world) {
		s := w.secret(name + "-tls").DeepCopy()
		s.OwnerReferences = []metav1.OwnerReference{{Kind: "SealedSecret", Name: "x"}}
		w.put(s)
	})
	run(t, "an API", func(t *testing.T, w *world) {
		a := w.api(apiNames[0]).DeepCopy()
		_ = unstructured.SetNestedField(a.Object, "metrics-server", "spec", "service", "name")
		if err := w.apis.Tracker().Update(kube.APIServiceResource, a, ""); err != nil {
			t.Fatal(err)
		}
		was := string(w.caBundle(apiNames[0]))
		w.note(name+"-ca", renewNote, "")
		r, stop := w.renewer()
		defer stop()
		time.Sleep(70 * time.Minute)
		if string(w.caBundle(apiNames[0])) != was || string(w.caBundle(apiNames[1])) == was || strings.Contains(strings.Join(w.writes, " "), apiNames[0]) {
			t.Errorf("another's API was written, or ours was not: %q", w.writes)
		}
		if all := fmt.Sprint(r.Conditions(time.Now())); !strings.Contains(all, `APIService "v1.metrics.k8s.io" is left alone, as it leads to another Service`) {
			t.Errorf("told of %s", all)
		}
	})
	run(t, "the bundle", func(t *testing.T, w *world) {
		m := w.bundle().DeepCopy()
		m.Labels = nil
		w.put(m)
		w.note(name+"-ca", renewNote, "")
		_, stop := w.renewer()
		defer stop()
		ca := w.crt(name + "-ca")
		w.pass(50 * time.Minute)
		if w.crt(name+"-ca") != ca || slices.ContainsFunc(w.writes, func(s string) bool { return strings.Contains(s, "configmaps") }) || len(w.dark) > 0 {
			t.Errorf("an authority took over that collectors cannot know: %q %q", w.writes, w.dark)
		}
	})
}

// A right that is missing is named: at the first look, since it is asked for; when a call is refused; and when the end comes near.
func TestMissingRight(t *testing.T) {
	forbid := func(what string) func(clienttesting.Action) error {
		return func(a clienttesting.Action) error {
			if named(a) == what {
				return apierrors.NewForbidden(schema.GroupResource{}, "x", errors.New("no"))
			}
			return nil
		}
	}
	tells := func(t *testing.T, r *Renewer, wants ...string) {
		t.Helper()
		all := fmt.Sprintf("%+v", r.Conditions(time.Now()))
		for _, want := range wants {
			if !strings.Contains(all, want) {
				t.Errorf("no %q in %s", want, all)
			}
		}
		if (r.Health() == nil) != (len(wants) == 0) {
			t.Errorf("health: %v", r.Health())
		}
		if len(wants) == 0 && all != "[]" {
			t.Errorf("told of %s", all)
		}
	}
	run(t, "asked for", func(t *testing.T, w *world) {
		w.denied["update secrets/plimsoll-tls"] = true
		r, stop := w.renewer()
		defer stop()
		tells(t, r, "Forbidden", `there is no right to update Secret "plimsoll-tls" in namespace "monitoring"`)
		w.denied = nil
		w.pass(time.Minute)
		tells(t, r)
	})
	run(t, "of the certificate", func(t *testing.T, w *world) {
		r, stop := w.renewer()
		defer stop()
		w.refuse = forbid("update secrets/plimsoll-tls")
		w.pass(35 * time.Minute)
		tells(t, r, "Forbidden", `there is no right to update Secret "plimsoll-tls"`)
		w.pass(15 * time.Minute)
		tells(t, r, "Ending", "the server's certificate ends at 2000-01-01T01:00:00Z and is not renewed: there is no right to update Secret")
		w.refuse = nil
		w.pass(2 * time.Minute)
		w.wants("the right is there")
		tells(t, r)
	})
	run(t, "of an API", func(t *testing.T, w *world) {
		w.note(name+"-ca", renewNote, "")
		w.refuse = forbid("update apiservices/v1.metrics.k8s.io")
		r, stop := w.renewer()
		defer stop()
		ca, leaf := w.crt(name+"-ca"), w.crt(name+"-tls")
		w.pass(hours)
		if w.crt(name+"-ca") != ca || w.crt(name+"-tls") == leaf {
			t.Error("an authority took over that the API server does not know, or the old one does not sign any more")
		}
		tells(t, r, "Forbidden", `update APIService "v1.metrics.k8s.io"`)
		w.refuse = nil
		w.pass(45 * time.Minute)
		w.wants("the right is there")
		if w.crt(name+"-ca") == ca {
			t.Error("the authority is as it was")
		}
	})
	run(t, "to read", func(t *testing.T, w *world) {
		w.refuse = forbid("get secrets/plimsoll-ca")
		r, stop := w.renewer()
		defer stop()
		tells(t, r, "Forbidden", `there is no right to get Secret "plimsoll-ca"`)
	})
	run(t, "the API server is away", func(t *testing.T, w *world) {
		w.refuse = func(clienttesting.Action) error { return errors.New("connection refused") }
		r, stop := w.renewer()
		defer stop()
		w.pass(time.Minute)
		tells(t, r)
		w.pass(2 * time.Minute)
		tells(t, r, "Failing", `cannot get Secret "plimsoll-ca" in namespace "monitoring": connection refused`)
		w.refuse = nil
		w.pass(time.Minute)
		tells(t, r)
	})
}

// What is missing or damaged is made anew, and told; nobody is kept out where one of the three is left.
func TestMadeAnew(t *testing.T) {
	f := func(what, says string, change func(w *world)) {
		run(t, what, func(t *testing.T, w *world) {
			w.comeIn()
			w.pass(10 * time.Minute)
			change(w)
			r, stop := w.renewer()
			defer stop()
			w.comeIn()
			if all := fmt.Sprintf("%+v", r.Conditions(time.Now())); !strings.Contains(all, "MadeAnew") || !strings.Contains(all, says) || r.Health() != nil {
				t.Errorf("no %q in %s", says, all)
			}
			w.pass(40 * time.Minute)
			if what == "neither" && len(w.dark) > 0 && !strings.Contains(strings.Join(w.dark, " "), "API server") && len(w.dark) <= 5 {
				w.dark = nil // nobody knows any more what servers have: collectors have to wait for their kubelets
			}
			w.wants(what)
			if l := w.secret(name + "-tls").Labels; l["app.kubernetes.io/instance"] != "p" {
				t.Errorf("labels %v", l)
			}
			w.pass(30 * time.Minute)
			if all := r.Conditions(time.Now()); len(all) > 0 {
				t.Errorf("still told of %+v", all)
			}
		})
	}
	garble := func(n, key string) func(w *world) {
		return func(w *world) {
			s := w.secret(n).DeepCopy()
			s.Data[key] = s.Data[key][:len(s.Data[key])/2]
			w.put(s)
		}
	}
	f("no certificate", `Secret "plimsoll-tls" was missing`, func(w *world) { w.remove("secrets", name+"-tls") })
	f("no authority", `Secret "plimsoll-ca" was missing`, func(w *world) { w.remove("secrets", name+"-ca") })
	f("no bundle", `ConfigMap "plimsoll-ca" was missing`, func(w *world) { w.remove("configmaps", name+"-ca") })
	f("neither", `Secret "plimsoll-ca" and Secret "plimsoll-tls" was`, func(w *world) { w.remove("secrets", name+"-tls"); w.remove("secrets", name+"-ca") })
	f("half a certificate", `Secret "plimsoll-tls" was`, garble(name+"-tls", "tls.crt"))
	f("half a key", `Secret "plimsoll-tls" was`, garble(name+"-tls", "tls.key"))
	f("half an authority", `Secret "plimsoll-ca" was`, garble(name+"-ca", "tls.crt"))
	f("half its key", `Secret "plimsoll-ca" was`, garble(name+"-ca", "tls.key"))
	f("another's key", `Secret "plimsoll-tls" was`, func(w *world) {
		s := w.secret(name + "-tls").DeepCopy()
		s.Data["tls.key"] = w.secret(name + "-ca").Data["tls.key"]
		w.put(s)
	})
}

// A process that comes back after all has ended makes everything anew at once.
func TestExpired(t *testing.T) {
	for what, away := range map[string]time.Duration{"the certificate": hours + time.Minute, "the authority": days + time.Minute} {
		run(t, what, func(t *testing.T, w *world) {
			time.Sleep(away)
			_, stop := w.renewer()
			defer stop()
			time.Sleep(lag)
			w.comeIn()
			w.pass(28 * time.Minute)
			if what == "the certificate" || len(w.dark) == 0 {
				w.wants(what)
			}
		})
	}
}

// An older set of objects, as a rollback brings it, is taken as it is and renewed when it is due.
func TestRollback(t *testing.T) {
	run(t, "of the certificate", func(t *testing.T, w *world) {
		secrets := []*corev1.Secret{w.secret(name + "-ca").DeepCopy(), w.secret(name + "-tls").DeepCopy()}
		_, stop := w.renewer()
		defer stop()
		w.pass(40 * time.Minute)
		renewed := w.crt(name + "-tls")
		for _, s := range secrets {
			w.put(runtime.Object(s))
		}
		w.pass(2 * time.Minute)
		w.wants("a rollback")
		if got := w.crt(name + "-tls"); got == renewed || got == string(secrets[1].Data["tls.crt"]) {
			t.Error("the certificate, half of whose life was over, was not renewed")
		}
	})
}

// What cannot be is refused at the start.
func TestNonsense(t *testing.T) {
	for want, o := range map[string]Options{"namespace": {Name: "x"}, "10m at least": {Namespace: "x", Name: "x", Gate: &gate{}, Lifetime: time.Minute}, "give 40m": {Namespace: "x", Name: "x", Gate: &gate{}, Lifetime: 20 * time.Minute, Authority: time.Minute}} {
		if _, err := newRenewer(o, nil, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("without an API server")
	}
}

// What is in Secrets and ConfigMaps is anybody's: reading it breaks nothing, and what is read can be written and read again.
func FuzzRead(f *testing.F) {
	r := newRules(ns, name, hours, days)
	ca, err := newAuthority(r.authority, days, time.Unix(1.8e9, 0))
	if err != nil {
		f.Fatal(err)
	}
	c, k, err := ca.pem()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c, k)
	f.Add(append(slices.Clone(c), c...), k)
	f.Add(k, c)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"), []byte("-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END EC PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, c, k []byte) {
		s := &corev1.Secret{Data: map[string][]byte{"tls.crt": c, "tls.key": k, nextCert: c, nextKey: k, earlierBundle: c}}
		got := seen{authority: readKeeper(s, true), server: readKeeper(s, false), trusts: []trust{readBundle(&corev1.ConfigMap{Data: map[string]string{bundleKey: string(c)}}, time.Unix(1.8e9, 0))}}
		if (got.authority.now == nil) == (got.authority.why == nil) || len(got.authority.earlier) > maxAuthorities {
			t.Errorf("got %+v", got)
		}
		got.authority.foreign, got.server.foreign, got.trusts[0].foreign = "", "", ""
		if p := got.server.now; p != nil {
			c, k, err := p.pem()
			if err == nil {
				_, err = readPair(c, k)
			}
			if err != nil {
				t.Error(err)
			}
		}
		if again := readAuthorities(text(got.authority.earlier)); !same(again, got.authority.earlier) {
			t.Errorf("%d authorities are %d when they are read again", len(got.authority.earlier), len(again))
		}
		if _, err := r.next(&got, time.Unix(1.8e9, 0)); err != nil {
			t.Error(err)
		}
	})
}
