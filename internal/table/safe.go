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

// most is how many characters of a cell are shown: a longer one would push the rest of the table out of sight.
const most = 256

// shown is a cell as people see it. The last of a row may be as long as it likes.
func shown(cell string, last bool) string {
	cell = Safe(cell)
	if last || utf8.RuneCountInString(cell) <= most {
		return cell
	}
	return string([]rune(cell)[:most-1]) + "…"
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
