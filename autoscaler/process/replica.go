package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"
)

// State is what a replica is doing.
type State string

// The states of a replica.
const (
	Starting   State = "starting"    // runs, not ready yet
	Ready      State = "ready"       // runs and can take work
	Draining   State = "draining"    // was told to end
	BackingOff State = "backing-off" // ended or could not be started; waits before the next try
	Dead       State = "dead"        // has ended; what it left behind is being cleared
)

// Replica is what is known about one replica at one moment.
type Replica struct {
	Name      string
	Ordinal   int
	PID       int // of the process that was started; 0 when none runs
	State     State
	Since     time.Time // when State began
	Ready     bool
	ReadyAt   time.Time // when Ready last changed; zero if it never did
	Created   time.Time // when the replica came to be; restarts do not change it
	StartTime time.Time // when the process was last started; zero before the first time
	Restarts  int
	Cgroup    string // path below the mount point; "" when there is none and usage is to be measured by process
	Detail    string // for people: why it is in this state, "" where the state says all
}

// replica is the life of one replica: one goroutine in run, what others may read under the supervisor's lock.
type replica struct {
	sup     *Supervisor
	key     Key
	uid     string // another replica of the same name has another one
	ordinal int
	log     *slog.Logger
	stop    chan struct{} // closed to end it
	renew   chan struct{} // one message to start it anew with the service's newest description
	out     output
	back    backoff
	spec    Service // what the running process was started with

	// Under the supervisor's lock. Of now, the supervisor writes what drain does and this replica everything else.
	want    Service // what the next process is to be started with
	stopped bool    // stop is closed
	renewed bool    // renew was sent and the process has not been started since
	now     Replica
}

// errRenew ends a process whose service's description has changed; errExited says that one ended by itself.
var (
	errRenew  = errors.New("renewed")
	errExited = errors.New("exited")
)

// set changes what others see. A replica that was told to end shows as draining until it is gone.
func (r *replica) set(change func(n *Replica)) {
	r.sup.mu.Lock()
	defer r.sup.mu.Unlock()
	before := r.now
	change(&r.now)
	if r.stopped {
		r.now.State = Draining
	}
	at := time.Now()
	r.now.Ready = r.now.State == Ready
	if r.now.Ready != before.Ready {
		r.now.ReadyAt = at
	}
	if r.now.State != before.State {
		r.now.Since = at
		r.sup.reconcile()
	}
}

// run keeps the replica going until it is told to stop, and returns when nothing of it is left.
func (r *replica) run() {
	for {
		err := r.once()
		switch {
		case r.stopping():
			if err != nil && !errors.Is(err, errRenew) && !errors.Is(err, errExited) {
				r.log.Warn("cannot clear a replica", "err", err)
			}
			return
		case errors.Is(err, errRenew):
			r.back = backoff{}
			continue
		}
		if !r.wait(err) {
			return
		}
	}
}

// wait lets the back-off pass, and says whether the replica is to be started again.
func (r *replica) wait(err error) bool {
	up := time.Duration(0)
	if errors.Is(err, errExited) {
		up = time.Since(r.now.StartTime)
	}
	delay := r.back.next(up, r.sup.opts.jitter())
	r.sup.metrics.restarts.WithLabelValues(r.key.Namespace, r.key.Name).Inc()
	r.set(func(n *Replica) {
		if !errors.Is(err, errExited) {
			n.Detail = err.Error()
		}
		n.Detail += fmt.Sprintf("; started again %s later", delay.Round(100*time.Millisecond))
		n.State, n.PID = BackingOff, 0
		n.Restarts++
	})
	r.log.Warn("replica backs off", "detail", r.now.Detail)
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.renew:
		r.back = backoff{}
		return true
	case <-r.stop:
		return false
	}
}

func (r *replica) stopping() bool {
	select {
	case <-r.stop:
		return true
	default:
		return false
	}
}

