package wiring

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/collector"
	"plimsoll.dev/plimsoll/internal/condition"
	"plimsoll.dev/plimsoll/internal/disk"
	"plimsoll.dev/plimsoll/internal/queue"
	"plimsoll.dev/plimsoll/internal/serve"
	"plimsoll.dev/plimsoll/internal/store"
	"plimsoll.dev/plimsoll/internal/store/influx"
	"plimsoll.dev/plimsoll/internal/store/remote"
	"plimsoll.dev/plimsoll/internal/store/tsdb"
)

// History is where a process keeps what was measured, and reads it back from: Embedded, Influx or Remote.
type History interface {
	open(e *environment) (history, error)
}

// Writing is where a process sends what was measured, which it does not read: Influx, Remote or Nowhere.
type Writing interface {
	openWriting(e *environment) (collector.Sink, error)
}

// history is an open History.
type history interface {
	store.Appender
	store.Querier
	store.DecisionLog
}

// shared says whether other servers write to a history too, so that of them who holds the lease writes what all know; to an embedded one nobody else does.
func shared(h history) bool {
	_, own := h.(*tsdb.DB)
	return !own
}

// Nowhere keeps no history.
type Nowhere struct{}

func (Nowhere) openWriting(*environment) (collector.Sink, error) { return nil, nil }

// Embedded keeps the history in the store of this process.
type Embedded struct {
	Dir       string
	Retention time.Duration
	MaxBytes  int64
}

// latest is how late samples may come: a collector that was cut off brings all that its queue has kept (seven days, unless asked
// for otherwise), while the samples of others are of now.
const latest = 8 * 24 * time.Hour

func (o Embedded) open(e *environment) (history, error) {
	db, err := tsdb.Open(tsdb.Options{Dir: o.Dir, Retention: o.Retention, MaxBytes: o.MaxBytes, OutOfOrder: min(o.Retention, latest), MaxForeign: e.memory.Kept(), Client: serve.ClientOf, Logger: e.log, Registerer: e.registry})
	if err != nil {
		return nil, err
	}
	e.life.Opened("the store", db.Close)
	e.keeps(db)
	queries := db.API()
	for _, r := range []struct{ method, path string }{
		{"", "query"}, {"", "query_range"}, {"", "labels"}, {"GET", "label/{name}/values"}, {"", "series"},
		{"GET", "metadata"}, {"GET", "status/buildinfo"}, {"", "format_query"},
	} {
		// An expression is worked on by recursion: a megabyte of minus signs would take a gigabyte of stack.
		e.routes = append(e.routes, serve.Route{Method: r.method, Pattern: "/api/v1/" + r.path, Handler: queries, Timeout: time.Minute, MaxBody: 64 << 10, Limited: true})
	}
	return db, nil
}

// kept is a history that tells how it is: whether it takes what is appended, and all that a person should know.
type kept interface {
	store.Appender
	Health() condition.Condition
	Conditions() []condition.Condition
}

// keeps adds what there is to know of a history that is read too.
func (e *environment) keeps(h kept) {
	e.checks = append(e.checks, serve.Check{Name: "store", Test: func() error { return healthError(h.Health()) }, Note: func() string {
		if c := h.Health(); c.Reason != "" {
			return c.Reason + ": " + c.Message
		}
		return ""
	}})
	e.conditions = append(e.conditions, func(time.Time) []condition.Condition { return h.Conditions() })
}

// keepsElsewhere adds what there is to know of a history that is sent on, and read there.
func (e *environment) keepsElsewhere(h kept) {
	e.keeps(h)
	e.checks = append(e.checks, arrives(h))
}

// arrives checks that a history that is sent on gets there.
func arrives(h kept) serve.Check {
	return serve.Check{Name: "history", Test: func() error { return unsent(h.Conditions(), time.Now()) }}
}

// healthError is a store's state as a check wants it.
func healthError(h condition.Condition) error {
	if !h.OK() {
		return fmt.Errorf("%s: %s", h.Reason, h.Message)
	}
	return nil
}

// claim takes the data folder of a history that is kept elsewhere for this process alone.
func (e *environment) claim(dir string) (*disk.Folder, error) {
	data, err := disk.Claim("data folder", dir)
	if err != nil {
		return nil, err
	}
	e.life.Opened("the data folder", data.Release)
	return data, nil
}

// Queue says where and how long records wait for another machine.
type Queue struct {
	Dir               string
	MaxBytes          int64
	MaxAge, SyncEvery time.Duration
}

// open opens the queue; each kind of records has its own.
func (o Queue) open(e *environment, kind string) (*queue.Queue, error) {
	if err := disk.OnlyFiles(filepath.Join(o.Dir, "queue")); err != nil {
		return nil, fmt.Errorf("cannot use queue folder %q: %w", o.Dir, err)
	}
	q, err := queue.Open(queue.Options{Dir: filepath.Join(o.Dir, "queue", kind), MaxBytes: o.MaxBytes, MaxAge: o.MaxAge, SyncEvery: o.SyncEvery,
		Logger: e.named("queue"), Registerer: e.registry})
	if err != nil {
		return nil, err
	}
	e.life.Opened("the queue", q.Close)
	e.life.Runs("queue", q.Run)
	return q, nil
}

// sends is a history that is only sent on, if it could be opened: it adds whether it is taken, and whether it gets there.
func (e *environment) sends(h kept, err error) (collector.Sink, error) {
	if err != nil {
		return nil, err
	}
	e.checks = append(e.checks, serve.Check{Name: "queue", Test: func() error { return healthError(h.Health()) }}, arrives(h))
	return collector.SinkFunc(h.Append), nil
}

// unsent says what has kept the history from being sent for a while, or is for a person to mend.
func unsent(all []condition.Condition, now time.Time) error {
	var errs []error
	for _, c := range all {
		person := slices.Contains([]string{remote.ReasonRefusesUs, influx.ReasonUnauthorized, influx.ReasonForbidden}, c.Reason)
		if c.Type == "HistorySent" && (person || now.Sub(c.Since) > 10*time.Second) {
			errs = append(errs, fmt.Errorf("%s for %s: %s", c.Reason, now.Sub(c.Since).Round(time.Second), c.Message))
		}
	}
	return errors.Join(errs...)
}
