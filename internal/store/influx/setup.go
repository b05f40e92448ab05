package influx

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// SetupOptions say what a server should have.
type SetupOptions struct {
	Conn *Conn
	// Retention is how long raw data is kept in what is made; zero for ever. 1.x keeps an hour at least.
	Retention time.Duration
	// ChangeRetention gives it also to what exists already, whose retention is left as it is else.
	ChangeRetention bool
	// Force allows what deletes data, or takes a name from another bucket: a retention shorter than that of what exists, an InfluxQL name
	// that somebody has given. Else such a step is refused.
	Force bool
	// Tokens makes tokens on 2.x that can do no more than their part.
	Tokens bool
}

// Validate says what in the options cannot be.
func (o *SetupOptions) Validate() error {
	switch {
	case o.Conn == nil:
		return errors.New("no connection")
	case o.Retention < 0:
		return fmt.Errorf("retention %q is negative", o.Retention)
	case o.Retention > 0 && o.Retention < time.Hour:
		return fmt.Errorf("retention %q is under one hour, the least that InfluxDB keeps", o.Retention)
	case o.Retention%time.Second != 0:
		return errors.New("the retention is not in whole seconds")
	}
	return nil
}

// Setup makes what the data needs on the server: database or bucket with its retention, roll-ups, mappings, tokens.
type Setup struct {
	opts SetupOptions
	conn *Conn
}

// NewSetup checks the options; it does not talk to the server.
func NewSetup(o SetupOptions) (*Setup, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("cannot set InfluxDB up: %w", err)
	}
	return &Setup{opts: o, conn: o.Conn}, nil
}

// Plan is what is there and what would be done.
type Plan struct {
	Version Version
	Place   Place
	Steps   []*Step
	// Notes are for people: what set-up cannot do on this server, and what to do instead.
	Notes []string
}

// Step is one thing that the server should have.
type Step struct {
	What string // "database \"plimsoll\" that keeps 360h0m0s"
	// Done: it is there already.
	Done bool
	// Change says what is there instead; "" if nothing is.
	Change string
	// Request is the statement or request that makes it, for a dry run.
	Request string
	// Refusal is why it is not made without Force; nil if it may be.
	Refusal error
	// Err is why it could not be made.
	Err error

	apply func(ctx context.Context) error
}

// String tells a step in a line.
func (s *Step) String() string {
	switch {
	case s.Err != nil:
		return fmt.Sprintf("failed  %s: %v", s.What, s.Err)
	case s.Done:
		return "ok      " + s.What
	case s.Refusal != nil:
		return fmt.Sprintf("refused %s: %v", s.What, s.Refusal)
	case s.Change != "":
		return fmt.Sprintf("change  %s (now %s)", s.What, s.Change)
	}
	return "create  " + s.What
}

// Pending are the steps that are still to be done.
func (p *Plan) Pending() []*Step {
	var out []*Step
	for _, s := range p.Steps {
		if !s.Done {
			out = append(out, s)
		}
	}
	return out
}

// Result is what Apply left.
type Result struct {
	// Tokens are those of 2.x, when they were asked for.
	Tokens []Token
}

// Token is a token of 2.x that can do no more than its part.
type Token struct {
	Role  string // "collector" writes raw data; "server" also reads and rolls up
	Value string
}

// planner makes the plan of one generation.
type planner interface {
	plan(ctx context.Context) error
	result() Result
}

// Plan asks the server what it has and says what is to be done. It changes nothing.
func (s *Setup) Plan(ctx context.Context) (*Plan, error) {
	p, _, err := s.survey(ctx)
	return p, err
}

// Refused says which steps would be refused; nil if none would.
func (p *Plan) Refused() error {
	var errs []error
	for _, step := range p.Pending() {
		if step.Refusal != nil {
			errs = append(errs, fmt.Errorf("cannot make %s: %w", step.What, step.Refusal))
		}
	}
	return brief(errs)
}

func (s *Setup) survey(ctx context.Context) (*Plan, planner, error) {
	v, err := s.conn.Detect(ctx)
	if err != nil {
		return nil, nil, err
	}
	p := &Plan{Version: v, Place: s.conn.Place(v)}
	var pl planner
	switch v.Major {
	case 1:
		pl = &setup1{Setup: s, p: p}
	case 2:
		pl = &setup2{Setup: s, p: p}
	default:
		pl = &setup3{Setup: s, p: p}
	}
	if err := pl.plan(ctx); err != nil {
		return nil, nil, fmt.Errorf("cannot plan the set-up of %v at %q: %w", v, s.conn.URL(), err)
	}
	return p, pl, nil
}

// ErrRefused is a step that would delete data or take a name from another bucket, and is not forced.
var ErrRefused = errors.New("it is not done without --force")

// errNotYet is a step that needs what an earlier one makes.
var errNotYet = errors.New("its bucket is not there")

