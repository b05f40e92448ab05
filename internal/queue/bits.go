package queue

import "math/bits"

// bitset has one bit for each record of a segment. It grows when a bit is set; bits beyond it are not set.
type bitset []uint64

func (b bitset) has(i int) bool { return i>>6 < len(b) && b[i>>6]&(1<<(i&63)) != 0 }

// set sets a bit and says whether it was not set before.
func (b *bitset) set(i int) bool {
	for i>>6 >= len(*b) {
		*b = append(*b, 0)
	}
	w, m := &(*b)[i>>6], uint64(1)<<(i&63)
	was := *w&m != 0
	*w |= m
	return !was
}

// clear clears a bit and says whether it was set before.
func (b bitset) clear(i int) bool {
	if !b.has(i) {
		return false
	}
	b[i>>6] &^= 1 << (i & 63)
	return true
}

func (b bitset) word(w int) uint64 {
	if w < len(b) {
		return b[w]
	}
	return 0
}

// firstFree returns the lowest i of from <= i < n that is set in neither, or -1.
func firstFree(a, b bitset, from, n int) int {
	for w := from >> 6; w<<6 < n; w++ {
		free := ^(a.word(w) | b.word(w))
		if w == from>>6 {
			free &= ^uint64(0) << (from & 63)
		}
		if free != 0 {
			if i := w<<6 + bits.TrailingZeros64(free); i < n {
				return i
			}
			return -1
		}
	}
	return -1
}

// lastFree returns the highest i of low <= i < n that is set in neither, or -1.
func lastFree(a, b bitset, low, n int) int {
	for w := (n - 1) >> 6; n > low && w >= low>>6; w-- {
		free := ^(a.word(w) | b.word(w))
		if top := n - w<<6; top < 64 {
			free &= 1<<top - 1
		}
		if free != 0 {
			if i := w<<6 + 63 - bits.LeadingZeros64(free); i >= low {
				return i
			}
			return -1
		}
	}
	return -1
}
