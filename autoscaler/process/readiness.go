package process

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"
)

const (
	execEvery    = time.Second
	execTimeout  = time.Second
	connectEvery = 250 * time.Millisecond
)

// probe finds out when a replica that was just started is ready. The channel gives an error for each failed
// try, nil when the replica is ready, and is closed when the prober has ended.
func (r *replica) probe(ctx context.Context, g group) <-chan error {
	ready := make(chan error)
	go func() {
		defer close(ready)
		rd := r.spec.ReadyWhen
		every := execEvery
		if rd.Connect != "" {
			every = connectEvery
		}
		if !sleep(ctx, rd.After) {
			return
		}
		for {
			err := r.try(ctx, g)
			select {
			case ready <- err:
			case <-ctx.Done():
				return
			}
			if err == nil || !sleep(ctx, every) {
				return
			}
		}
	}()
	return ready
}

// try asks once whether the replica is ready.
func (r *replica) try(ctx context.Context, g group) error {
	rd, x := r.spec.ReadyWhen, r.spec.expander(r.ordinal)
	switch {
	case rd.Connect != "":
		network, addr := "tcp", x.Replace(rd.Connect)
		if path, ok := strings.CutPrefix(addr, "unix:"); ok {
			network, addr = "unix", path
		}
		d := net.Dialer{Timeout: execTimeout}
		conn, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return fmt.Errorf("cannot connect to %q: %w", x.Replace(rd.Connect), err)
		}
		conn.Close()
	case len(rd.Exec) > 0:
		w, stop, err := r.out.follow(r.log, r.lost)
		if err != nil {
			return err
		}
		defer stop()
		defer w.Close()
		return r.sup.spawn.runFor(ctx, r.command(rd.Exec, g, w), execTimeout)
	}
	return nil
}

// sleep waits, and says whether it was not cut short.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
