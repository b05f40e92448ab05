package disk

import (
	"fmt"
	"io"
	"os"
	"time"
)

const (
	// endsWithin is how long a file that somebody named may take to be read.
	endsWithin = 5 * time.Second
	// mostGiven is how many bytes of it are read.
	mostGiven = 4 << 20
)

// ReadGiven reads a file that somebody named in a flag: a link is followed, and a pipe read to its end. One that does not end within five seconds, as a pipe that nobody
// writes to or a file on a mount that is dead, is given up, and so is one of more than 4 MiB.
func ReadGiven(path string) ([]byte, error) {
	text, err := Within(path, func() ([]byte, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return io.ReadAll(io.LimitReader(f, mostGiven+1))
	})
	if len(text) > mostGiven {
		return nil, fmt.Errorf("%q has more than %d bytes", path, mostGiven)
	}
	return text, err
}

// Within reads a file of the given name, in whatever way, and gives it up after five seconds: nothing can end a read where the mount is dead.
func Within(path string, read func() ([]byte, error)) ([]byte, error) {
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := read()
		done <- result{text, err}
	}()
	late := time.NewTimer(endsWithin)
	defer late.Stop()
	select {
	case r := <-done:
		return r.text, r.err
	case <-late.C:
		return nil, fmt.Errorf("%q was not read within %v: is its disk or mount there, or is it a pipe that nobody writes to?", path, endsWithin)
	}
}
