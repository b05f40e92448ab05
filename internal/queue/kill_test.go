package queue

import (
	"bufio"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const childEnv = "PLIMSOLL_QUEUE_CHILD"

// TestMain is the test, or, when the environment says so, the child that is killed. A child never runs the tests: a
// test binary that was started by itself without that word ends at once.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		first, _ := strconv.Atoi(os.Getenv(childEnv + "_FIRST"))
		child(dir, first)
		os.Exit(0)
	}
	worker := slices.ContainsFunc(os.Args, func(a string) bool { return strings.HasPrefix(a, "-test.fuzzworker") })
	parent, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", os.Getppid()))
	if self, err2 := os.Executable(); err == nil && err2 == nil && parent == self && !worker {
		fmt.Fprintln(os.Stderr, "started by itself without a role")
		os.Exit(3)
	}
	os.Exit(m.Run())
}

// killRecord is record number i of the killed child; its bytes follow from its number.
func killRecord(i int) []byte {
	rng := rand.New(rand.NewPCG(uint64(i), 1))
	b := fmt.Appendf(nil, "%d ", i)
	for range rng.IntN(300) {
		b = fmt.Appendf(b, "field_%d=%d,", rng.IntN(20), rng.IntN(1000))
	}
	if i%7 == 0 { // bytes that cannot be compressed
		for range rng.IntN(3000) {
			b = append(b, byte(rng.Uint32()))
		}
	}
	return b
}

// child appends as fast as it can, reads on both lanes, and tells: "a N" after record N was acknowledged by Append, "d N
// CRC" before it acknowledges record N to the queue.
func child(dir string, first int) {
	go func() { // the parent is gone
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	q, err := Open(Options{Dir: dir, SegmentBytes: 64 << 10, SyncEvery: 20 * time.Millisecond, batchPoints: 20})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	outage := os.Getenv(childEnv+"_OUTAGE") != ""
	ctx := context.Background()
	go func() { _ = q.Run(ctx) }()
	var mu sync.Mutex
	tell := func(b []byte) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = os.Stdout.Write(b)
	}
	for lane, next := range []func(context.Context) (*Batch, error){q.Fresh, q.Backlog} {
		go func() {
			for n := 0; ; n++ {
				b, err := next(ctx)
				if err != nil {
					tell([]byte("error " + err.Error() + "\n"))
					return
				}
				if outage || n%5 == 3+lane { // it comes again
					b.Nack()
					time.Sleep(time.Millisecond)
					continue
				}
				var lines []byte
				for _, r := range b.Records {
					i, _, _ := strings.Cut(string(r.Data), " ")
					lines = fmt.Appendf(lines, "d %s %d\n", i, crc32.ChecksumIEEE(r.Data))
				}
				tell(lines)
				b.Ack()
			}
		}()
	}
	for i := first; ; i++ {
		if err := q.Append(ctx, killRecord(i), Meta{Points: 1}); err != nil {
			tell([]byte("error " + err.Error() + "\n"))
			return
		}
		tell(fmt.Appendf(nil, "a %d\n", i))
	}
}

// killed is what is known after some rounds.
type killed struct {
	t         *testing.T
	dir       string
	next      int          // the first number that was never tried
	acked     []int        // acknowledged by Append
	delivered map[int]bool // handed out and told by the child
	twice     int          // handed out more than once
}

// TestKill9 kills a child that appends and reads without pause, at random moments, while it opens the queue too. Every
// record that Append acknowledged must have been handed out or still be there, with its value.
// PLIMSOLL_QUEUE_ROUNDS=50 is what the crash suite runs.
func TestKill9(t *testing.T) {
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	if n, err := strconv.Atoi(os.Getenv("PLIMSOLL_QUEUE_ROUNDS")); err == nil {
		rounds = n
	}
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	k := &killed{t: t, dir: t.TempDir(), next: 1, delivered: map[int]bool{}}
	for round := range rounds {
		k.round(time.Duration(2+rng.IntN(500))*time.Millisecond, round%3 == 1, round%2 == 0)
		if round%5 == 4 || round == rounds-1 {
			k.check()
		}
	}
	t.Logf("seed %d: %d rounds, %d records acknowledged, %d handed out, %d of them more than once", seed, rounds, len(k.acked), len(k.delivered), k.twice)
	if len(k.acked) == 0 || len(k.delivered) == 0 {
		t.Error("the child did nothing")
	}
}

// round runs the child, with nothing delivered in an outage, kills it, and notes what it told. It lives for so long from its
// start, or, when it is to get to work however slow the machine is, from the first record that it handed out.
func (k *killed) round(lives time.Duration, outage, works bool) {
	k.t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+k.dir, childEnv+"_FIRST="+strconv.Itoa(k.next))
	if outage {
		cmd.Env = append(cmd.Env, childEnv+"_OUTAGE=1")
	}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	defer in.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	most := lives
	if works {
		most = 10 * time.Minute
	}
	kill := time.AfterFunc(most, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var i int
		var sum uint32
		line := lines.Text()
		if works && (outage || line[0] == 'd') {
			works = false
			kill.Reset(lives)
		}
		switch {
		case strings.HasPrefix(line, "a "):
			if _, err := fmt.Sscanf(line, "a %d", &i); err == nil {
				k.acked, k.next = append(k.acked, i), i+1
			}
		case strings.HasPrefix(line, "d "):
			if n, _ := fmt.Sscanf(line, "d %d %d", &i, &sum); n == 2 { // else the line was cut by the kill, and not acknowledged
				k.deliver(i, sum)
			}
		default:
			k.t.Errorf("child: %s", line)
		}
	}
	_ = cmd.Wait() // killed
	k.next += 2    // the one after the last may have been appended and not told
}

func (k *killed) deliver(i int, sum uint32) {
	k.t.Helper()
	if want := crc32.ChecksumIEEE(killRecord(i)); sum != want {
		k.t.Errorf("record %d was handed out with other bytes", i)
	}
	if k.delivered[i] {
		k.twice++
	}
	k.delivered[i] = true
}

// check opens the queue and looks for every acknowledged record that was not handed out.
func (k *killed) check() {
	k.t.Helper()
	q := mustOpen(k.t, Options{Dir: k.dir, SegmentBytes: 64 << 10})
	if h := q.Health(); !h.OK() || h.Reason != "" {
		k.t.Errorf("Health: got %+v", h)
	}
	have := map[int]bool{}
	var out []*Batch
	for b := try(q, &q.backlog); b != nil; b = try(q, &q.backlog) {
		for _, r := range b.Records {
			n, _, _ := strings.Cut(string(r.Data), " ")
			i, err := strconv.Atoi(n)
			if err != nil || string(r.Data) != string(killRecord(i)) {
				k.t.Errorf("record %d has other bytes", r.Seq)
			}
			have[i] = true
		}
		out = append(out, b)
		q.backlog.out = 0
	}
	for _, b := range out {
		b.Nack()
	}
	missing := 0
	for _, i := range k.acked {
		if !have[i] && !k.delivered[i] {
			if missing++; missing < 10 {
				k.t.Errorf("record %d was acknowledged and is lost", i)
			}
		}
	}
	if missing > 0 {
		k.t.Errorf("%d of %d acknowledged records are lost", missing, len(k.acked))
	}
	if err := q.Close(); err != nil {
		k.t.Error(err)
	}
}
