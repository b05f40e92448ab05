package influx

import (
	"slices"
	"strings"
	"sync"
	"time"

	"plimsoll.dev/plimsoll/internal/store"
)

// Reasons of conditions.
const (
	ReasonUnreachable  = "Unreachable"     // no answer
	ReasonTimeout      = "Timeout"         // no answer within the deadline
	ReasonBusy         = "Busy"            // 429 or 5xx
	ReasonUnauthorized = "Unauthorized"    // the token is wrong or missing
	ReasonForbidden    = "Forbidden"       // the token has no right to write there
	ReasonNoOrg        = "NoOrganization"  // the organization does not exist
	ReasonNoBucket     = "NoBucket"        // the bucket, database or retention policy does not exist
	ReasonNotInflux    = "NotInfluxDB"     // something else listens there
	ReasonRefused      = "Refused"         // a request is refused for a reason that we do not know
	ReasonSetAside     = "LinesSetAside"   // lines were refused for ever, within the last ten minutes
	ReasonBeyond       = "BeyondRetention" // points were older than the retention, within the last ten minutes
	ReasonLost         = "LinesLost"       // refused lines could not be set aside either, within the last ten minutes
	ReasonQueue        = "QueueFailed"     // the queue cannot be read
	ReasonSeriesBudget = "SeriesBudget"    // a namespace has too many series
)

// reasons of the classes that keep the writer from going on.
var reasons = [numClasses]string{unreachable: ReasonUnreachable, slow: ReasonTimeout, busy: ReasonBusy, unauthorized: ReasonUnauthorized, forbidden: ReasonForbidden,
	noOrg: ReasonNoOrg, noBucket: ReasonNoBucket, notInflux: ReasonNotInflux, refused: ReasonRefused}

// remembered is how long a condition is shown that stands for something that happened.
const remembered = 10 * time.Minute

// Condition is something that is wrong at present, or was a few minutes ago.
type Condition struct {
	Reason  string
	Message string // what it is, and what helps
	Since   time.Time
	// Blocking: nothing is sent as long as it holds. What is queued stays queued.
	Blocking bool

	until time.Time // zero: until it is cleared
}

// conditions are those that hold.
type conditions struct {
	mu    sync.Mutex
	holds map[string]Condition
}

// set makes a condition hold and says whether it is new.
func (c *conditions) set(x Condition, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.holds == nil {
		c.holds = map[string]Condition{}
	}
	old, was := c.holds[x.Reason]
	was = was && (old.until.IsZero() || now.Before(old.until))
	x.Since = now
	if was {
		x.Since = old.Since
	}
	c.holds[x.Reason] = x
	return !was
}

// clear ends conditions.
func (c *conditions) clear(reasons ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range reasons {
		delete(c.holds, r)
	}
}

// unblock ends the conditions that keep the writer from going on and says which held.
func (c *conditions) unblock() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var held []string
	for r, x := range c.holds {
		if x.Blocking {
			held = append(held, r)
			delete(c.holds, r)
		}
	}
	return held
}

// list returns what holds, blocking ones first, then the oldest.
func (c *conditions) list(now time.Time) []Condition {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Condition
	for r, x := range c.holds {
		if !x.until.IsZero() && !now.Before(x.until) {
			delete(c.holds, r)
			continue
		}
		out = append(out, x)
	}
	slices.SortFunc(out, func(a, b Condition) int {
		if a.Blocking != b.Blocking {
			if a.Blocking {
				return -1
			}
			return 1
		}
		if n := a.Since.Compare(b.Since); n != 0 {
			return n
		}
		return strings.Compare(a.Reason, b.Reason)
	})
	return out
}

// Health is conditions, what blocks first, as a backend tells them: not OK while nothing is sent.
func Health(cs []Condition) store.Health {
	if len(cs) == 0 {
		return store.Health{OK: true}
	}
	return store.Health{OK: !cs[0].Blocking, Reason: cs[0].Reason, Message: cs[0].Message, Since: cs[0].Since}
}
