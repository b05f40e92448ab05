package main

import (
	"fmt"
	"io"
	"time"
)

// progress runs work. On a terminal it says after a second what is being waited for, counts the seconds, and takes the note away when
// the work has ended.
func progress(w io.Writer, what string, work func() error) error {
	if !terminal(w) {
		return work()
	}
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		notes(w, what, done)
	}()
	err := work()
	close(done)
	<-gone
	return err
}

// notes writes the note each second until done is closed.
func notes(w io.Writer, what string, done <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-done:
			if n > 1 {
				fmt.Fprint(w, "\r\x1b[K")
			}
			return
		case <-tick.C:
			fmt.Fprintf(w, "\r\x1b[K%s, %d s ...", what, n)
		}
	}
}
