package vmtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

var errNoPulse = errors.New("the machine has no pulse")

// starvation is how many times the patience a machine may go without a pulse if its emulator does next to nothing
// meanwhile: a busy host keeps it waiting. One that works without a pulse for longer than the patience has hung.
const starvation = 5

// watch returns errNoPulse when the file has not grown for too long, or nil when ctx ends. used says how much CPU time
// the emulator has had.
func watch(ctx context.Context, file string, patience time.Duration, used func() time.Duration) error {
	size, last, had := int64(0), time.Now(), used()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if st, err := os.Stat(file); err == nil && st.Size() > size {
			size, last, had = st.Size(), time.Now(), used()
		}
		silent, work := time.Since(last), used()-had
		if silent > patience && work > patience/2 || silent > starvation*patience {
			return fmt.Errorf("%w for %v, in which its emulator worked %v; %d bytes of it came before", errNoPulse,
				silent.Round(time.Second), work.Round(time.Second), size)
		}
	}
}

// cpuTime is what a process has used, 0 if it is gone (fields 14 and 15 of proc(5)).
func cpuTime(pid int) time.Duration {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0
	}
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(string(f[11]))
	system, _ := strconv.Atoi(string(f[12]))
	return time.Duration(user+system) * time.Second / 100
}
