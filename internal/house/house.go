// Package house holds the house rules as tests: who may import whom, how names and files look, what must not be
// in the source. It has no code of its own.
package house
