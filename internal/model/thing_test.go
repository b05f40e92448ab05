package model

import (
	"regexp"
	"testing"

	"pgregory.net/rapid"

	"plimsoll.dev/plimsoll/internal/metric"
)

// The name of a system container is its own, and leads back to it.
func TestSystemNames(t *testing.T) {
	f := func(namespace, pod, want string) {
		t.Helper()
		if got := SystemName(&metric.Entity{Namespace: namespace, Pod: pod}); got != want {
			t.Errorf("%q in %q: got %q, want %q", pod, namespace, got, want)
		}
	}
	f("system", "ssh.service", "ssh.service")
	f("system@node", "ssh.service", "ssh.service")
	f("cgroup", "my/batch", "my/batch")
	f("system", "/ssh.service", "/ssh.service")
	f("user-1000", "foo.service", "user-1000/foo.service")
	f("user-1000@node", "session.slice/foo.service", "user-1000@node/session.slice/foo.service")
	f("system", "user-1000/foo.service", "system/user-1000/foo.service")
	f("cgroup", "system/x", "cgroup/system/x")
	f("cgroup", "user-x/y", "user-x/y")
	if got := SystemName(&metric.Entity{Namespace: "system", Container: "x"}); got != "x" {
		t.Errorf("without a pod: got %q", got)
	}
}

func TestSystemNamesLeadBack(t *testing.T) {
	users := regexp.MustCompile("^(" + UserSpaces + ")$")
	rapid.Check(t, func(t *rapid.T) {
		namespace := rapid.StringMatching(`(system|cgroup|user-[0-9]{1,4})(@node)?`).Draw(t, "namespace")
		pod := rapid.StringMatching(`(/?(system|cgroup|user-[0-9]{0,2})(@node)?){0,3}/?[a-z.]{1,3}`).Draw(t, "pod")
		name := SystemNameIn(namespace, pod)
		space, got := SystemPod(name)
		if got != pod || space != namespace && (space != "" || users.MatchString(namespace)) {
			t.Fatalf("%q in %q is %q, which leads to %q in %q", pod, namespace, name, got, space)
		}
	})
}
