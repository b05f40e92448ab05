package metric

import (
	"fmt"
	"time"
)

// Point is one measured value of one catalogue row.
type Point struct {
	ID  ID      // which row of the catalogue
	Sub string  // the value of the row's own label (an interface, a device); "" where the row has none
	T   int64   // when it was measured, Unix milliseconds
	V   float64 // in the row's base unit; never NaN or Inf
}

// Group is what one reading found out about one entity.
type Group struct {
	Entity *Entity
	// Start is when the entity's counters began at zero (the creation of the container). A counter lower
	// than before, or a new Start, is a reset. Zero if it is not known.
	Start  time.Time
	Points []Point
}

// Batch is what one tick of one node found out. The receiver may keep it: the sender does not touch it again.
type Batch struct {
	Node   string
	Sender string    // who sent it, as far as it was proven: a login, an address; "" of what this machine has read itself
	Login  string    // whose places the sender's are counted with, whatever addresses they have: a login; "" where that is not known
	Source string    // whose figures these are; "" a collector's own, else another's that somebody has asked for them: FromKubelet
	Time   time.Time // when the tick began
	Fast   bool      // the live lane's batch: CPU and memory only
	Groups []Group
	// Gaps are the entities that exist but could not be read this time, with the reason.
	Gaps []Gap
}

// FromKubelet is the Source of what a kubelet has said of its node.
const FromKubelet = "kubelet"

// Gap says why an entity has no sample in a batch, or none of some rows.
type Gap struct {
	Entity *Entity
	Rows   Set    // those that have ended, while it goes on; none: it has ended, or could not be read
	Reason string // a short word from a fixed set, used as a metric label: GapGone, "overflow", "io", ...
	Detail string // for people
}

// The reasons that somebody compares. The first two are those of readers, which have some more that are only shown; the others come of
// what is not there.
const (
	GapGone        = "gone"        // it does not exist any more
	GapPermission  = "permission"  // the reader was refused
	GapStale       = "stale"       // there was a sample, too long ago
	GapStarting    = "starting"    // there is no sample yet, or one where a rate needs two
	GapMember      = "member"      // a part of it has a gap
	GapUnaccounted = "unaccounted" // the kernel does not account for its CPU
	GapSilent      = "silent"      // nothing is heard of the machine that it is on
	GapKubelet     = "kubelet"     // a machine has no collector, and its kubelet does not answer

	GapWaiting     = "waiting"     // it does not run at present, as whoever runs it says
	GapUnscheduled = "unscheduled" // it has no machine yet
	GapUnread      = "unread"      // it runs where nobody reads
	GapHidden      = "hidden"      // whoever asks has not the right to it
)

// TooMany is the error of a receiver of batches that has no room for all that a batch is about. The rest of the batch was taken.
type TooMany struct {
	Samples int    // that were left out
	Why     string // who has the room, and what to do, as a clause; "": nothing is known
}

// Error implements error.
func (e *TooMany) Error() string {
	return fmt.Sprintf("%d samples were left out: too many containers and machines are being sent", e.Samples)
}

// Samples returns the number of points in the batch.
func (b *Batch) Samples() int {
	n := 0
	for i := range b.Groups {
		n += len(b.Groups[i].Points)
	}
	return n
}
