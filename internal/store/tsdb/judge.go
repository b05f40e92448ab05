package tsdb

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/strutil"

	"plimsoll.dev/plimsoll/internal/store"
)

// An expression is judged before it costs anything: its text before it is parsed, because the parser's time grows with the square of what
// it nests; the parsed tree before the engine sees it, because a subquery's steps are paid for before the engine counts its first sample.
const (
	// maxNesting is the most operators and brackets of an expression; matchers of labels do not count. A parser takes some milliseconds for it.
	maxNesting = 500
	// maxPretty is the same for one that is to be written prettily, which grows with the cube.
	maxPretty = 100
	// maxSelectors is the most selectors in the match[] parameters of a request, together.
	maxSelectors = 64
	// maxProgram is the most steps that all regular expressions of a request have together when compiled; maxPattern is that of one that is not
	// merely a list of words, as it is run on every value of its label.
	maxProgram, maxPattern = 100_000, 5_000
	// maxSubSteps is the most steps of all subqueries of an expression together: what the structured queries of a month need, and 16 bytes each.
	maxSubSteps = 100 * store.MaxSteps
	// maxWork is the most points that all subqueries of an expression look at together, one that is evaluated often each time: one within another is paid for by their
	// product, and the engine does not look whether anybody waits any more before it is through. It is some seconds of a processor. sorting is how much more a function
	// costs that sorts them. All ranges of an expression together look at as many at most, of samples, which are counted as they are read (work.go).
	maxWork, sorting = 2e9, 20
	// maxGrowth is how many times longer the functions on labels may make a value, and maxAdded the bytes that they may add.
	maxGrowth, maxAdded = 32, 4 << 10
)

// reading looks at the text of expressions before they are parsed.
type reading struct{ nesting, program int }

// text adds an expression.
func (s *reading) text(expr string, most int) error {
	lexer := parser.Lex(expr)
	for matchers, pattern := false, false; ; {
		var it parser.Item
		lexer.NextItem(&it)
		switch it.Typ {
		case parser.EOF, parser.ERROR:
			return nil // the parser says what is wrong
		case parser.STRING:
			if err := s.pattern(it.Val, pattern); err != nil {
				return err
			}
		}
		if nests(it.Typ) && !matchers {
			if s.nesting++; s.nesting > most {
				return fmt.Errorf("the expression has more than %d operators and brackets: ask for less at once", most)
			}
		}
		matchers = it.Typ == parser.LEFT_BRACE || matchers && it.Typ != parser.RIGHT_BRACE
		pattern = it.Typ == parser.EQL_REGEX || it.Typ == parser.NEQ_REGEX
	}
}

func nests(t parser.ItemType) bool {
	return t == parser.LEFT_PAREN || t == parser.LEFT_BRACKET || t == parser.LEFT_BRACE || t.IsOperator()
}

// pattern adds a regular expression, as it is quoted.
func (s *reading) pattern(quoted string, is bool) error {
	text, err := strutil.Unquote(quoted)
	if err != nil || !is {
		return nil //nolint:nilerr // the parser says so better
	}
	re, err := syntax.Parse("^(?s:"+text+")$", syntax.Perl)
	if err != nil {
		return nil //nolint:nilerr // likewise
	}
	n := steps(re)
	if s.program += n; s.program > maxProgram {
		return errors.New("the regular expressions are too large together: ask for less at once")
	}
	if n > maxPattern && !words(re) {
		return fmt.Errorf("a regular expression has %d steps, the most are %d: use fewer repetitions", n, maxPattern)
	}
	return nil
}

// steps is about how many instructions a regular expression has when its repetitions are written out.
func steps(re *syntax.Regexp) int {
	n := max(1, len(re.Rune))
	for _, sub := range re.Sub {
		n += steps(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= max(re.Min, re.Max, 1)
	}
	return min(n, 1<<30)
}

// words says whether a regular expression repeats nothing: then it is compared with each value once.
func words(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		return false
	}
	for _, sub := range re.Sub {
		if !words(sub) {
			return false
		}
	}
	return true
}

// parseError is an expression that cannot be understood, or is too much to be.
type parseError struct{ error }

// Unwrap gives the contract's error too.
func (e parseError) Unwrap() []error { return []error{e.error, store.ErrBadQuery} }

// parse parses an expression, if it is not too much.
func (db *DB) parse(expr string, most int) (parser.Expr, error) {
	if err := new(reading).text(expr, most); err != nil {
		return nil, parseError{err}
	}
	out, err := db.parser.ParseExpr(expr)
	if err != nil {
		return nil, parseError{err}
	}
	return out, nil
}

