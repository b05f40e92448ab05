package cgroup

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"

	"plimsoll.dev/plimsoll/internal/metric"
)

// reason is why a sample was lost; its text is a label of the own metrics and of gaps.
type reason uint8

const (
	fine        reason = iota
	gone               // the cgroup, or its controller, was removed
	permission         // the kernel refused
	parse              // the text is not what the kernel writes
	overflow           // a number that cannot be: beyond 2^62
	ioError            // any other error of a system call
	clock              // the wall clock was stepped between two ticks
	limit              // more cgroups than are followed
	descriptors        // the process may open no more files
	unaccounted        // the cgroup is there, and has none of the files
	numReasons
)

var reasonNames = [numReasons]string{"", metric.GapGone, metric.GapPermission, "parse", "overflow", "io", "clock", "limit", "descriptors", metric.GapUnaccounted}

func (r reason) String() string { return reasonNames[r] }

// details says for people what happened to a file, whose name stands for FILE.
var details = [numReasons]string{
	gone:        "FILE is not there",
	permission:  "the kernel refused to open FILE",
	parse:       "FILE does not hold what the kernel writes",
	overflow:    "FILE holds an impossible number",
	ioError:     "FILE cannot be read",
	clock:       "the machine's clock was stepped",
	unaccounted: "its cgroup is there, but the kernel has no file of its CPU or memory in it",
	descriptors: "the process may open no more files, FILE is one too many",
}

// gap is what an entity gets that has no sample.
func (r reason) gap(e *metric.Entity, file string) metric.Gap {
	return metric.Gap{Entity: e, Reason: r.String(), Detail: strings.Replace(details[r], "FILE", file, 1)}
}

// reasonOf classifies an error of open, read, stat or inotify.
func reasonOf(err error) reason {
	var no unix.Errno
	if !errors.As(err, &no) {
		return ioError
	}
	switch no {
	case unix.ENODEV, unix.ENOENT, unix.ENOTDIR:
		return gone
	case unix.EACCES, unix.EPERM:
		return permission
	case unix.EMFILE, unix.ENFILE:
		return descriptors
	}
	return ioError
}
