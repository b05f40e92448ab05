package influx

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/disk"
)

const (
	// bisections is the most requests that are spent on finding the bad lines of one request; what is not found then is set
	// aside with its neighbours.
	bisections = 64
	// patience is how often a request is tried that the server refuses for a reason that we do not know, before it is found out whether it
	// is about the lines.
	patience = 10
	// firstWait and lastWait bound the waits after a failure; configuration faults are tried again within the second half of lastWait.
	firstWait = time.Second
	lastWait  = time.Minute
	// fewestLines is the least that a request is cut down to when deadlines are missed.
	fewestLines = 50
)

// piece sends lines as one request, and again until the server has them or refuses them for ever. It returns false when ctx ended.
func (s *sender) piece(ctx context.Context, lines []byte, budget *int) bool {
	accepted := s.w.accepted.Load()
	for unknown := 0; ; {
		a := s.post(ctx, lines)
		if ctx.Err() != nil && a.class != stored {
			return false
		}
		switch a.class {
		case stored:
			return true
		case tooLarge:
			at := half(lines)
			s.lines = max(1, count(lines)/2)
			return s.piece(ctx, lines[:at], budget) && s.piece(ctx, lines[at:], budget)
		case conflict, unparsable, beyond:
			return s.bisect(ctx, lines, a, budget)
		case refused:
			if unknown++; unknown%patience == 0 && (a.status == http.StatusBadRequest || a.status == http.StatusUnprocessableEntity) {
				found := sifted{others: s.w.accepted.Load() > accepted}
				s.sift(ctx, lines, &found)
				if s.settle(ctx, &found); found.others && !found.stopped {
					return ctx.Err() == nil
				}
			}
		}
		if !s.wait(ctx, a) {
			return false
		}
		if a.class == slow && count(lines) > s.lines {
			return s.deliver(ctx, lines) // in smaller requests
		}
	}
}

// bisect finds the lines that are refused and sets them aside with the server's words (those older than the retention are only
// counted); the others are stored. Lines are sent more
// than once, which is harmless: each carries its time.
func (s *sender) bisect(ctx context.Context, lines []byte, a answer, budget *int) bool {
	at := half(lines)
	if at == 0 || a.dropped == count(lines) || *budget < 2 {
		if a.class == beyond {
			s.beyond(lines, a)
			return true
		}
		return s.setAside(ctx, lines, a)
	}
	*budget -= 2
	return s.piece(ctx, lines[:at], budget) && s.piece(ctx, lines[at:], budget)
}

// sifted is what a refusal that we do not know is about: lines, if the server accepts others.
type sifted struct {
	refused [][]byte
	others  bool // other lines were accepted
	stopped bool // the server said something else meanwhile
	spent   int  // requests
}

// sift sends the halves of what is refused, until each line that is refused stands alone, as far as the requests go.
func (s *sender) sift(ctx context.Context, lines []byte, out *sifted) {
	at := half(lines)
	if at == 0 || out.spent+2 > bisections {
		out.refused = append(out.refused, lines)
		return
	}
	for _, part := range [][]byte{lines[:at], lines[at:]} {
		if out.stopped {
			return
		}
		out.spent++
		switch a := s.post(ctx, part); {
		case a.class == stored:
			out.others = true
		case a.class == refused:
			s.sift(ctx, part, out)
		default:
			out.stopped = true
		}
	}
}

// settle puts the lines that were found among the dead letters, if they are refused once more: the cause may have been mended meanwhile.
func (s *sender) settle(ctx context.Context, found *sifted) {
	for _, part := range found.refused {
		if !found.others || found.stopped {
			return
		}
		switch a := s.post(ctx, part); a.class {
		case stored:
		case refused:
			found.stopped = !s.setAside(ctx, part, a)
		default:
			found.stopped = true
		}
	}
}