// Apply does what is pending, asks again whether it is there, and returns the plan as it is then. A step that fails does not
// keep the others from being done; its error is in the step and in what is returned.
func (s *Setup) Apply(ctx context.Context) (*Plan, Result, error) {
	failed, waiting := map[string]error{}, map[string]error{}
	var errs []error
	for pass := 0; ; pass++ { // what a later step needs (a bucket's ID) is known when the earlier one is done
		p, pl, err := s.survey(ctx)
		if err != nil {
			return nil, Result{}, err
		}
		progress := false
		for _, step := range p.Pending() {
			if step.Refusal != nil {
				failed[step.What] = fmt.Errorf("cannot make %s: %w", step.What, step.Refusal)
			}
			if failed[step.What] == nil && pass < 4 {
				switch err := step.apply(ctx); {
				case errors.Is(err, errNotYet): // perhaps in the next pass
					waiting[step.What] = err
				case err != nil:
					failed[step.What] = fmt.Errorf("cannot make %s: %w", step.What, err)
				default:
					progress = true
					delete(waiting, step.What)
				}
			}
		}
		if progress {
			continue
		}
		for _, step := range p.Pending() {
			switch step.Err = failed[step.What]; {
			case step.Err == nil && waiting[step.What] != nil:
				step.Err = fmt.Errorf("cannot make %s: %w", step.What, errNotYet)
			case step.Err == nil:
				step.Err = fmt.Errorf("%s was made, but is not there", step.What)
			}
			errs = append(errs, step.Err)
		}
		return p, pl.result(), brief(errs)
	}
}

// brief joins errors, telling those in full that are not for the same reason as the one before.
func brief(errs []error) error {
	kind := func(err error) error {
		for _, k := range []error{ErrForbidden, ErrUnauthorized, errNotYet} {
			if errors.Is(err, k) {
				return k
			}
		}
		return nil
	}
	var out []error
	for i := 0; i < len(errs); {
		n := 1
		for k := kind(errs[i]); k != nil && i+n < len(errs) && errors.Is(errs[i+n], k); {
			n++
		}
		err := errs[i]
		if n > 1 {
			err = fmt.Errorf("%w; and %d further steps for the same reason", err, n-1)
		}
		out = append(out, err)
		i += n
	}
	return errors.Join(out...)
}

// existing plans the retention of what exists: thing keeps data for got, and oldest says of when its first data is. It is left as it is
// unless another is asked for; a shorter one is refused unless it is forced, and says what would be lost.
func (s *Setup) existing(ctx context.Context, thing string, r RollUp, got time.Duration, from string) *Step {
	want := s.retention(r)
	switch shorter := want > 0 && (got == 0 || want < got); {
	case got == want:
		return &Step{What: fmt.Sprintf("%s that keeps data %s", thing, keeps(got)), Done: true}
	case r != Raw || !s.opts.ChangeRetention:
		return &Step{What: fmt.Sprintf("%s, left as it is: it keeps data %s", thing, keeps(got)), Done: true}
	case shorter:
		step := &Step{What: fmt.Sprintf("%s that keeps data %s", thing, keeps(want)), Change: "it keeps data " + keeps(got) + "; " + s.loss(ctx, time.Now().Add(-want), from)}
		if !s.opts.Force {
			step.Refusal = fmt.Errorf("%s: %w", step.Change, ErrRefused)
		}
		return step
	}
	return &Step{What: fmt.Sprintf("%s that keeps data %s", thing, keeps(want)), Change: "it keeps data " + keeps(got)}
}

// lossTimeout bounds the question for the oldest data.
const lossTimeout = 20 * time.Second

// loss says what is older than a time, and would be deleted.
func (s *Setup) loss(ctx context.Context, before time.Time, from string) string {
	ctx, cancel := context.WithTimeout(ctx, lossTimeout)
	defer cancel()
	oldest, err := s.oldest(ctx, from)
	day := func(t time.Time) string { return t.UTC().Format(time.DateOnly) }
	switch {
	case err != nil:
		return fmt.Sprintf("what is older than %s is deleted, and of when that is cannot be said: %v", day(before), err)
	case oldest.IsZero() || !oldest.Before(before):
		return fmt.Sprintf("what is older than %s is deleted, and nothing that is there is so old", day(before))
	}
	return fmt.Sprintf("what is older than %s is deleted: %.1f days of data, from %s on", day(before), before.Sub(oldest).Hours()/24, day(oldest))
}

// oldest is the time of the first data; zero if there is none.
func (s *Setup) oldest(ctx context.Context, from string) (time.Time, error) {
	ts, err := s.conn.influxQL(ctx, fmt.Sprintf("SELECT * FROM %s./.*/ ORDER BY time LIMIT 1", from))
	if err != nil {
		return time.Time{}, err
	}
	var first time.Time
	for i := range ts {
		for _, row := range ts[i].Values {
			at, err := time.Parse(time.RFC3339, ts[i].col(row, "time"))
			if err != nil {
				return time.Time{}, fmt.Errorf("cannot read the time of the oldest data: %w", err)
			}
			if first.IsZero() || at.Before(first) {
				first = at
			}
		}
	}
	return first, nil
}

// retention is how long a resolution is kept; zero for ever.
func (s *Setup) retention(r RollUp) time.Duration {
	return [...]time.Duration{s.opts.Retention, 400 * 24 * time.Hour, 5 * 365 * 24 * time.Hour}[r]
}

// keeps says how long in words.
func keeps(d time.Duration) string {
	switch {
	case d == 0:
		return "for ever"
	case d%(24*time.Hour) == 0:
		return fmt.Sprintf("for %d days", d/(24*time.Hour))
	}
	return "for " + strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "0m")
}
