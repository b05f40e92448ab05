package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// stress holds memory as the program of that name does, for the pods of other people's tests: -m 1 --vm-bytes 50M --vm-hang 0 -t 600.
func stress(args []string) {
	f := flag.NewFlagSet("stress", flag.ExitOnError)
	f.Int("m", 1, "workers; there is one")
	size := f.String("vm-bytes", "256M", "what it holds")
	f.Int("vm-hang", 0, "seconds to sleep before it is given back; 0: for ever")
	seconds := f.Int("t", 0, "how long to run; 0: for ever")
	_ = f.Parse(args)
	mega, err := strconv.Atoi(strings.TrimSuffix(*size, "M"))
	if err != nil {
		fmt.Fprintf(os.Stderr, "--vm-bytes %q: want so many M\n", *size)
		os.Exit(1)
	}
	held := hold(mega << 20)
	if *seconds > 0 {
		time.Sleep(time.Duration(*seconds) * time.Second)
		fmt.Println("held", len(held))
		return
	}
	select {}
}

// hold takes memory and touches each page of it.
func hold(n int) []byte {
	held := make([]byte, n)
	for i := 0; i < len(held); i += 4096 {
		held[i] = 1
	}
	return held
}
