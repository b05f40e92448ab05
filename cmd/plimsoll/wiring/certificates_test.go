package wiring

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// Certificates that could not be renewed in time are refused with the flags; without a Service nothing is renewed.
func TestCertificatesAreChecked(t *testing.T) {
	const day = 24 * time.Hour
	f := func(c Certificates, want string) {
		t.Helper()
		e := newEnvironment(slog.New(slog.DiscardHandler), "1.0")
		err := (&Kubernetes{Kubeconfig: kubeconfig(t, "http://127.0.0.1:1")}).renew(e, c)
		var usage *UsageError
		if want == "" {
			if err != nil || (len(e.checks) == 1) != (c.Of != "") {
				t.Errorf("%+v: got %v and %d checks", c, err, len(e.checks))
			}
		} else if !errors.As(err, &usage) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", c, err, want)
		}
	}
	f(Certificates{}, "")
	f(Certificates{Of: "a/b", Lifetime: day, Authority: 2 * day}, "")
	f(Certificates{Of: "a/b", Lifetime: time.Minute, Authority: day}, "--certificate-lifetime 1m0s, --authority-lifetime 24h0m0s: a certificate that lasts 1m0s")
	f(Certificates{Of: "a/b", Lifetime: day, Authority: day}, "give 48h0m0s at least")
	f(Certificates{Of: "b", Lifetime: day, Authority: 2 * day}, "--certificates \"b\"")
}