// costOf is what a function costs for each point that it looks at.
func costOf(function string) float64 {
	if function == "quantile_over_time" {
		return sorting
	}
	return 1
}

// judge says what in an expression would cost too much over a range of time; a length of zero is an instant. again is how often a range that is read once is looked at.
func judge(expr parser.Expr, length time.Duration) (again float64, err error) {
	j := judged{left: maxSubSteps, added: maxAdded, work: maxWork}
	evaluated := 1.0
	if length > 0 {
		evaluated = store.MaxSteps
	}
	err = j.expr(expr, length, 1, evaluated, 1)
	return j.again, err
}

// judged is what an expression has left.
type judged struct {
	left, added int
	work, again float64
}

// expr judges a part that is evaluated so many times over a length of time, whose labels grow by a factor on their way out, and each of whose points costs its function so much.
func (j *judged) expr(node parser.Node, length time.Duration, growth int, evaluated, cost float64) error {
	looked := evaluated
	switch n := node.(type) {
	case *parser.SubqueryExpr:
		if n.Timestamp != nil || n.StartOrEnd != 0 { // it is evaluated once; what its function makes of it is not, where other arguments differ
			length = 0
		}
		step := n.Step
		if step <= 0 {
			step = subqueryStep
		}
		if length += n.Range; length < 0 || length/step > time.Duration(j.left) {
			return fmt.Errorf("%w: the subqueries have more than %d steps: take longer ones than %q, or less time", store.ErrTooLarge, maxSubSteps, step)
		}
		j.left -= int(length/step) + 1
		if j.work -= looked * cost * float64(n.Range/step+1); j.work < 0 {
			return fmt.Errorf("%w: the subqueries look at more than %.0f points, one within another counted each time: take longer steps than %q, or less time", store.ErrTooLarge, float64(maxWork), step)
		}
		evaluated, cost = float64(length/step)+1, 1
	case *parser.Call:
		cost = costOf(n.Func.Name)
		if fixed, differs := fixedRange(n); fixed && differs {
			j.again = max(j.again, evaluated)
		} else if fixed {
			evaluated = 1
		}
		if growth *= j.growth(n); growth > maxGrowth || j.added < 0 {
			return fmt.Errorf("%w: %s makes labels too long", store.ErrTooLarge, n.Func.Name)
		}
	}
	for child := range parser.ChildrenIter(node) {
		if err := j.expr(child, length, growth, evaluated, cost); err != nil {
			return err
		}
	}
	return nil
}

// fixedRange says whether a call is of a range of one moment, whatever it is asked for, and whether what it makes of it differs all the same: then it looks at it each time.
func fixedRange(call *parser.Call) (fixed, differs bool) {
	for _, arg := range call.Args {
		switch n := inner(arg).(type) {
		case *parser.MatrixSelector:
			v, ok := n.VectorSelector.(*parser.VectorSelector)
			fixed = fixed || ok && (v.Timestamp != nil || v.StartOrEnd != 0)
		case *parser.SubqueryExpr:
			fixed = fixed || n.Timestamp != nil || n.StartOrEnd != 0
		case *parser.NumberLiteral, *parser.StringLiteral:
		default:
			differs = true
		}
	}
	return fixed, differs
}

// growth is how many times longer a call can make a label.
func (j *judged) growth(call *parser.Call) int {
	switch call.Func.Name {
	case "label_join":
		j.add(call.Args[1:])
		return max(1, len(call.Args)-3)
	case "label_replace":
		j.add(call.Args[1:])
		if s, ok := literal(call.Args[2]); ok {
			return max(1, strings.Count(s, "$"))
		}
	}
	return 1
}

func (j *judged) add(args parser.Expressions) {
	for _, arg := range args {
		if s, ok := literal(arg); ok {
			j.added -= len(s)
		}
	}
}

func literal(e parser.Expr) (string, bool) {
	n, ok := inner(e).(*parser.StringLiteral)
	if !ok {
		return "", false
	}
	return n.Val, true
}

// inner is an expression without what is around it.
func inner(e parser.Expr) parser.Expr {
	for {
		switch n := e.(type) {
		case *parser.ParenExpr:
			e = n.Expr
		case *parser.StepInvariantExpr:
			e = n.Expr
		default:
			return e
		}
	}
}

// selectors parses match[] parameters, if they are not too much.
func (db *DB) selectors(list []string) ([][]*labels.Matcher, error) {
	if len(list) > maxSelectors {
		return nil, fmt.Errorf("there are %d selectors, the most are %d", len(list), maxSelectors)
	}
	var s reading
	for _, text := range list {
		if err := s.text(text, maxNesting); err != nil {
			return nil, err
		}
	}
	return db.parser.ParseMetricSelectors(list)
}
