package table

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Safe makes text from outside fit for a terminal and for one line: what would steer the terminal, break the line or turn the direction
// of writing around is written as Go would write it in quotes, so that it is seen: "\x1b[2J".
func Safe(s string) string {
	if s = strings.ToValidUTF8(s, "\ufffd"); strings.IndexFunc(s, hidden) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if hidden(r) {
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// JSON writes for a terminal what is JSON already: what is hidden in its strings is escaped, which changes no value.
func JSON(raw []byte) []byte {
	if bytes.IndexFunc(raw, concealed) < 0 {
		return raw
	}
	out := make([]byte, 0, len(raw)+64)
	for _, r := range string(raw) {
		if !concealed(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out
}

// concealed is hidden but for the breaks and blanks between JSON's values; its strings have none.
func concealed(r rune) bool { return r >= ' ' && hidden(r) }

// hidden says whether a character is none that is seen where it stands. The joiners make up signs of many scripts.
func hidden(r rune) bool {
	const nonJoiner, joiner = 0x200c, 0x200d
	return !unicode.IsGraphic(r) && r != nonJoiner && r != joiner
}

// most is how many characters of a cell are shown in the narrow table: a longer one would push the rest of it out of a terminal's sight. Of a name
// it is as much as a label of Kubernetes may have, and one more; a sentence with names in it is longer.
func (c *Column) most() int {
	if c.Said {
		return 256
	}
	return 64
}

// cutter makes the cells of one column short. Two that are not the same stay so.
type cutter struct {
	short map[string]string // of the cells that were cut
	taken map[string]bool   // what they were cut to
}

// cut takes as much out of the middle of a cell as it has too much. Where what is left is another's already, a number tells them apart.
func (c *cutter) cut(cell string, most int) string {
	all := []rune(cell)
	if len(all) <= most {
		return cell
	}
	if c.taken == nil {
		c.short, c.taken = map[string]string{}, map[string]bool{}
	}
	short, known := c.short[cell]
	for mark := "…"; !known; mark = fmt.Sprintf("…%d…", len(c.taken)+1) {
		keep := most - utf8.RuneCountInString(mark)
		short = string(all[:keep-keep/2]) + mark + string(all[len(all)-keep/2:])
		known = !c.taken[short]
	}
	c.short[cell], c.taken[short] = short, true
	return short
}

var (
	formula = regexp.MustCompile(`^\s*[=+\-@＝＋－＠]`)
	number  = regexp.MustCompile(`^([+-]?\d+(\.\d+)?([eE][+-]?\d+)?|-)$`) // or the dash of what is not known
)

// plain is a cell of CSV: one that a spreadsheet would take for a formula gets an apostrophe before it.
func plain(cell string) string {
	cell = Safe(cell)
	if formula.MatchString(cell) && !number.MatchString(cell) {
		return "'" + cell
	}
	return cell
}
