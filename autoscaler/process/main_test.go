package process

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be all the programs that the tests need: a guard, replicas of several tempers, and a
// Plimsoll that can be killed.
func TestMain(m *testing.M) {
	if GuardMain() {
		return
	}
	if act := os.Getenv("TEST_ACT"); act != "" {
		actors[act]()
		return
	}
	// A replica that lost its TEST_ACT must not run the tests again, and start replicas that do: its parent is this binary.
	self, _ := os.Readlink("/proc/self/exe")
	parent, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", os.Getppid()))
	if err == nil && parent == self && !slices.Contains(os.Args, "-test.fuzzworker") {
		fmt.Fprintln(os.Stderr, "a test binary was started by itself without TEST_ACT")
		os.Exit(3)
	}
	os.Exit(m.Run())
}

var actors = map[string]func(){
	"serve": func() { // ends at SIGTERM as one should
		c := make(chan os.Signal, 1)
		signal.Notify(c, syscall.SIGTERM)
		fmt.Println("serving as", os.Getenv("REPLICA"), "on", os.Getenv("PORT"))
		if p := os.Getenv("LISTEN"); p != "" {
			l, err := net.Listen("unix", p)
			if err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
			defer l.Close()
		}
		<-c
	},
	"crash": func() {
		fmt.Println("something is wrong")
		os.Exit(3)
	},
	"deaf": func() { // does not hear SIGTERM
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("deaf")
		time.Sleep(10 * time.Minute)
	},
	"hog": func() { // takes more and more memory
		var all [][]byte
		for {
			b := make([]byte, 1<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			all = append(all, b)
			if len(all) > 512 {
				time.Sleep(10 * time.Minute)
			}
		}
	},
	"busy": func() {
		for { //nolint:staticcheck // using 100 % is what it is for
		}
	},
	"family": func() { // grandchildren that leave the process group, do not hear SIGTERM, and outlive their parent
		n, _ := strconv.Atoi(os.Getenv("GENERATIONS"))
		signal.Ignore(syscall.SIGTERM)
		if n > 0 {
			for range 2 {
				c := exec.Command("/proc/self/exe")
				c.Env = append(os.Environ(), "GENERATIONS="+strconv.Itoa(n-1))
				c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
				if err := c.Start(); err != nil {
					fmt.Println(err)
				}
			}
		}
		time.Sleep(10 * time.Minute)
	},
	"escape": func() { // leaves children that nothing ties to it: no mark, no group, no session, no parent
		leave("leave")
		time.Sleep(10 * time.Minute)
	},
	"leave": func() {
		leave("deaf")
		time.Sleep(3 * time.Second) // long enough for somebody who looks each second to see whose they are
	},
	"vanish": func() { // as escape, but too fast to be seen
		leave("vanished")
		time.Sleep(10 * time.Minute)
	},
	"vanished": func() { leave("deaf") },
	"plimsoll": func() { // supervises one service until it is killed
		s, err := New(Options{CgroupRoot: os.Getenv("CGROUPS"), Env: os.Environ(), Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
			Services: []Service{{Namespace: "test", Name: "web", Command: []string{os.Args[0]}, Replicas: 3, Drain: time.Second,
				Env: map[string]string{"TEST_ACT": "family", "GENERATIONS": "2"}}}})
		if err != nil {
			panic(err)
		}
		ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer cancel()
		if err := s.Run(ctx); err != nil {
			panic(err)
		}
	},
}

// leave starts a child that has nothing of this process but a tag.
func leave(act string) {
	c := exec.Command("/proc/self/exe")
	c.Env = []string{"TEST_ACT=" + act, "TEST_TAG=" + os.Getenv("TEST_TAG")}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := c.Start(); err != nil {
		fmt.Println(err)
	}
}
