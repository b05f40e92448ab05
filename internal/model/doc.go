// Package model is the one table of what Heapster served: its metrics, which kinds of things have each, of what it is made, and how
// Plimsoll's entities and interfaces are its things. The model API answers from it, and the history in InfluxDB that has Heapster's names
// is written by it, so that the two say the same. It holds no values and asks nothing. It is a leaf beside the catalogue.
package model
