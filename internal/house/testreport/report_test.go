package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testdata/made.json is what go test said of packages that end in every way, without the stacks; made.txt is the report.
func TestReport(t *testing.T) {
	in, err := os.Open("testdata/made.json")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	want, err := os.ReadFile("testdata/made.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	r := newReport(&got)
	if err := read(in, r); err != nil {
		t.Fatal(err)
	}
	if r.close() {
		t.Error("all is well, says the report")
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

func TestVerdict(t *testing.T) {
	const (
		begin = `{"Action":"run","Package":"p","Test":"TestA"}` + "\n"
		pass  = begin + `{"Action":"pass","Package":"p","Test":"TestA"}` + "\n"
		fail  = begin + `{"Action":"fail","Package":"p","Test":"TestA"}` + "\n"
		inVM  = begin + `{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:1: runs in a virtual machine only\n"}` + "\n" +
			`{"Action":"skip","Package":"p","Test":"TestA"}` + "\n"
		outer = `{"Action":"output","Package":"p","Test":"TestVM","Output":"        === RUN   TestA\n"}` + "\n"
		good  = `{"Action":"pass","Package":"p"}` + "\n"
		bad   = `{"Action":"fail","Package":"p"}` + "\n"
		none  = `{"Action":"skip","Package":"q"}` + "\n" // no test files
	)
	f := func(in string, well bool, passed, failed, skipped int) {
		t.Helper()
		r := newReport(&bytes.Buffer{})
		if err := read(bytes.NewReader([]byte(in)), r); err != nil {
			t.Error(err)
		}
		if got := r.close(); got != well || r.passed != passed || r.failed != failed || r.skipped != skipped {
			t.Errorf("%q: got %v, %d, %d, %d; want %v, %d, %d, %d", in, got, r.passed, r.failed, r.skipped, well, passed, failed, skipped)
		}
	}
	f("", false, 0, 0, 0)
	f(none, false, 0, 0, 0)
	f(pass+good+none, true, 1, 0, 0)
	f(fail+bad, false, 0, 1, 0)
	f(pass+bad, false, 1, 1, 0)                                        // TestMain, or a build
	f(begin+bad, false, 0, 1, 0)                                       // a panic, a kill, no more time
	f(fail+begin+bad+pass+good, false, 1, 2, 0)                        // one failed, the next one panicked; another run is well
	f(pass, false, 1, 1, 0)                                            // go was killed
	f(fail+bad+`{"Action":"fail","Package":"r"}`+"\n", false, 0, 2, 0) // a failure elsewhere does not hide a build that failed
	f(pass+inVM+good, true, 1, 0, 1)                                   // nobody started a machine
	f(pass+inVM+outer+good, true, 1, 0, 0)
	f(pass+outer+inVM+good, true, 1, 0, 0)
}
