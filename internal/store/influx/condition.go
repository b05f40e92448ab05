package influx

import (
	"time"

	"plimsoll.dev/plimsoll/internal/condition"
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
	ReasonLimit        = "LimitReached"    // a limit that the operator has set is reached: of series, of a tag's values, of a plan
	ReasonTooLarge     = "LineTooLarge"    // one line alone is more than the server accepts in a request
	ReasonNotInflux    = "NotInfluxDB"     // something else listens there
	ReasonRefused      = "Refused"         // all requests are refused for a reason that we do not know
	ReasonSetAside     = "LinesSetAside"   // lines were refused for ever, within the last ten minutes
	ReasonBeyond       = "BeyondRetention" // points were older than the retention, within the last ten minutes
	ReasonLost         = "LinesLost"       // refused lines could not be set aside either, within the last ten minutes
	ReasonQueue        = "QueueFailed"     // the queue cannot be read
	ReasonSeriesBudget = "SeriesBudget"    // a namespace has too many series
)

// reasons of the classes that keep the writer from going on.
var reasons = [numClasses]string{unreachable: ReasonUnreachable, slow: ReasonTimeout, busy: ReasonBusy, unauthorized: ReasonUnauthorized, forbidden: ReasonForbidden,
	noOrg: ReasonNoOrg, noBucket: ReasonNoBucket, limited: ReasonLimit, oversized: ReasonTooLarge, notInflux: ReasonNotInflux, refused: ReasonRefused}

// remembered is how long a condition is shown that stands for something that happened.
const remembered = 10 * time.Minute

// newConditions makes a set of conditions of what is sent. Those that block keep what is queued where it is.
func newConditions(now func() time.Time) *condition.Set {
	return &condition.Set{Type: "HistorySent", Now: now, Blocks: append(reasons[:], ReasonQueue)}
}
