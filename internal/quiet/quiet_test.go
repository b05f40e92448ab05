package quiet

import (
	"bytes"
	"log"
	"log/slog"
	"strings"
	"testing"
)

// What a library says through the standard logger is a debugging message of ours, in our format, and no line of its own.
func TestStandard(t *testing.T) {
	flags, to := log.Flags(), log.Writer()
	defer func() { log.SetFlags(flags); log.SetOutput(to) }()
	var out bytes.Buffer
	Standard(slog.New(slog.NewJSONHandler(&out, nil)))
	log.Printf("Unsolicited response received on idle HTTP channel starting with %q", "x")
	if out.Len() > 0 {
		t.Errorf("told: %s", &out)
	}
	Standard(slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	log.Print("Unsolicited response")
	if got := out.String(); !strings.Contains(got, `"level":"DEBUG","msg":"Unsolicited response"`) {
		t.Errorf("got %q", got)
	}
}
