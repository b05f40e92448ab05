package influx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
	"github.com/influxdata/influxdb-client-go/v2/api"
	influxlog "github.com/influxdata/influxdb-client-go/v2/log"
	"github.com/prometheus/client_golang/prometheus"

	"plimsoll.dev/plimsoll/internal/condition"
)

// Source is a lane of the durable queue.
type Source interface {
	// Next waits until something is queued and returns whole records of together about maxBytes of lines (at least one
	// record). It ends with ctx's error.
	Next(ctx context.Context, maxBytes int) (Batch, error)
}

// Batch is lines from the queue, each ending in a line break. The writer is done with Lines when it calls Done.
type Batch struct {
	Lines []byte
	// Done tells the queue that every line is stored or set aside.
	Done func() error
	// Back gives the lines back when the writer ends before they are; may be nil.
	Back func()
}

// DeadLetters keeps what the server refuses for ever, within a limit of its own. Safe for concurrent use.
type DeadLetters interface {
	SetAside(lines []byte, reason string) error
}

// Lane is a source with a name, for metrics and logs.
type Lane struct {
	Name   string
	Source Source
}

// errNoDeadLetters is a writer without a place for refused lines.
var errNoDeadLetters = errors.New("there is no file for dead letters")

// WriterOptions say what is sent where. Zero values mean the defaults.
type WriterOptions struct {
	Conn  *Conn
	Lanes []Lane
	// DeadLetters takes what is refused for ever; without one such lines are counted and lost.
	DeadLetters DeadLetters
	// Timeout is a request's, 10 s.
	Timeout time.Duration
	// Logger is for changes of state; nil discards.
	Logger *slog.Logger
	// Registerer takes the writer's metrics; nil leaves them unregistered.
	Registerer prometheus.Registerer
	// Random returns numbers of [0,1) for the waits; math/rand by default.
	Random func() float64

	// Tests alone set what follows: they bound a request before compression, to 5,000 lines and 1 MiB.
	maxLines, maxBytes int
}

// Validate says what in the options cannot be.
func (o *WriterOptions) Validate() error {
	switch {
	case o.Conn == nil:
		return errors.New("no connection")
	case len(o.Lanes) == 0:
		return errors.New("no lane")
	case o.Timeout < 0:
		return fmt.Errorf("timeout %q is negative", o.Timeout)
	}
	for _, l := range o.Lanes {
		if l.Source == nil || l.Name == "" {
			return errors.New("a lane without a source or a name")
		}
	}
	return nil
}

// Writer sends lines to InfluxDB until it has them. Nothing but an answer of the server, or a place among the dead letters, removes a
// line from the queue.
type Writer struct {
	opts  WriterOptions
	write api.WriteAPIBlocking
	cond  *condition.Set
	met   *writerMetrics

	accepted atomic.Int64 // requests that the server has stored, of all lanes

	heldMu sync.Mutex
	held   map[string]string // by lane: the reason that keeps it from going on

	lateMu sync.Mutex
	late   Late
}

// NewWriter returns a writer that sends nothing until Run.
func NewWriter(o WriterOptions) (*Writer, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("cannot write to InfluxDB: %w", err)
	}
	if o.maxLines == 0 {
		o.maxLines = 5000
	}
	if o.maxBytes == 0 {
		o.maxBytes = 1 << 20
	}
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	met, err := newWriterMetrics(o.Registerer)
	if err != nil {
		return nil, fmt.Errorf("cannot register the metrics of InfluxDB's writer: %w", err)
	}
	opts := influxdb2.DefaultOptions().SetUseGZip(true).SetPrecision(time.Millisecond).SetLogLevel(influxlog.ErrorLevel).
		SetHTTPClient(o.Conn.http).SetApplicationName("plimsoll")
	client := influxdb2.NewClientWithOptions(o.Conn.url.String(), "", opts) // the token is added by the transport
	return &Writer{opts: o, met: met, held: map[string]string{}, cond: newConditions(time.Now), write: client.WriteAPIBlocking(o.Conn.opts.Org, o.Conn.opts.Bucket)}, nil
}

// Run sends until ctx ends. It returns nil then; what was not acknowledged stays queued.
func (w *Writer) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, l := range w.opts.Lanes {
		wg.Go(func() { w.lane(ctx, l) })
	}
	wg.Wait()
	return nil
}

// Conditions returns what is wrong at present, what blocks first.
func (w *Writer) Conditions() []condition.Condition { return w.cond.List() }

func (w *Writer) lane(ctx context.Context, l Lane) {
	s := &sender{w: w, lane: l.Name, lines: w.opts.maxLines, log: w.opts.Logger.With("lane", l.Name)}
	for ctx.Err() == nil {
		b, err := l.Source.Next(ctx, w.opts.maxBytes)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if w.cond.Say(ReasonQueue, "the queue cannot be read: "+err.Error()) {
				s.log.Error("cannot read from the queue", "err", err)
			}
			s.pause(ctx, time.Second)
			continue
		}
		w.cond.Clear(ReasonQueue)
		if !s.deliver(ctx, b.Lines) {
			if b.Back != nil {
				b.Back()
			}
			return
		}
		if b.Done == nil {
			continue
		}
		if err := b.Done(); err != nil {
			s.log.Error("cannot acknowledge to the queue; the lines will be sent again", "err", err)
		}
	}
}

// sender sends one lane's lines, one request at a time.
type sender struct {
	w     *Writer
	lane  string
	log   *slog.Logger
	lines int // per request at present; less after a deadline was missed
	good  int // requests stored since lines was changed
	tries int // since the last answer that was not a failure
}

// deliver returns true when every line is stored or set aside, false when ctx ended first.
func (s *sender) deliver(ctx context.Context, lines []byte) bool {
	for len(lines) > 0 {
		n := prefix(lines, s.lines, s.w.opts.maxBytes)
		budget := bisections
		if !s.piece(ctx, lines[:n], &budget) {
			return false
		}
		lines = lines[n:]
	}
	return true
}

// prefix is the length of the first lines that go into one request: at least one line.
func prefix(lines []byte, maxLines, maxBytes int) int {
	end, n := 0, 0
	for end < len(lines) && n < maxLines {
		next := bytes.IndexByte(lines[end:], '\n') + 1
		if next == 0 {
			next = len(lines) - end
		}
		if n > 0 && end+next > maxBytes {
			break
		}
		end += next
		n++
	}
	return end
}

// half is where to halve lines, after a line break; 0 if there is one line only.
func half(lines []byte) int {
	last := len(lines)
	if last > 0 && lines[last-1] == '\n' {
		last--
	}
	if i := bytes.LastIndexByte(lines[:min(last/2+1, last)], '\n'); i >= 0 {
		return i + 1
	}
	if i := bytes.IndexByte(lines[last/2:last], '\n'); i >= 0 {
		return last/2 + i + 1
	}
	return 0
}

func count(lines []byte) int {
	n := bytes.Count(lines, []byte{'\n'})
	if len(lines) > 0 && lines[len(lines)-1] != '\n' {
		n++
	}
	return n
}
