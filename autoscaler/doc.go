// Package autoscaler is the loop that observes, decides and acts: once a second it observes what each target's
// pods use, asks the brain (package policy) what is to become of the replica count, carries that out, and
// tells everybody: the decision log, the series of the page, the log.
//
// Targets that are due queue for a few workers; one whose calls hang delays no other. A target is held by one worker at a time:
// the one that makes its pass.
//
// It fails safe. Without data, with old data, with a target that has vanished or a count that somebody else
// has just changed, nothing is changed; after a restart nothing is lowered before a whole stable window has
// been seen.
package autoscaler
