package queue

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// lane is one of the two ways out.
type lane struct {
	fresh   bool
	waiting int // readers in Fresh or Backlog
	out     int // memory of what was handed out and not got back
}

// Fresh waits for fresh records and returns the newest of them, oldest first within the batch. The caller must end the
// batch with Ack or Nack; the next call does not wait for that.
func (q *Queue) Fresh(ctx context.Context) (*Batch, error) { return q.receive(ctx, &q.fresh) }

// Backlog waits for records and returns the oldest. Fresh ones are left to Fresh while a reader waits there. The caller
// must end the batch with Ack or Nack; the next call does not wait for that.
func (q *Queue) Backlog(ctx context.Context) (*Batch, error) { return q.receive(ctx, &q.backlog) }

func (q *Queue) receive(ctx context.Context, l *lane) (*Batch, error) {
	q.mu.Lock()
	l.waiting++
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		l.waiting--
		q.wakeLocked() // what was left to this lane may be for the other now
		q.mu.Unlock()
	}()
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p, changed, err := q.pick(l)
		switch {
		case err != nil:
			return nil, err
		case p.load != nil:
			q.rest(ctx, q.load(p.load))
		case len(p.refs) > 0:
			b, err := q.read(l, p)
			if b != nil {
				return b, nil
			}
			q.rest(ctx, err)
		default:
			select {
			case <-ctx.Done():
			case <-changed:
			}
		}
	}
}

// rest waits a second after something that may pass.
func (q *Queue) rest(ctx context.Context, err error) {
	if err == nil {
		q.cond.Clear(ReasonReadFailed)
		return
	}
	if q.cond.Say(ReasonReadFailed, fmt.Sprintf("cannot read %q at present: %v", q.opts.Dir, err)) {
		q.log.Warn("queue cannot be read at present", "dir", q.opts.Dir, "err", err)
	}
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// ref is a record that is handed out.
type ref struct {
	s *segment
	i int
	e entry
}

// picked is what a lane may hand out, or the segment that must be loaded to know.
type picked struct {
	refs          []ref
	bytes, points int
	weight        int
	load          *segment
	opts          *Options
}

// add puts a record in and says whether there was room for it.
func (p *picked) add(s *segment, i int) bool {
	e := s.index[i]
	if len(p.refs) > 0 && (p.bytes+int(e.raw) > p.opts.batchBytes || p.points+int(e.points) > p.opts.batchPoints || len(p.refs) >= 4096) {
		return false
	}
	p.refs = append(p.refs, ref{s, i, e})
	p.bytes += int(e.raw)
	p.weight += e.weight()
	p.points += int(e.points)
	s.lease(i, e.points)
	return true
}

// ready says whether the segment's index is there; if not and nothing was picked yet, it is to be loaded.
func (p *picked) ready(q *Queue, s *segment) bool {
	if s.index == nil {
		if len(p.refs) == 0 {
			p.load = s
		}
		return false
	}
	q.seq++
	s.used = q.seq
	return true
}

// pick marks the records of the next batch as handed out.
func (q *Queue) pick(l *lane) (picked, <-chan struct{}, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	p := picked{opts: &q.opts}
	if q.closed {
		return p, nil, ErrClosed
	}
	if l.out < q.opts.inFlightBytes {
		floor := q.marks.floor(q.opts.uptime(), q.opts.FreshFor, q.next)
		if l.fresh {
			q.pickNewest(&p, floor)
		} else {
			if q.fresh.waiting == 0 || q.fresh.out >= q.opts.inFlightBytes {
				floor = q.next
			}
			q.pickOldest(&p, floor)
		}
		l.out += p.weight
	}
	return p, q.changed, nil
}

func (q *Queue) pickNewest(p *picked, floor uint64) {
	defer func() { slices.Reverse(p.refs) }()
	for _, s := range slices.Backward(q.segs) {
		if s.next() <= floor {
			return
		}
		if s.free() <= 0 {
			continue
		}
		if !p.ready(q, s) {
			return
		}
		low := int(max(floor, s.base) - s.base)
		for i := lastFree(s.acked, s.leased, low, s.span); i >= 0; i = lastFree(s.acked, s.leased, low, i) {
			if !p.add(s, i) {
				return
			}
		}
	}
}

// pickOldest picks from the oldest, but nothing from limit on.
func (q *Queue) pickOldest(p *picked, limit uint64) {
	for _, s := range q.segs {
		if s.base >= limit {
			return
		}
		if s.free() <= 0 {
			continue
		}
		n := int(min(limit-s.base, uint64(s.span)))
		if !p.ready(q, s) {
			return
		}
		for i := firstFree(s.acked, s.leased, 0, n); i >= 0; i = firstFree(s.acked, s.leased, i+1, n) {
			if !p.add(s, i) {
				return
			}
		}
	}
}
