package cluster

// Gate says whether this process may write what only one may: replica counts, and sums of the whole cluster to the history. In a
// cluster who holds the lease may. It is safe for concurrent use and answers at once.
type Gate interface {
	// MayWrite returns nil if this process may write now, or why it may not, as a clause for people.
	MayWrite() error
}

// Open is the Gate of a process that is alone, as on one machine: it may always write.
type Open struct{}

// MayWrite implements Gate.
func (Open) MayWrite() error { return nil }
