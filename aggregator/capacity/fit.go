package capacity

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
)

// The smallest replica that can be asked for, as in Kubernetes, and the largest.
const (
	leastCPU    = 0.001
	leastMemory = 1
	mostToFit   = 1e15 // cores, or bytes
)

// Fit reports how many more replicas of a size fit beside what a capacity report has seen. What else keeps a replica off a node (taints,
// affinity, the node's limit of pods) is not looked at, but that a node is cordoned, or not Ready. The error wraps ErrBadOptions.
func Fit(r *CapacityReport, n Need) (*FitReport, error) {
	if n.By == "" {
		n.By = ByRequest
	}
	if err := n.check(); err != nil {
		return nil, fmt.Errorf("cannot say what fits: %w", err)
	}
	out := &FitReport{Schema: FitSchema, Time: r.Time, Start: r.Start, End: r.End, Need: n, Nodes: []NodeFit{}, Notes: []string{}}
	heard := 0
	for i := range r.Scopes {
		s := &r.Scopes[i]
		if s.Level != NodeLevel {
			continue
		}
		f := n.on(s)
		if f.Count != nil {
			out.Known++
			out.Total += *f.Count
		}
		if s.Gap == "" {
			heard++
		}
		out.Nodes = append(out.Nodes, f)
	}
	slices.SortStableFunc(out.Nodes, func(a, b NodeFit) int { return countOf(&b) - countOf(&a) })
	out.Text = out.sentence()
	if len(r.Scopes) > 0 {
		out.Notes = append(out.Notes, roomNotes(&r.Scopes[0], heard)...)
	}
	if len(out.Nodes) > 1 && !slices.ContainsFunc(out.Nodes, func(f NodeFit) bool { return f.Pool != "" }) {
		out.Notes = append(out.Notes, "No node is of a node pool, so what fits is counted on each node as it is; a pool that grows by a node would take more.")
	}
	if n.By == ByUse && out.Known > 0 {
		out.Notes = append(out.Notes, "Free by use is allocatable less the 95th percentile of what was used: one moment in twenty is busier.")
		if text := r.Scopes[0].Data.Text; text != "" {
			out.Notes = append(out.Notes, text)
		}
	}
	return out, nil
}

func (n *Need) check() error {
	if n.By != ByRequest && n.By != ByUse {
		return badOptions("by %q: want %q or %q", n.By, ByRequest, ByUse)
	}
	if n.CPU == nil && n.Memory == nil {
		return badOptions("no size: give CPU, memory or both")
	}
	for _, x := range []struct {
		what  string
		v     *float64
		least float64
		text  func(float64) string
	}{{"CPU", n.CPU, leastCPU, coresText}, {"memory", n.Memory, leastMemory, bytesText}} {
		if x.v != nil && (!(*x.v >= x.least) || *x.v > mostToFit) {
			return badOptions("%s of %q: the least is %s, the most %s", x.what, x.text(*x.v), x.text(x.least), x.text(mostToFit))
		}
	}
	return nil
}

// on says how many replicas fit on a node.
func (n *Need) on(s *Scope) NodeFit {
	f := NodeFit{Node: s.Name, Pool: s.Pool, FreeCPU: s.CPU.free(n.By), FreeMemory: s.Memory.free(n.By)}
	if f.Unschedulable = s.Unschedulable; f.Unschedulable != "" {
		f.Count, f.Reason = new(int), "it is "+f.Unschedulable
		f.LeftCPU, f.LeftMemory = f.FreeCPU, f.FreeMemory
		return f
	}
	if s.Gap != "" {
		f.Reason = "no current values: " + s.Gap
		return f
	}
	count := math.MaxInt
	for _, x := range []struct {
		need, free *float64
		name, word string
		parts      float64
		sized      bool
	}{{n.CPU, f.FreeCPU, BoundByCPU, "CPU", 1e6, s.CPU.FreeByRequest != nil}, {n.Memory, f.FreeMemory, BoundByMemory, "memory", 1, s.Memory.FreeByRequest != nil}} {
		if x.need == nil {
			continue
		}
		if x.free == nil {
			f.BoundBy, f.Reason = "", unknownFree(n.By, x.word, x.sized)
			return f
		}
		if c := times(*x.free, *x.need, x.parts); c < count {
			count, f.BoundBy = c, x.name
		}
	}
	f.Count = &count
	f.LeftCPU, f.LeftMemory = left(f.FreeCPU, n.CPU, count), left(f.FreeMemory, n.Memory, count)
	f.Reason = n.reason(&f)
	return f
}

func unknownFree(by By, what string, sized bool) string {
	if by == ByUse && sized {
		return what + " free by use is not known: there is no history of the node's use in the window"
	}
	return what + " free by " + string(by) + " is not known: nothing says what the node has"
}

func (r *Room) free(by By) *float64 {
	if by == ByUse {
		return r.FreeByUse
	}
	return r.FreeByRequest
}

