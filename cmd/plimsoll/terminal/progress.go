package terminal

import (
	"fmt"
	"io"
	"time"
)

// Progress runs work. On a terminal it says meanwhile what is being waited for.
func Progress(w io.Writer, what string, work func() error) error {
	if !Is(w) {
		return work()
	}
	result := make(chan error, 1)
	go func() { result <- work() }()
	return notes(w, what, result)
}

// notes says after a second what is being waited for, counts the seconds, and takes the note away when there is a result.
func notes(w io.Writer, what string, result <-chan error) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case err := <-result:
			if n > 1 {
				fmt.Fprint(w, "\r\x1b[K")
			}
			return err
		case <-tick.C:
			fmt.Fprintf(w, "\r\x1b[K%s, %d s ...", what, n)
		}
	}
}
