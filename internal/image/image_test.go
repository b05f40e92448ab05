package image_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll.dev/plimsoll/internal/dockertest"
	"plimsoll.dev/plimsoll/internal/image"
)

// build builds Plimsoll as the Makefile does, in a folder of its own.
func build(t *testing.T) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "plimsoll")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=1.2 -X main.commit=abc", "-o", out, "./cmd/plimsoll")
	cmd.Dir, cmd.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

func options(binary string) image.Options {
	return image.Options{Binary: binary, Name: "plimsoll:1.2", Dir: image.Dir, Labels: image.Labels("1.2", "abc"), Created: time.Unix(1_700_000_000, 0)}
}

// Two builds of one commit are one image, to the byte.
func TestBuildsAreTheSame(t *testing.T) {
	var one, two bytes.Buffer
	first, err := image.Write(&one, options(build(t)))
	if err != nil {
		t.Fatal(err)
	}
	again := build(t)
	second, err := image.Write(&two, options(again))
	if err != nil {
		t.Fatal(err)
	}
	if first != second || !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Errorf("digests %s and %s, %d and %d bytes", first, second, one.Len(), two.Len())
	}
	later := options(again)
	later.Labels = image.Labels("1.3", "abc")
	if third, err := image.Write(new(bytes.Buffer), later); err != nil || third == first {
		t.Errorf("another label: %s, %v", third, err)
	}
}

// What cannot be an image is refused with what to do.
func TestRefusals(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{text: "not a binary for Linux", "/bin/ls": "build it with CGO_ENABLED=0", "/nowhere": "no such file"} {
		if _, err := image.Write(new(bytes.Buffer), image.Options{Binary: path, Name: "a:1"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
}

// found is what a runtime finds of an image.
type found struct {
	User, WorkingDir string
	Entrypoint, Cmd  []string
	Labels           map[string]string
}

// Docker loads the image and runs it, as a user that is not root, on a root file system that is read-only; and what the Dockerfile gives is the same.
func TestDocker(t *testing.T) {
	d := dockertest.New(t)
	binary := build(t)
	archive := filepath.Join(d.Dir, "image.tar")
	f, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := image.Write(f, options(binary)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	d.Start()
	if got := d.Docker("load", "-i", archive); !strings.Contains(got, "plimsoll:1.2") {
		t.Errorf("load says %q", got)
	}
	if got := d.Docker("run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL", "plimsoll:1.2", "version"); !strings.HasPrefix(got, "plimsoll 1.2 (commit abc") {
		t.Errorf("it says %q", got)
	}
	// The folder of the data is the user's; so is a volume that is made of it.
	if got := d.Docker("run", "--rm", "--network=none", "-v", "data:/var/lib/plimsoll", "plimsoll:1.2", "doctor", "--data", "/var/lib/plimsoll/data", "-o", "json"); !strings.Contains(got, "/var/lib/plimsoll/data") {
		t.Errorf("doctor says %s", got)
	}
	context := filepath.Join(d.Dir, "context")
	if err := os.MkdirAll(filepath.Join(context, "out/data"), 0o755); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(context, "out/plimsoll"), data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(context, "Dockerfile"), []byte(lastStage(t)), 0o644); err != nil {
		t.Fatal(err)
	}
	d.Docker("build", "--build-arg", "VERSION=1.2", "--build-arg", "COMMIT=abc", "-t", "ordinary:1", context)
	if diff := cmp.Diff(inspect(t, d, "plimsoll:1.2"), inspect(t, d, "ordinary:1")); diff != "" {
		t.Errorf("the Dockerfile's image is another (-make image +Dockerfile):\n%s", diff)
	}
	if diff := cmp.Diff(files(t, d, "plimsoll:1.2"), files(t, d, "ordinary:1")); diff != "" {
		t.Errorf("the Dockerfile's image holds other files (-make image +Dockerfile):\n%s", diff)
	}
}

// lastStage is the Dockerfile with what was built already in the place of its first stage, whose image is not to be had without a registry.
func lastStage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, last, ok := strings.Cut(string(text), "\nFROM scratch\n")
	if !ok {
		t.Fatal("the Dockerfile has no stage from scratch")
	}
	return "FROM scratch AS build\nCOPY out /out\nFROM scratch\n" + last
}

func inspect(t *testing.T, d *dockertest.Daemon, name string) (out found) {
	t.Helper()
	if err := json.Unmarshal([]byte(d.Docker("image", "inspect", "-f", "{{json .Config}}", name)), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// files lists what an image holds, with mode and owner.
func files(t *testing.T, d *dockertest.Daemon, name string) []string {
	t.Helper()
	id := d.Docker("create", name)
	list, err := exec.CommandContext(t.Context(), "sh", "-c", "docker -H unix://"+d.Sock+" export "+id+" | tar tv --numeric-owner").Output()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(list)) {
		if f := strings.Fields(line); strings.HasPrefix(f[5], "plimsoll") || strings.HasPrefix(f[5], "var") {
			out = append(out, strings.Join([]string{f[0], f[1], f[2], f[5]}, " "))
		}
	}
	slices.Sort(out)
	return out
}