// post sends one request and says how it went. It keeps the conditions.
func (s *sender) post(ctx context.Context, lines []byte) answer {
	c, cancel := context.WithTimeout(ctx, s.w.opts.Timeout)
	defer cancel()
	start := time.Now()
	err := s.w.write.WriteRecord(c, string(bytes.TrimSuffix(lines, []byte{'\n'})))
	a := classify(err, time.Now())
	if a.class == tooLarge && half(lines) == 0 {
		a.class = oversized
	}
	s.w.met.requests.WithLabelValues(s.lane, a.class.String()).Inc()
	s.w.met.duration.Observe(time.Since(start).Seconds())
	if a.class == stored {
		s.w.accepted.Add(1)
		s.w.met.lines.WithLabelValues(s.lane).Add(float64(count(lines)))
		s.w.met.bytes.WithLabelValues(s.lane).Add(float64(len(lines)))
		s.w.noteLate(lines)
	}
	if reasons[a.class] == "" { // the server accepted the request and judged it
		s.tries = 0
		if held := s.w.hold(s.lane, ""); len(held) > 0 {
			s.log.Info("InfluxDB takes data again", "was", held)
		}
		if s.good++; s.good >= 10 && s.lines < s.w.opts.maxLines {
			s.good, s.lines = 0, min(2*s.lines, s.w.opts.maxLines)
		}
		return a
	}
	if ctx.Err() != nil {
		return a
	}
	s.good = 0
	if a.class == slow {
		s.lines = max(min(fewestLines, s.w.opts.maxLines), min(count(lines), s.lines)/2)
	}
	if a.class == unauthorized { // perhaps there is a new one
		if err := s.w.opts.Conn.ReadToken(); err != nil {
			a.message += "; " + err.Error()
		}
	}
	s.blocked(a)
	return a
}

// blocked makes the condition of an answer that keeps the lane from going on.
func (s *sender) blocked(a answer) {
	o := &s.w.opts.Conn.opts
	var m string
	switch a.class {
	case unauthorized:
		m = fmt.Sprintf("InfluxDB at %q does not accept the token of file %q (on 1.x: user:password): %s", o.URL, o.TokenFile, a.message)
		if o.TokenFile == "" {
			m = fmt.Sprintf("InfluxDB at %q wants a token, and no token file is given: %s", o.URL, a.message)
		}
	case forbidden:
		m = fmt.Sprintf("the token has no right to write to bucket %q (was that made anew? On 2.x a token is for one bucket, not for its name: \"plimsoll influx setup --tokens\" makes one): %s", o.Bucket, a.message)
	case noOrg:
		m = fmt.Sprintf("InfluxDB at %q has no organization %q: %s", o.URL, o.Org, a.message)
	case noBucket:
		m = fmt.Sprintf("InfluxDB at %q has no bucket or database %q (or the token may not see it); \"plimsoll influx setup\" makes it, on 2.x with --tokens and a new token for %s, as those of a deleted bucket are not for the next: %s", o.URL, o.Bucket, cmp.Or(o.TokenFile, "the token file"), a.message)
	case limited:
		m = fmt.Sprintf("InfluxDB at %q is at a limit that its operator has set, and refuses new series until it is raised or series are deleted: %s", o.URL, a.message)
		if name := setting(a.message); name != "" {
			m = fmt.Sprintf("InfluxDB at %q has reached its setting %s, and refuses new series until that is raised or series are deleted: %s", o.URL, name, a.message)
		}
	case oversized:
		m = fmt.Sprintf("InfluxDB at %q, or a proxy before it, accepts no request as long as one line (raise max-body-size, the proxy's limit of a body): %s", o.URL, a.message)
	case notInflux:
		m = fmt.Sprintf("%q is not an InfluxDB of 1.8 or newer: %s", o.URL, a.message)
	case busy:
		m = fmt.Sprintf("InfluxDB at %q takes nothing at present: %s", o.URL, a.message)
		if strings.Contains(a.message, "no space left") {
			m = fmt.Sprintf("the disk of InfluxDB at %q is full: %s", o.URL, a.message)
		}
	case refused:
		m = fmt.Sprintf("InfluxDB at %q refuses a request: %s", o.URL, a.message)
	default:
		m = fmt.Sprintf("InfluxDB at %q cannot be reached: %s", o.URL, a.message)
	}
	s.w.hold(s.lane, reasons[a.class])
	if s.w.cond.Say(reasons[a.class], m+". What was collected stays queued.") {
		s.log.Warn("InfluxDB takes no data", "reason", reasons[a.class], "url", o.URL, "bucket", o.Bucket, "message", a.message)
	}
}

