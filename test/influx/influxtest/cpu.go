package influxtest

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// CPU is the processor time that the running process has used.
func (s *Server) CPU() time.Duration {
	s.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:])) // from the third field on
	return ticks(s.t, f[11:13])
}

// Machine is how long the machine's processors were idle, and how long there were any, since it started.
func Machine(t testing.TB) (idle, all time.Duration) {
	t.Helper()
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	f := strings.Fields(line)[1:9] // user nice system idle iowait irq softirq steal
	return ticks(t, f[3:5]), ticks(t, f)
}

// ticks sums numbers of hundredths of a second, as the kernel gives them.
func ticks(t testing.TB, fields []string) time.Duration {
	t.Helper()
	sum := int64(0)
	for _, f := range fields {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return time.Duration(sum) * 10 * time.Millisecond
}
