package collector

import (
	"fmt"
	"time"
)

// patience is how many intervals a lane may be without a tick that ended.
const patience = 3

// health says what is wrong with a lane, from its flow.
func (l *lane) health(now time.Time) error {
	began := l.began.Load()
	if began == nil {
		return fmt.Errorf("the %s lane has not begun", l.name)
	}
	since := *began
	if end := l.ended.Load(); end != nil {
		since = *end
	}
	quiet := now.Sub(since)
	if quiet <= patience*l.every {
		return nil
	}
	if l.busy() {
		return fmt.Errorf("the %s lane has ended no tick for %v: its reader has not returned", l.name, quiet.Round(time.Millisecond))
	}
	return fmt.Errorf("the %s lane has ended no tick for %v", l.name, quiet.Round(time.Millisecond))
}
