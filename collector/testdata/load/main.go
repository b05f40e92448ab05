// Command load is what the test containers run: "burn" uses as much CPU as it gets, "hold BYTES" keeps memory,
// "oom" starts a child that takes more memory than the limit and lives on itself.
package main

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"
)

func main() {
	switch os.Args[1] {
	case "burn":
		for range runtime.NumCPU() {
			go func() {
				for {
				}
			}()
		}
	case "hold":
		n, err := strconv.Atoi(os.Args[2])
		if err != nil {
			panic(err)
		}
		b := make([]byte, n)
		for i := 0; i < n; i += 4096 {
			b[i] = 1
		}
		defer runtime.KeepAlive(b)
	case "oom":
		_ = exec.Command(os.Args[0], "hold", "1000000000").Run() // it is killed
	}
	time.Sleep(time.Hour)
}