// times says how often a need goes into what is free, counted in parts of a unit. What arithmetic leaves in a ten-thousandth of a part does
// not count, so that three times 0.1 go into 0.3; amounts of one part are whole numbers.
func times(free, need, parts float64) int {
	slack := 1e-4
	if parts == 1 {
		slack = 0
	}
	f, n := math.Floor(free*parts+slack), math.Ceil(need*parts-slack)
	if f < n {
		return 0
	}
	return int(f / n)
}

func left(free, need *float64, count int) *float64 {
	if free == nil || need == nil {
		return free
	}
	v := *free - *need*float64(count)
	if v < 0 && v > -1e-6 && count > 0 {
		v = 0 // what rounding leaves
	}
	return &v
}

func (n *Need) reason(f *NodeFit) string {
	free, u, need := f.FreeCPU, coresUnit, n.CPU
	if f.BoundBy == BoundByMemory {
		free, u, need = f.FreeMemory, bytesUnit, n.Memory
	}
	if *free < 0 {
		return fmt.Sprintf("%s short already", u.full(-*free))
	}
	return fmt.Sprintf("%s free, %s for each", u.full(*free), u.text(*need))
}

func countOf(f *NodeFit) int {
	if f.Count == nil {
		return -1
	}
	return *f.Count
}

// size writes what is asked for: 500m CPU and 1Gi memory.
func (n *Need) size() string {
	switch {
	case n.Memory == nil:
		return coresUnit.full(*n.CPU)
	case n.CPU == nil:
		return bytesUnit.full(*n.Memory)
	}
	return coresUnit.full(*n.CPU) + " and " + bytesUnit.full(*n.Memory)
}

func (r *FitReport) sentence() string {
	by := "going by requests"
	if r.Need.By == ByUse {
		by = "going by use"
	}
	unknown := ""
	if n := len(r.Nodes) - r.Known; n > 0 {
		unknown = fmt.Sprintf(" Of %s it is not known.", plural(float64(n), "node"))
	}
	shut := r.shut()
	unknown += shut
	size := r.Need.size()
	switch {
	case len(r.Nodes) == 0:
		return "There is no node."
	case r.unknown():
		return fmt.Sprintf("How many replicas of %s fit is not known: %s.%s", size, r.Nodes[r.Known].Reason, shut)
	case r.Total == 0:
		return fmt.Sprintf("No more replica of %s fits, %s.%s", size, by, unknown)
	}
	s := fmt.Sprintf("%d more replicas of %s fit, %s", r.Total, size, by)
	if r.Total == 1 {
		s = fmt.Sprintf("One more replica of %s fits, %s", size, by)
	}
	return s + r.into() + "." + unknown
}

// unknown says whether of no node that takes new pods it is known how many fit, and there is one. Those of which it is not known come last.
func (r *FitReport) unknown() bool {
	return r.Known < len(r.Nodes) && !slices.ContainsFunc(r.Nodes, func(f NodeFit) bool { return f.Count != nil && f.Unschedulable == "" })
}

// shut says which nodes take nothing new: of one or two the names, of more how many.
func (r *FitReport) shut() (s string) {
	by := map[string][]NodeFit{}
	for i := range r.Nodes {
		if why := r.Nodes[i].Unschedulable; why != "" {
			by[why] = append(by[why], r.Nodes[i])
		}
	}
	for _, why := range sortedKeys(by) {
		switch n := by[why]; len(n) {
		case 1, 2:
			s += fmt.Sprintf(" %s %s %s.", strings.Join(names(n), " and "), numbered(len(n), "is", "are"), why)
		default:
			s += fmt.Sprintf(" %d nodes are %s.", len(n), why)
		}
	}
	return s
}

// into says what they fit into: of one node or two the names, of more how many, and of node pools how much each takes.
func (r *FitReport) into() string {
	n := sort.Search(len(r.Nodes), func(i int) bool { return countOf(&r.Nodes[i]) <= 0 }) // those with most room come first
	takes := r.Nodes[:n]
	s := fmt.Sprintf(", on %d of %d nodes", n, len(r.Nodes))
	if len(r.Nodes) == 1 {
		s = ", on node " + takes[0].Node
	} else if n <= 2 {
		s += fmt.Sprintf(" (%s)", strings.Join(names(takes), ", "))
	}
	pools := map[string]int{}
	for i := range takes {
		pools[takes[i].Pool] += *takes[i].Count
	}
	if len(pools) == 0 || len(pools) == 1 && pools[""] > 0 {
		return s
	}
	var parts []string
	for _, pool := range sortedKeys(pools) {
		if pool != "" {
			parts = append(parts, fmt.Sprintf("%d in pool %s", pools[pool], pool))
		}
	}
	if pools[""] > 0 {
		parts = append(parts, fmt.Sprintf("%d in no pool", pools[""]))
	}
	return s + ": " + strings.Join(parts, ", ")
}

func names(nodes []NodeFit) (out []string) {
	for i := range nodes {
		out = append(out, nodes[i].Node)
	}
	return out
}
