package identity

import (
	"fmt"
	"hash/fnv"
	"strings"
	"unicode"
)

// Plain is a name from outside, fit to be shown: valid UTF-8 without control characters, those that steer a terminal and those that turn the
// direction of writing around.
func Plain(name string) string {
	name = strings.ToValidUTF8(name, "\uFFFD")
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Bidi_Control, unicode.Zl, unicode.Zp) {
			return -1
		}
		return r
	}, name)
}

// Clean is Plain for a name that others must not have: one that Plain changes ends in a hash of what it was.
func Clean(name string) string {
	plain := Plain(name)
	if plain == name {
		return name
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(name)) // never fails
	return fmt.Sprintf("%s~%016x", plain, h.Sum64())
}
