package queue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"plimsoll.dev/plimsoll/internal/disk"
)

// DeadLetter is one line of the dead-letter files: what a store refuses for ever, and what it said.
type DeadLetter struct {
	Time    time.Time `json:"time"`
	Message string    `json:"message"`
	Points  int       `json:"points"`
	// Record is the record if it is text, Base64 if it is not.
	Record string `json:"record,omitempty"`
	Base64 []byte `json:"base64,omitempty"`
	// Cut says that the record was too long for the file and only its beginning is here.
	Cut bool `json:"cut,omitempty"`
}

// deadLetters are two files: the one that is written and the one before.
type deadLetters struct {
	opts *Options
	path string
	half int64 // the most of one file

	mu    sync.Mutex
	f     *os.File
	size  int64
	dirty bool
	// As of a segment; durable is zero for a file that was just opened.
	durable int64
	doubt   bool

	letters, dropped, points atomic.Uint64 // outside of mu, so that Stats does not wait for the disk
}

// newDead makes nothing on the disk before there is a letter.
func newDead(o *Options) *deadLetters {
	return &deadLetters{opts: o, path: filepath.Join(o.Dir, "dead", "dead.jsonl"), half: max(o.deadBytes/2, 4<<10)}
}

// Dead keeps a record, or a part of one, that the store refuses for ever, with what it said. When it returns nil the
// letter survives kill -9; it is on the disk before the cursor says that the record was settled. The caller then
// acknowledges the record; on an error it should not.
func (q *Queue) Dead(record []byte, m Meta, message string) error {
	if err := q.dead.add(record, m, message); err != nil {
		q.failed("write a dead letter", err)
		return fmt.Errorf("cannot write dead letter: %w", err)
	}
	return nil
}

func (d *deadLetters) add(record []byte, m Meta, message string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	line, err := d.encode(record, m, message)
	if err != nil {
		return err
	}
	if err := d.open(); err != nil {
		return err
	}
	if d.size > 0 && d.size+int64(len(line)) > d.half {
		if err := d.rotate(); err != nil {
			return err
		}
	}
	if _, err := d.opts.disk.write(d.f, line, d.size); err != nil {
		_ = d.f.Truncate(d.size)
		return err
	}
	d.size += int64(len(line))
	d.dirty = true
	d.letters.Add(1)
	d.points.Add(uint64(max(m.Points, 0)))
	return nil
}

// encode writes a letter down; it is at most half bytes long.
func (d *deadLetters) encode(record []byte, m Meta, message string) ([]byte, error) {
	if len(message) > 1<<10 {
		message = message[:1<<10]
	}
	l := DeadLetter{Time: d.opts.now().UTC(), Message: message, Points: m.Points}
	for keep := len(record); ; keep /= 2 {
		l.Record, l.Base64, l.Cut = "", nil, keep < len(record)
		if part := record[:keep]; utf8.Valid(record) {
			l.Record = string(bytes.ToValidUTF8(part, nil))
		} else {
			l.Base64 = part
		}
		b := &bytes.Buffer{}
		e := json.NewEncoder(b)
		e.SetEscapeHTML(false)
		if err := e.Encode(&l); err != nil {
			return nil, err
		}
		if int64(b.Len()) <= d.half || keep == 0 {
			return b.Bytes(), nil
		}
	}
}

// open opens the file and cuts a torn last line.
func (d *deadLetters) open() error {
	if d.f != nil {
		return nil
	}
	if err := disk.Sub(filepath.Dir(d.path)); err != nil {
		return err
	}
	f, err := disk.Open(d.path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		d.size = lastLineEnd(f, info.Size())
		err = errors.Join(f.Truncate(d.size), d.opts.disk.syncDir(filepath.Dir(d.path)))
	}
	if err != nil {
		_ = f.Close()
		return err
	}
	d.f, d.durable = f, 0
	return nil
}

// lastLineEnd returns where the last whole line ends.
func lastLineEnd(f *os.File, size int64) int64 {
	b := make([]byte, 64<<10)
	for end := size; end > 0; {
		from := max(end-int64(len(b)), 0)
		n, _ := f.ReadAt(b[:end-from], from)
		if i := bytes.LastIndexByte(b[:n], '\n'); i >= 0 {
			return from + int64(i) + 1
		}
		end = from
	}
	return 0
}

// rotate makes the file the old one. What the old one held is dropped and counted.
func (d *deadLetters) rotate() error {
	old := filepath.Join(filepath.Dir(d.path), "dead.1.jsonl")
	lost := countLines(old)
	if err := d.put(); err != nil {
		return err
	}
	err := d.f.Close()
	d.f = nil
	if err = errors.Join(err, os.Rename(d.path, old)); err != nil {
		return err
	}
	d.dropped.Add(lost)
	return d.open()
}

func countLines(path string) uint64 {
	f, err := disk.Open(path, os.O_RDONLY)
	if err != nil {
		return 0
	}
	defer f.Close()
	n, b := uint64(0), make([]byte, 64<<10)
	for {
		k, err := f.Read(b)
		n += uint64(bytes.Count(b[:k], []byte{'\n'}))
		if err != nil {
			return n
		}
	}
}

func (d *deadLetters) sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.dirty || d.f == nil {
		return nil
	}
	if err := d.put(); err != nil {
		return err
	}
	d.dirty = false
	return nil
}

// put puts what was written on the disk, once more after an fsync that failed: see Queue.put.
func (d *deadLetters) put() (err error) {
	if d.doubt {
		err = writeAgain(d.opts.disk, d.path, d.durable, d.size)
	} else {
		err = d.opts.disk.sync(d.f)
	}
	if d.doubt = err != nil; !d.doubt {
		d.durable = d.size
	}
	return err
}

func (d *deadLetters) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.f == nil {
		return nil
	}
	err := d.f.Close()
	d.f = nil
	return err
}
