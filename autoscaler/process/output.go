package process

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	keptLines = 10   // of a replica's output
	maxLine   = 4096 // bytes; longer lines are cut into several
)

// output reads what a replica writes: to the log at debug level, the last lines kept for people.
type output struct {
	mu    sync.Mutex
	lines []string
}

// follow starts to read and returns the end to write to and a function that ends the reading; what was
// written before that is still read, unless somebody holds the pipe open.
func (o *output) follow(log *slog.Logger) (w *os.File, stop func(), err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.read(r, log)
	}()
	return w, func() {
		_ = r.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		<-done
		r.Close()
	}, nil
}

func (o *output) read(r io.Reader, log *slog.Logger) {
	br := bufio.NewReaderSize(r, maxLine)
	for {
		b, err := br.ReadSlice('\n')
		if line := strings.ToValidUTF8(strings.TrimRight(string(b), "\r\n"), "?"); line != "" {
			o.add(line)
			if log.Enabled(context.Background(), slog.LevelDebug) {
				log.Debug("replica wrote", "line", line)
			}
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

func (o *output) add(line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lines = append(o.lines, line)
	o.lines = o.lines[max(0, len(o.lines)-keptLines):]
}

// last returns the newest line, cut to a length that fits into a sentence.
func (o *output) last() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.lines) == 0 {
		return ""
	}
	s := []rune(o.lines[len(o.lines)-1])
	if len(s) > 160 {
		return string(s[:160]) + "…"
	}
	return string(s)
}

// all returns the kept lines, oldest first.
func (o *output) all() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.lines)
}
