package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
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
// lost is told of bytes that were dropped.
func (o *output) follow(log *slog.Logger, lost func(bytes int)) (w *os.File, stop func(), err error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.read(r, log, lost)
	}()
	return w, func() {
		_ = r.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		<-done
		r.Close()
	}, nil
}

// A replica may write as fast as it can. Of each second so many bytes are read as lines; the rest is dropped in pieces with a pause after
// each, so that a flood costs next to nothing here, and beyond some 30 MB a second the writer waits.
const (
	readEachSecond = 1 << 20
	dropPiece      = 64 << 10
	dropPause      = 2 * time.Millisecond
)

func (o *output) read(r io.Reader, log *slog.Logger, lost func(bytes int)) {
	br := bufio.NewReaderSize(r, maxLine)
	begun, read := time.Now(), 0
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
		if read += len(b); read < readEachSecond {
			continue
		}
		if left := time.Second - time.Since(begun); left > 0 {
			n, err := drop(br, left)
			o.add(fmt.Sprintf("(%d bytes came too fast and were dropped)", n))
			lost(n)
			if err != nil {
				return
			}
		}
		begun, read = time.Now(), 0
	}
}

// drop reads for so long without looking at it.
func drop(r *bufio.Reader, long time.Duration) (n int, err error) {
	end := time.Now().Add(long)
	piece := make([]byte, dropPiece)
	for time.Now().Before(end) {
		m, err := r.Read(piece)
		n += m
		if err != nil {
			return n, err
		}
		time.Sleep(dropPause)
	}
	return n, nil
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
