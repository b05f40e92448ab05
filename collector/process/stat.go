package process

import (
	"bytes"
	"strconv"
)

// stat is what is used of /proc/PID/stat (proc(5)).
type stat struct {
	state               byte
	ppid, pgrp, session int
	cpu                     // of the process itself
	child               cpu // of the children it has waited for, and theirs
	threads             uint64
	start               uint64 // hundredths of a second after boot
	rss                 uint64 // pages
}

// cpu is CPU time in hundredths of a second.
type cpu struct{ user, system uint64 }

func (c cpu) plus(o cpu) cpu { return cpu{c.user + o.user, c.system + o.system} }

// maxBits bounds every number: what is beyond cannot be.
const maxBits = 56

// The numbers behind the state, by their index: proc(5) counts from 3.
const (
	fPPID    = 1
	fPgrp    = 2
	fSession = 3
	fTpgid   = 5
	fUser    = 11
	fSystem  = 12
	fCUser   = 13
	fCSystem = 14
	fPrio    = 15
	fNice    = 16
	fThreads = 17
	fStart   = 19
	fRSS     = 21
)

// parseStat reads the line. The command's name stands in parentheses and may hold anything, blanks, newlines and
// parentheses too; behind the last one there are only the state and numbers.
func parseStat(b []byte) (stat, bool) {
	i := bytes.LastIndexByte(b, ')')
	if i < 0 || bytes.IndexByte(b[:i], '(') < 1 || len(b) < i+3 || b[i+1] != ' ' {
		return stat{}, false
	}
	s := stat{state: b[i+2]}
	b = b[i+3:]
	var v [fRSS + 1]uint64
	for n := 1; n <= fRSS; n++ {
		if len(b) < 2 || b[0] != ' ' {
			return s, false
		}
		b = b[1:]
		end := bytes.IndexByte(b, ' ')
		if end < 0 {
			return s, false // the line goes on behind what is read here
		}
		// These may be negative where there is none, and then stand for nothing.
		if b[0] == '-' && (n >= fPgrp && n <= fTpgid || n == fPrio || n == fNice) {
			b = b[end:]
			continue
		}
		var ok bool
		if v[n], ok = number(b[:end]); !ok {
			return s, false
		}
		b = b[end:]
	}
	if v[fPPID] >= 1<<31 || v[fPgrp] >= 1<<31 || v[fSession] >= 1<<31 {
		return s, false
	}
	s.ppid, s.pgrp, s.session = int(v[fPPID]), int(v[fPgrp]), int(v[fSession])
	s.cpu, s.child = cpu{v[fUser], v[fSystem]}, cpu{v[fCUser], v[fCSystem]}
	s.threads, s.start, s.rss = v[fThreads], v[fStart], v[fRSS]
	return s, true
}

// number reads decimal digits.
func number(b []byte) (v uint64, ok bool) {
	v, err := strconv.ParseUint(string(b), 10, maxBits)
	return v, err == nil
}

// dead says that the process has ended and waits for its parent: its CPU time still counts, itself not.
func (s *stat) dead() bool { return s.state == 'Z' || s.state == 'X' || s.state == 'x' }
