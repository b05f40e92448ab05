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
	type read struct {
		text []byte
		err  error
	}
	done := make(chan read, 1)
	go func() { // it may never return
		f, err := os.Open(path)
		if err != nil {
			done <- read{nil, err}
			return
		}
		text, err := io.ReadAll(io.LimitReader(f, mostGiven+1))
		_ = f.Close() // it was only read
		done <- read{text, err}
	}()
	late := time.NewTimer(endsWithin)
	defer late.Stop()
	select {
	case r := <-done:
		if len(r.text) > mostGiven {
			return nil, fmt.Errorf("%q has more than %d bytes", path, mostGiven)
		}
		return r.text, r.err
	case <-late.C:
		return nil, fmt.Errorf("%q has not been read within %v: it may be a pipe that nobody writes to, or on a mount that is dead", path, endsWithin)
	}
}
