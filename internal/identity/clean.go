package identity

import (
	"fmt"
	"hash/fnv"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Plain is a name from outside, fit to be shown: valid UTF-8 without control characters, those that steer a terminal, those that turn the
// direction of writing around, and all that cannot be seen, so that two names are not read as one. Any blank is the usual one.
func Plain(name string) string {
	name = strings.ToValidUTF8(name, "\uFFFD")
	return strings.Map(func(r rune) rune {
		switch {
		case r < utf8.RuneSelf && r >= ' ' && r != '\x7f':
			return r
		case r == brailleBlank, unicode.Is(unicode.Zs, r):
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point):
			return -1
		}
		return r
	}, name)
}

// brailleBlank is a letter without a mark.
const brailleBlank = '\u2800'

// Clean is Plain for a name that others must not have, without blanks at its ends: one that is changed ends in a hash of what it was.
func Clean(name string) string { return CleanTo(name, math.MaxInt) }

// PlainTo is Plain in so many bytes at most.
func PlainTo(name string, most int) string { return cut(Plain(name), most) }

// CleanTo is Clean in so many bytes at most, the hash included.
func CleanTo(name string, most int) string {
	plain := strings.Trim(PlainTo(name, most), " ")
	if plain == name {
		return name
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	sum := fmt.Sprintf("~%016x", h.Sum64())
	return cut(plain, most-len(sum)) + sum
}

// cut shortens a name, between two characters.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "")
}