// hold notes what keeps a lane from going on, "" if nothing does, and ends the conditions that hold no more: those that did end are returned. What
// is about the server is over when another lane hears something else of it; what is about a lane's lines is not.
func (w *Writer) hold(lane, reason string) []string {
	w.heldMu.Lock()
	defer w.heldMu.Unlock()
	for l, r := range w.held {
		if r != ReasonLimit && r != ReasonTooLarge && r != ReasonRefused {
			delete(w.held, l)
		}
	}
	if w.held[lane] = reason; reason == "" {
		delete(w.held, lane)
	}
	var over []string
	for _, r := range reasons {
		if !slices.Contains(slices.Collect(maps.Values(w.held)), r) {
			over = append(over, r)
		}
	}
	w.met.blocked.Set(float64(min(len(w.held), 1)))
	return w.cond.Clear(over...)
}

// wait waits before the next try; false when ctx ended.
func (s *sender) wait(ctx context.Context, a answer) bool {
	d := s.delay(a)
	s.tries++
	return s.pause(ctx, d)
}

// delay is full jitter: anything between zero and a bound that doubles; but at least what the server asked for, and for
// faults of the configuration 30 to 60 s.
func (s *sender) delay(a answer) time.Duration {
	if a.class.configuration() || a.class == refused { // what a person has to mend
		return lastWait/2 + time.Duration(s.w.opts.Random()*float64(lastWait/2))
	}
	bound := lastWait
	if s.tries < 6 {
		bound = min(firstWait<<s.tries, lastWait)
	}
	return max(time.Duration(s.w.opts.Random()*float64(bound)), 20*time.Millisecond, a.wait)
}

func (s *sender) pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// beyond counts points that are older than the server keeps: it would delete them the next moment.
func (s *sender) beyond(lines []byte, a answer) {
	n := a.dropped
	if n < 0 {
		n = count(lines)
	}
	s.w.met.refused.WithLabelValues(a.class.String()).Add(float64(n))
	m := fmt.Sprintf("lines older than bucket %q keeps were left out, as the server's retention asks: %s", s.w.opts.Conn.opts.Bucket, a.message)
	if s.w.cond.SayFor(remembered, ReasonBeyond, m) {
		s.log.Warn("lines are older than the retention", "lines", n, "message", a.message)
	}
}

// setAside puts lines that are refused for ever among the dead letters. It returns false when ctx ended before that.
func (s *sender) setAside(ctx context.Context, lines []byte, a answer) bool {
	n := count(lines)
	if a.dropped > 0 && a.dropped < n {
		n = a.dropped
	}
	s.w.met.refused.WithLabelValues(a.class.String()).Add(float64(n))
	m := fmt.Sprintf("InfluxDB refused lines for ever, they are among the dead letters: %s", a.message)
	if a.class == conflict {
		m += fmt.Sprintf(". Does something else write to bucket %q? Plimsoll wants one of its own", s.w.opts.Conn.opts.Bucket)
	}
	if s.w.cond.SayFor(remembered, ReasonSetAside, m) {
		s.log.Warn("InfluxDB refuses lines for ever", "class", a.class.String(), "lines", n, "message", a.message)
	}
	err := errNoDeadLetters
	for try := 0; try < 5 && s.w.opts.DeadLetters != nil; try++ {
		if err = s.w.opts.DeadLetters.SetAside(lines, a.message); err == nil {
			return true
		}
		s.log.Warn("cannot set refused lines aside", "lines", n, "err", err)
		if !s.pause(ctx, firstWait<<try) { // perhaps the disk is full for a moment
			return false
		}
	}
	if err != nil {
		s.w.met.lost.Add(float64(n))
		s.w.cond.SayFor(remembered, ReasonLost, "lines that InfluxDB refused could not be kept: "+disk.Explain(err).Error())
		s.log.Error("refused lines are lost", "lines", n, "err", err)
	}
	return true
}
