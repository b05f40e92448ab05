// Package metric is the vocabulary of Plimsoll: the catalogue of everything that is measured, and the
// sample model in which measurements travel from the collector to the store, the live picture and the
// pages. It imports nothing but the standard library; every room imports it.
package metric
