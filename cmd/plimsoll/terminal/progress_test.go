package terminal

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestNotesCountSecondsAndGo(t *testing.T) {
	f := func(work time.Duration, want string) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			var b bytes.Buffer
			result, failed := make(chan error, 1), errors.New("failed")
			time.AfterFunc(work, func() { result <- failed })
			if err := notes(&b, "Reading 7d of history", result); !errors.Is(err, failed) {
				t.Errorf("work of %v: got error %v", work, err)
			}
			if got := b.String(); got != want {
				t.Errorf("work of %v: got %q, want %q", work, got, want)
			}
		})
	}
	f(500*time.Millisecond, "")
	f(1500*time.Millisecond, "\r\x1b[KReading 7d of history, 1 s ...\r\x1b[K")
	f(2500*time.Millisecond, "\r\x1b[KReading 7d of history, 1 s ...\r\x1b[KReading 7d of history, 2 s ...\r\x1b[K")
}
