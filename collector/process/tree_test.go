package process

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"plimsoll.dev/plimsoll/collector/cgroup/tick"
)

// kernel is a made-up one with processes that fork, work, end, wait and lose their parents. It does something between
// any two reads of a process, as the real one does.
type kernel struct {
	t       *rapid.T
	all     map[int]*task
	next    int
	forks   int
	truth   uint64 // CPU time of the root and all that came from it
	lossy   bool   // parents may ignore their children, or end before them
	running bool   // something happens
}

type task struct {
	stat
	ignore bool // SIGCHLD is ignored
}

const rootPID, initPID = 10, 1

func newKernel(t *rapid.T, lossy bool) *kernel {
	k := &kernel{t: t, all: map[int]*task{}, next: rootPID + 1, lossy: lossy, running: true}
	k.all[initPID] = &task{stat: stat{state: 'S'}}
	k.all[rootPID] = &task{stat: stat{state: 'S', ppid: initPID, start: 100}}
	return k
}

// step lets one thing happen.
func (k *kernel) step() {
	pids := slices.Sorted(maps.Keys(k.all))[1:] // not init
	pid := rapid.SampledFrom(pids).Draw(k.t, "pid")
	p := k.all[pid]
	if p.state == 'Z' {
		k.reap(pid)
		return
	}
	switch rapid.IntRange(0, 5).Draw(k.t, "what") {
	case 0, 1:
		n := uint64(rapid.IntRange(0, 50).Draw(k.t, "work"))
		p.user += n
		k.truth += n
	case 2:
		if len(k.all) < 12 {
			k.all[k.next] = &task{stat: stat{state: 'S', ppid: pid, start: uint64(101 + k.forks)}}
			k.forks++
			if k.lossy {
				k.all[k.next].ignore = rapid.Bool().Draw(k.t, "ignore")
			}
			// PIDs are used again, and a child's may be lower than its parent's.
			if k.next++; k.next == 20 {
				k.next = 2
			}
			for k.all[k.next] != nil {
				k.next++
			}
		}
	case 3, 4:
		k.exit(pid)
	}
}

// exit ends a process. Its children go to init; in a world that loses nothing it waits for them first.
func (k *kernel) exit(pid int) {
	if pid == rootPID {
		return
	}
	for _, kid := range k.all {
		if kid.ppid != pid {
			continue
		}
		if !k.lossy {
			return
		}
	}
	for _, kid := range k.all {
		if kid.ppid == pid {
			kid.ppid = initPID
		}
	}
	k.all[pid].state = 'Z'
	if parent := k.all[k.all[pid].ppid]; parent.ignore {
		delete(k.all, pid)
	}
}

func (k *kernel) reap(pid int) {
	p := k.all[pid]
	parent := k.all[p.ppid]
	parent.child.user += p.user + p.child.user
	delete(k.all, pid)
}

// one is the table's way to read a process.
func (k *kernel) one(pid int) (stat, string) {
	for k.running && rapid.IntRange(0, 2).Draw(k.t, "happens") == 0 {
		k.step()
	}
	p := k.all[pid]
	if p == nil {
		return stat{}, "gone"
	}
	if k.running && rapid.IntRange(0, 30).Draw(k.t, "fails") == 0 && pid != rootPID {
		return stat{}, "io"
	}
	return p.stat, ""
}

func (k *kernel) total(x *table, tr *tree) (totals, string) {
	x.fill(slices.Sorted(maps.Keys(k.all)), tick.Begin(time.Unix(1, 0)))
	if x.at[rootPID] == nil {
		return totals{}, "io"
	}
	return tr.total(x)
}

// The sum never goes back and is never more than what was used. Where every parent waits for its children and none is
// missed for good, it is all that was used.
func TestTreeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lossy := rapid.Bool().Draw(t, "lossy")
		k := newKernel(t, lossy)
		x := newTable("/proc")
		x.one = k.one
		tr := &tree{root: key{rootPID, 100}}
		var last uint64
		for range rapid.IntRange(1, 30).Draw(t, "looks") {
			sum, why := k.total(x, tr)
			if why != "" {
				continue
			}
			got := sum.user
			if got < last {
				t.Fatalf("the sum went back from %d to %d", last, got)
			}
			if got > k.truth {
				t.Fatalf("the sum is %d, %d were used", got, k.truth)
			}
			last = got
		}
		k.running = false
		for range 3 {
			sum, _ := k.total(x, tr)
			last = sum.user
		}
		if !lossy && last != k.truth {
			t.Fatalf("at the end: got %d, want %d", last, k.truth)
		}
	})
}
