package disk

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Cause is what a write that failed says about where it went.
type Cause uint8

// The causes.
const (
	Unknown  Cause = iota
	Full           // no room: on the disk, in a quota, or for a file of that length
	ReadOnly       // the file system takes no writes
	Denied         // this user may not write there
	Gone           // the folder, or the disk that it was on, is not there any more
)

// signs are the system's errors of each cause.
var signs = [...][]unix.Errno{
	Full:     {unix.ENOSPC, unix.EDQUOT, unix.EFBIG},
	ReadOnly: {unix.EROFS},
	Denied:   {unix.EACCES, unix.EPERM},
	Gone:     {unix.ENOENT, unix.ENOTDIR, unix.ENODEV, unix.ENXIO, unix.ESTALE},
}

// CauseOf returns the cause of a write's error.
func CauseOf(err error) Cause {
	return Cause(max(0, slices.IndexFunc(signs[:], func(of []unix.Errno) bool {
		return slices.ContainsFunc(of, func(no unix.Errno) bool { return errors.Is(err, no) })
	})))
}

// Explain adds to the error of a write what a person can do about it.
func Explain(err error) error {
	fix := [...]string{
		Full:     "make room on the disk",
		ReadOnly: "mount it so that it can be written",
		Denied:   "give this user the right to write there",
		Gone:     "bring it back, and start again",
	}
	if c := CauseOf(err); c != Unknown {
		return fmt.Errorf("%w: %s", err, fix[c])
	}
	return err
}
