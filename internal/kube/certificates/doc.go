// Package certificates renews what the servers of a cluster are known by: their certificate, its authority, and what of it is told to those who ask
// them. Of several servers the one that holds the lease does it. What is there is read anew each time and nothing is remembered, so that a process
// that ends between any two steps is gone on after by the next one.
package certificates
