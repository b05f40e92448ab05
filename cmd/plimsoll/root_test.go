package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// A duration in the log is the same word in every format.
func TestLogsSayDurationsInWords(t *testing.T) {
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		log, err := (&app{streams: streams{err: &out}, logLevel: "info", logFormat: format}).logger()
		if err != nil {
			t.Fatal(err)
		}
		log.With("interval", time.Second).WithGroup("g").Info("slow", "took", 1500*time.Millisecond)
		if got := out.String(); !strings.Contains(got, "1.5s") || strings.Contains(got, "1000000000") {
			t.Errorf("%s: %s", format, got)
		}
	}
}

// --version is what most programs have, and says what the command says, in its formats too.
func TestVersionFlag(t *testing.T) {
	for _, args := range [][]string{nil, {"-o", "json"}} {
		want, got := call(t, nil, "", append([]string{"version"}, args...)...), call(t, nil, "", append([]string{"--version"}, args...)...)
		if got != want || got.code != exitDone || !strings.Contains(got.out, "commit") {
			t.Errorf("%q: got %+v, want %+v", args, got, want)
		}
	}
}
