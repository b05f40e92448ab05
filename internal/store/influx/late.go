package influx

import "time"

// lateAfter is how long ago a line's hour must have begun for the roll-ups to have passed it by: on 2.x the last run that covers
// an hour is half an hour after its end, on 1.x one hour.
const lateAfter = 90 * time.Minute

// Late is the stretch of time of lines that came too late for the roll-ups of the server.
type Late struct {
	From, To    time.Time
	First, Last time.Time // when the first and the last of them were stored
}

// join makes the stretch cover another one, too.
func (l *Late) join(o Late) {
	if l.First.IsZero() {
		*l = o
		return
	}
	if o.From.Before(l.From) {
		l.From = o.From
	}
	if o.To.After(l.To) {
		l.To = o.To
	}
	if o.First.Before(l.First) {
		l.First = o.First
	}
	if o.Last.After(l.Last) {
		l.Last = o.Last
	}
}

// noteLate remembers the times of stored lines that are old.
func (w *Writer) noteLate(lines []byte) {
	now := time.Now()
	for _, t := range [...]int64{firstTime(lines), lastTime(lines)} {
		at := time.UnixMilli(t)
		if t <= 0 || now.Sub(at.Truncate(time.Hour)) < lateAfter {
			continue
		}
		w.lateMu.Lock()
		w.late.join(Late{at, at, now, now})
		w.lateMu.Unlock()
	}
}

// claimLate returns the stretch once no late line has come for a while, or they have come for six times as long without an end, and
// forgets it.
func (w *Writer) claimLate(now time.Time, quiet time.Duration) (Late, bool) {
	w.lateMu.Lock()
	defer w.lateMu.Unlock()
	if w.late.First.IsZero() || now.Sub(w.late.Last) < quiet && now.Sub(w.late.First) < checkAfter*quiet {
		return Late{}, false
	}
	l := w.late
	w.late = Late{}
	return l, true
}

// giveLate puts a stretch back that could not be rolled up.
func (w *Writer) giveLate(l Late) {
	w.lateMu.Lock()
	defer w.lateMu.Unlock()
	w.late.join(l)
}

// waitsLate says whether late lines were stored that are not rolled up.
func (w *Writer) waitsLate() bool {
	w.lateMu.Lock()
	defer w.lateMu.Unlock()
	return !w.late.First.IsZero()
}

// firstTime and lastTime are the times of the first and the last line, Unix milliseconds; 0 if there is none.
func firstTime(lines []byte) int64 {
	for i, c := range lines {
		if c == '\n' {
			return lastTime(lines[:i])
		}
	}
	return lastTime(lines)
}

func lastTime(lines []byte) int64 {
	end := len(lines)
	if end > 0 && lines[end-1] == '\n' {
		end--
	}
	var t, unit int64 = 0, 1
	for i := end - 1; i >= 0 && end-i < 15; i-- {
		switch c := lines[i]; {
		case c == ' ':
			return t
		case c < '0' || c > '9':
			return 0
		default:
			t += int64(c-'0') * unit
			unit *= 10
		}
	}
	return 0
}
