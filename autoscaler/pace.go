package autoscaler

import (
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// A pass that waits for its own time sees samples that are half a second old, and is as late with its answer. So it is made when the figures that
// it rests on come in: of the nodes that a target's ready pods are on, one is followed whose batch comes at the moment at which all pods' samples
// are youngest. There still is one pass in each interval.

const (
	// grace is the part of an interval that a pass waits for a batch that is late.
	grace = 4
	// quiet is after how many intervals a node is not followed any more.
	quiet = 2.5
	// worth is the part of an interval by which the pods' samples must be younger at another node's batch for that one to be followed.
	worth = 0.1
	// mostNodes is how many nodes of a target are looked at: batches of more come at all times.
	mostNodes = 32
)

// pacer knows when the newest batch of each node came, and who waits for the next one. The loop's lock is held.
type pacer map[string]*beat

type beat struct {
	at      time.Time
	waiting map[*target]struct{}
}

// onNode is how many of a target's ready pods are on a node.
type onNode struct {
	node string
	pods int
}

// Fresh tells the loop that the picture has a new batch of what is used on a node: whoever waits for it is passed over now.
func (l *Loop) Fresh(node string) {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.pace[node]
	if b == nil {
		if len(l.pace)%256 == 255 { // nodes come and go
			maps.DeleteFunc(l.pace, func(_ string, b *beat) bool { return len(b.waiting) == 0 && now.Sub(b.at) > time.Minute })
		}
		b = &beat{waiting: map[*target]struct{}{}}
		l.pace[node] = b
	}
	b.at = now
	for t := range b.waiting {
		if !t.busy && t.hung == 0 && t.timer != nil && now.Sub(t.began) >= l.opts.interval/2 && now.Before(t.due) {
			t.due = now
			t.timer.Reset(0)
		}
	}
}

// follow has a target wait for a node's batches; "" for none.
func (p pacer) follow(t *target, node string) {
	if t.follow == node {
		return
	}
	if b := p[t.follow]; b != nil {
		delete(b.waiting, t)
	}
	if t.follow = node; node != "" {
		p[node].waiting[t] = struct{}{}
	}
}

// choose has a target follow the node at whose batch its pods' samples are youngest.
func (p pacer) choose(t *target, now time.Time, interval time.Duration) {
	best, least, present := "", time.Duration(0), time.Duration(-1)
	total := 0
	for _, n := range t.on {
		age, ok := p.age(t, n.node, now, interval)
		if !ok {
			continue
		}
		if total += n.pods; best == "" || age < least {
			best, least = n.node, age
		}
		if n.node == t.follow {
			present = age
		}
	}
	if present >= 0 && present-least < time.Duration(worth*float64(interval)*float64(total)) {
		best = t.follow
	}
	p.follow(t, best)
}

// age is how old the pods' samples are, all together, when a node's batch comes; false for a node that is silent.
func (p pacer) age(t *target, node string, now time.Time, interval time.Duration) (sum time.Duration, ok bool) {
	b := p[node]
	if b == nil || now.Sub(b.at) > time.Duration(quiet*float64(interval)) {
		return 0, false
	}
	for _, n := range t.on {
		if other := p[n.node]; other != nil {
			sum += time.Duration(n.pods) * (((b.at.Sub(other.at))%interval + interval) % interval)
		}
	}
	return sum, true
}

// where counts a target's ready pods on each node.
func (t *target) where(pods []cluster.Pod) {
	t.on = t.on[:0]
next:
	for i := range pods {
		if pods[i].Ready != corev1.ConditionTrue || pods[i].Node == "" {
			continue
		}
		for k := range t.on {
			if t.on[k].node == pods[i].Node {
				t.on[k].pods++
				continue next
			}
		}
		if len(t.on) < mostNodes {
			t.on = append(t.on, onNode{pods[i].Node, 1})
		}
	}
}

// tick is the second that a pass belongs to: one after the other, whatever its batch came late or early by, so that no second of the history is
// left out or seen twice.
func (t *target) tick(now, at time.Time, interval time.Duration) time.Time {
	next := t.second.Add(interval)
	if t.second.IsZero() || now.Sub(next).Abs() > interval*3/4 {
		next = at
	}
	t.began, t.second = now, next
	return next
}

// times are the stages so far of a change that was decided just now.
func (l *Loop) times(t *target, in *policy.Input, looked time.Time) *policy.Times {
	out := &policy.Times{Looked: looked, Decided: time.Now()}
	for i := range in.Looks {
		for _, u := range in.Looks[i].Usage {
			if out.Oldest.IsZero() || u.Timestamp.Before(out.Oldest) {
				out.Oldest = u.Timestamp
			}
			if u.Timestamp.After(out.Sampled) {
				out.Sampled = u.Timestamp
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range t.on {
		if b := l.pace[n.node]; b != nil && b.at.After(out.TakenIn) && !b.at.After(looked) {
			out.TakenIn = b.at
		}
	}
	return out
}
