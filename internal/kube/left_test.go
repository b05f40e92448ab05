package kube

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// Where a pod was is known for a day while another has its name, and for ten minutes while none has it; a node that never had one is none of these.
func TestLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, err := New(Options{Config: &rest.Config{Host: "http://127.0.0.1:1"}})
		if err != nil {
			t.Fatal(err)
		}
		defer v.asked.ShutDown()
		uids := 0
		puts := func(n int, node string) *object {
			t.Helper()
			uids++
			p := somePod(n, types.UID(fmt.Sprint("uid-", uids)), -1)
			p.Spec.NodeName = node
			if err := v.watches[0].Add(p); err != nil {
				t.Fatal(err)
			}
			return convertPod(p)
		}
		f := func(what string, n int, node string, want bool) {
			t.Helper()
			if got := v.Left("shop", fmt.Sprint("web-", n), node); got != want {
				t.Errorf("%s: web-%d left %s: got %v, want %v", what, n, node, got, want)
			}
		}
		f("there is none", 0, "node1", false)
		puts(0, "node1")
		f("it is there", 0, "node1", false)
		puts(0, "node2") // before the first was told to be gone
		f("made anew elsewhere", 0, "node1", true)
		f("a node that had none", 0, "node3", false)
		f("where it is", 0, "node2", false)
		if v.Left("other", "web-0", "node1") {
			t.Error("one of another namespace is taken for it")
		}
		gone := puts(1, "node1")
		v.dropPod(gone)
		f("deleted", 1, "node1", true)
		puts(1, "node2")
		v.dropPod(puts(2, "node1"))
		v.dropPod(puts(3, ""))
		f("was on no node", 3, "", false)

		time.Sleep(nameless)
		v.dropPod(puts(4, "node1")) // what is too old is forgotten as others go
		f("deleted, and none has the name", 2, "node1", false)
		f("deleted, and another has the name", 1, "node1", true)
		puts(0, "node1")
		puts(0, "node2")
		time.Sleep(lately - time.Minute)
		f("there again since", 0, "node1", true)
		f("nearly a day ago", 1, "node1", false)
		if time.Sleep(time.Minute); v.Left("shop", "web-0", "node1") {
			t.Error("it is known for more than a day")
		}
		for n := range maxLeft + 1 {
			v.leaves(fmt.Sprint("many/", n), "node1", time.Now())
		}
		if len(v.left) != maxLeft {
			t.Errorf("got %d names, want %d", len(v.left), maxLeft)
		}
	})
}
