package process

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// tagged lists the processes that carry a tag and an act.
func tagged(tag, act string) (out []string) {
	names, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, f := range names {
		env, _ := os.ReadFile(f)
		if vars := bytes.Split(env, []byte{0}); len(vars) > 1 && bytes.Contains(env, []byte("TEST_TAG="+tag)) && bytes.Contains(env, []byte("TEST_ACT="+act+"\x00")) {
			out = append(out, f)
		}
	}
	return out
}

// Without cgroups what a replica starts ends with it, whatever it does to get away; what is too fast to be seen ends with Plimsoll.
func TestOrphansEndToo(t *testing.T) {
	tag := fmt.Sprintf("%s-%d", t.Name(), os.Getpid())
	service := func(name, act string) Service {
		s := actor(act, 1)
		s.Name, s.Env["TEST_TAG"] = name, tag+name
		return s
	}
	s, stop := run(t, Options{CgroupRoot: "none", Services: []Service{service("escape", "escape"), service("vanish", "vanish")}})
	eventually(t, "both have left children", func() bool { return len(tagged(tag+"escape", "deaf")) == 1 && len(tagged(tag+"vanish", "deaf")) == 1 })
	eventually(t, "whose they are is lost", func() bool { return len(tagged(tag+"escape", "leave")) == 0 })
	for _, name := range []string{"escape", "vanish"} {
		if err := s.Scale(context.Background(), Key{"test", name}, 0); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the replicas are gone", func() bool { return len(s.All()) == 0 })
	if left := tagged(tag+"escape", "deaf"); len(left) > 0 {
		t.Errorf("outlived its replica: %v", left)
	}
	stop()
	if left := tagged(tag, "deaf"); len(left) > 0 {
		t.Errorf("outlived Plimsoll: %v", left)
	}
	for _, pid := range childrenOf(os.Getpid()) {
		if _, living := startOf(pid); !living {
			t.Errorf("process %d is a zombie", pid)
		}
	}
}
