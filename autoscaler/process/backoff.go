package process

import "time"

const (
	firstDelay = time.Second
	longDelay  = time.Minute
	// steadyAfter is how long a replica must have run for its earlier failures to be forgotten.
	steadyAfter = time.Minute
)

// backoff says how long to wait before a replica is started again: 1 s after the first failure, doubling to 60 s,
// spread by a quarter to either side so that replicas that died together do not come back together.
type backoff struct{ failures int }

// next returns the delay after a replica ended that had been up for so long. jitter is between 0 and 1.
func (b *backoff) next(up time.Duration, jitter float64) time.Duration {
	if up >= steadyAfter {
		b.failures = 0
	}
	delay := longDelay
	if b.failures < 6 { // 1 s << 6 is over a minute
		delay = firstDelay << b.failures
	}
	b.failures++
	return time.Duration(float64(delay) * (0.75 + 0.5*jitter))
}
