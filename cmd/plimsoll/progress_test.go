package main

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

func TestNotesCountSecondsAndGo(t *testing.T) {
	f := func(work time.Duration, want string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			var b bytes.Buffer
			done := make(chan struct{})
			time.AfterFunc(work, func() { close(done) })
			notes(&b, "Reading 7d of history", done)
			if got := b.String(); got != want {
				t.Errorf("work of %v: got %q, want %q", work, got, want)
			}
		})
	}
	f(500*time.Millisecond, "")
	f(1500*time.Millisecond, "\r\x1b[KReading 7d of history, 1 s ...\r\x1b[K")
	f(2500*time.Millisecond, "\r\x1b[KReading 7d of history, 1 s ...\r\x1b[KReading 7d of history, 2 s ...\r\x1b[K")
}