// once starts the replica and sees it through to its end: errExited, errRenew, nil when it was told to end, or
// why it could not be started or not be cleared.
func (r *replica) once() (err error) {
	r.adopt()
	g, err := r.sup.group(r.key, r.now.Name, &r.spec)
	if err != nil {
		return err
	}
	w, stopOutput, err := r.out.follow(r.log, r.lost)
	if err != nil {
		return errors.Join(fmt.Errorf("cannot read the output of %q: %w", r.now.Name, err), g.remove())
	}
	p, err := r.start(g, w)
	w.Close()
	if err != nil {
		stopOutput()
		return errors.Join(err, g.remove())
	}
	ctx, cancel := context.WithCancel(context.Background()) // for the probes: ends with the process, at the latest
	ready := r.probe(ctx, g)
	why := r.watch(p, ready)
	if !errors.Is(why, errExited) {
		r.drain(p, g)
	}
	cancel()
	for range ready { // until the prober has ended
	}
	<-p.exited
	err = g.kill() // children that outlived it
	how := describe(p.reap())
	if g.starved() {
		how = fmt.Sprintf("was out of memory (limit %d MiB): %s", r.spec.Limits.Memory>>20, how)
	}
	stopOutput()
	r.set(func(n *Replica) {
		n.State, n.PID = Dead, 0
		n.Detail = fmt.Sprintf("%s after %s", how, time.Since(p.started).Round(100*time.Millisecond))
		if line := r.out.last(); line != "" {
			n.Detail += fmt.Sprintf("; its last line was %q", line)
		}
	})
	if err = errors.Join(err, g.remove()); err != nil {
		return err
	}
	return why
}

// lost counts output that came too fast to be read.
func (r *replica) lost(bytes int) {
	r.sup.metrics.lost.WithLabelValues(r.key.Namespace, r.key.Name).Add(float64(bytes))
}

// adopt takes over the newest description of the service.
func (r *replica) adopt() {
	r.sup.mu.Lock()
	defer r.sup.mu.Unlock()
	r.spec, r.renewed = r.want, false
	select {
	case <-r.renew:
	default:
	}
}

// start starts the replica's process in its group.
func (r *replica) start(g group, out *os.File) (*proc, error) {
	p, err := r.sup.spawn.start(r.command(r.spec.Command, g, out))
	if err != nil {
		return nil, err
	}
	r.set(func(n *Replica) {
		n.State, n.PID, n.StartTime, n.Cgroup, n.Detail = Starting, p.pid, p.started, g.path(), ""
	})
	r.log.Debug("replica started", "pid", p.pid, "cgroup", g.path())
	return p, nil
}

// watch waits until the process ends (errExited), or is to end (errRenew, or nil for good), marking it ready on the way.
func (r *replica) watch(p *proc, ready <-chan error) error {
	for {
		select {
		case <-p.exited:
			return errExited
		case <-r.stop:
			return nil
		case <-r.renew:
			r.set(func(n *Replica) { n.State, n.Detail = Draining, "the service was changed" })
			return errRenew
		case err, ok := <-ready:
			switch {
			case !ok:
				ready = nil
			case err != nil:
				r.set(func(n *Replica) { n.Detail = "not ready: " + err.Error() })
			default:
				r.set(func(n *Replica) { n.State, n.Detail = Ready, "" })
			}
		}
	}
}

// drain asks the replica to end and waits until all of it has, or until its time is over; then it kills it.
func (r *replica) drain(p *proc, g group) {
	deadline := time.Now().Add(r.spec.drain())
	p.signal(syscall.SIGTERM)
	timer := time.NewTimer(r.spec.drain())
	defer timer.Stop()
	select {
	case <-p.exited:
		// Its children may still be at work.
		pause := 5 * time.Millisecond
		for len(g.procs()) > 0 && time.Now().Before(deadline) {
			time.Sleep(pause)
			pause = min(2*pause, 200*time.Millisecond)
		}
	case <-timer.C:
		r.log.Warn("replica did not end in time and is killed", "pid", p.pid, "drain", r.spec.drain())
		r.sup.metrics.killed.WithLabelValues(r.key.Namespace, r.key.Name).Inc()
		p.signal(syscall.SIGKILL)
	}
}

// command is a command line of the service as this replica runs it.
func (r *replica) command(line []string, g group, out *os.File) command {
	x := r.spec.expander(r.ordinal)
	c := command{env: r.spec.environ(r.sup.opts.Env, r.ordinal, r.sup.mark(r.key, r.now.Name)), dir: r.spec.Dir, group: g, out: out, rights: r.spec.GainRights}
	for _, a := range line {
		c.argv = append(c.argv, x.Replace(a))
	}
	return c
}
