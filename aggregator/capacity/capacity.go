package capacity

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/aggregator/live"
)

// Capacity reports how much room is left. h may be nil: then the report tells of the present only, and says so. The error wraps
// ErrBadOptions where no report can be made for the options, and else what the history answered.
func Capacity(ctx context.Context, h History, s *live.Snapshot, o CapacityOptions) (*CapacityReport, error) {
	g, err := gridUpTo(s, o.Window)
	if err != nil {
		return nil, fmt.Errorf("cannot report capacity: %w", err)
	}
	then := &history{clusters: stories{}, pools: stories{}, nodes: stories{}, namespaces: stories{}}
	if h != nil {
		if then, err = tell(ctx, &asker{h, g}, len(o.Pools) > 0); err != nil {
			return nil, err
		}
	}
	r := capacityOf(g, present(s, &o), then, h != nil, s.NodesHidden)
	r.Time = s.Time.UTC()
	return r, nil
}

// capacityOf makes the report of what is known; hidden: of namespaces alone, since nothing of the machines is seen. It is pure.
func capacityOf(g grid, now *picture, then *history, kept, hidden bool) *CapacityReport {
	r := &CapacityReport{Schema: CapacitySchema, Start: g.start, End: g.end, Step: g.step.Seconds(), Scopes: []Scope{}, Notes: []string{}}
	c := &composer{g: g, then: then}
	c.doubt(now)
	var nodes, byPool = make([]Scope, 0, len(now.nodes)), map[string][]int{}
	for i := range now.nodes {
		n := &now.nodes[i]
		nodes = append(nodes, c.scope(NodeLevel, n.name, 1, n.cpu, n.memory, then.nodes[n.name], n.gap))
		nodes[i].Unschedulable = n.shut
		if nodes[i].Pool = n.pool; n.pool != "" {
			byPool[n.pool] = append(byPool[n.pool], i)
		}
	}
	for i := range nodes {
		for _, x := range resources {
			x.room(&nodes[i]).blocks(nodes[i:i+1], x.room)
		}
	}
	r.Scopes = append(r.Scopes, c.group(ClusterLevel, "", now.nodes, nodes, c.clusterStory(now)))
	for _, name := range sortedKeys(byPool) {
		var members []scopeNow
		var scopes []Scope
		for _, i := range byPool[name] {
			members, scopes = append(members, now.nodes[i]), append(scopes, nodes[i])
		}
		r.Scopes = append(r.Scopes, c.group(PoolLevel, name, members, scopes, c.poolStory(name, members)))
	}
	r.Scopes = append(r.Scopes, nodes...)
	for i := range now.namespaces {
		n := &now.namespaces[i]
		r.Scopes = append(r.Scopes, c.scope(NamespaceLevel, n.name, n.nodes, n.cpu, n.memory, then.namespaces[n.name], n.gap))
		r.Scopes[len(r.Scopes)-1].Lacks = n.lacks
	}
	if r.Notes = c.notes(now, kept, r.Scopes[0]); hidden {
		r.Scopes = slices.DeleteFunc(r.Scopes, func(s Scope) bool { return s.Level != NamespaceLevel })
		r.Notes = []string{}
	}
	for i := range r.Scopes {
		if s := &r.Scopes[i]; s.Lacks != "" {
			r.Notes = append(r.Notes, s.lackNote())
		}
	}
	return r
}

// lackNote tells of a namespace that its use lacks a part.
func (s *Scope) lackNote() string {
	return fmt.Sprintf("What namespace %s uses now is of %s: the others, or containers of theirs, have no CPU or no memory at present.", s.Name, s.Lacks)
}

// Keep leaves the scopes that are wanted alone, without the notes on the others, which it returns.
func (r *CapacityReport) Keep(wanted func(*Scope) bool) (without []string) {
	for i := range r.Scopes {
		if s := &r.Scopes[i]; s.Lacks != "" && !wanted(s) {
			without = append(without, s.lackNote())
		}
	}
	r.Notes = slices.DeleteFunc(r.Notes, func(n string) bool { return slices.Contains(without, n) })
	r.Scopes = slices.DeleteFunc(r.Scopes, func(s Scope) bool { return !wanted(&s) })
	return without
}

// composer makes scopes.
type composer struct {
	g      grid
	then   *history
	summed bool // the cluster's history is the sum of its nodes'
	silent bool // because the cluster's own has machines that are silent
	pools  bool // some pool's is the sum of its nodes'
	odd    doubts
}

// doubt drops what cannot have been. What was used on a node of which nothing says what it has is bounded by no sum.
func (c *composer) doubt(now *picture) {
	for _, s := range c.then.nodes {
		c.odd.take(s.believable(s.cores))
	}
	for name, s := range c.then.pools {
		if !slices.ContainsFunc(now.nodes, func(n scopeNow) bool { return n.pool == name && !n.sized() }) {
			c.odd.take(s.believable(s.cores))
		}
	}
	for _, s := range c.then.nodes {
		if len(s.cores) == 0 && len(s.seen) > 0 {
			return
		}
	}
	for _, s := range c.then.clusters {
		c.odd.take(s.believable(s.cores))
		for _, ns := range c.then.namespaces {
			c.odd.take(ns.believable(s.cores))
		}
	}
}

// clusterStory is the cluster's own history, or where that is not of the same machines as the room (nobody rolls up, one is silent) the
// sum of its nodes'.
func (c *composer) clusterStory(now *picture) *story {
	if s := c.then.clusters[""]; s != nil && len(s.seen) > 0 {
		c.silent = slices.ContainsFunc(now.nodes, func(n scopeNow) bool { return n.gap != "" })
		if !c.silent && len(unsized(now.nodes)) == 0 {
			return s
		}
	}
	parts := c.parts(now.nodes)
	c.summed = len(parts) > 1
	return merged(parts)
}

// poolStory is a pool's own history, or where that is not of the same machines as the room the sum of its nodes'.
func (c *composer) poolStory(name string, members []scopeNow) *story {
	if s := c.then.pools[name]; s != nil && len(s.seen) > 0 && !slices.ContainsFunc(members, func(n scopeNow) bool { return n.gap != "" }) && len(unsized(members)) == 0 {
		return s
	}
	parts := c.parts(members)
	c.pools = c.pools || len(parts) > 1
	return merged(parts)
}

// parts are the nodes' histories, but for those that are silent or of which nothing says what they have: that is no room, so what they used is taken from none.
func (c *composer) parts(nodes []scopeNow) (out []*story) {
	without := unsized(nodes)
	for i := range nodes {
		n := &nodes[i]
		if s := c.then.nodes[n.name]; s != nil && n.gap == "" && !slices.Contains(without, n.name) {
			out = append(out, s)
		}
	}
	return out
}

// scope makes one scope; past may be nil.
func (c *composer) scope(level, name string, nodes int, cpu, memory amounts, past *story, gap string) Scope {
	if past == nil {
		past = newStory()
	}
	s := Scope{Level: level, Name: name, Nodes: nodes, Gap: gap, Data: c.g.data(past.seen, past.begins)}
	covered := map[int64]int{} // cover steps with data, by the end of the step that they lie in
	for _, t := range past.seen {
		step := c.g.step.Milliseconds()
		ahead := c.g.end.UnixMilli() - t
		covered[(c.g.end.UnixMilli()-ahead/step*step)/1000]++
	}
	need := int(c.g.step / c.g.cover / 2)
	enough := func(t int64) bool { return covered[t] >= need }
	s.CPU = c.room(cpu, past.cpu, enough, coresUnit)
	s.Memory = c.room(memory, past.memory, enough, bytesUnit)
	return s
}

// room makes one resource of a scope.
func (c *composer) room(now amounts, past *past, enough func(int64) bool, u unit) Room {
	r := Room{Capacity: now.capacity, Allocatable: now.allocatable, Requests: now.requests, Limits: now.limits, Used: now.used,
		Max: past.max(), Points: past.points()}
	r.P50, r.P95 = least(past.p50, r.Max), least(past.p95, r.Max)
	if r.Allocatable == nil {
		r.Allocatable, r.AllocatableIsCapacity = r.Capacity, r.Capacity != nil
	}
	r.FreeByUse = minus(r.Allocatable, r.P95)
	if f := r.FreeByUse; f != nil && *f < 0 && -*f < *r.Allocatable/1000 { // rates are not that exact
		*f = 0
	}
	if r.FreeByRequest = minus(r.Allocatable, r.Requests); r.Requests == nil {
		r.FreeByRequest = r.Allocatable
	}
	r.Trend = trendOf(r.Points, enough, c.g, r.Allocatable, u)
	return r
}

// group makes a scope that has nodes: what it has is the sum over the nodes that are known.
func (c *composer) group(level, name string, members []scopeNow, nodes []Scope, past *story) Scope {
	var cpu, memory amounts
	var gaps []string
	gap, without := "", unsized(members)
	for i := range members {
		c, m := members[i].cpu, members[i].memory
		if slices.Contains(without, members[i].name) { // it is used of what is not known
			c.used, m.used = nil, nil
		}
		cpu.add(&c)
		memory.add(&m)
		if members[i].gap != "" {
			gaps = append(gaps, members[i].name)
		}
	}
	if len(gaps) > 0 {
		gap = "no current values of " + nodeNames(gaps)
	}
	s := c.scope(level, name, len(members), cpu, memory, past, gap)
	for _, x := range resources {
		room := x.room(&s)
		room.blocks(nodes, x.room)
		for i := range nodes {
			if n := x.room(&nodes[i]); n.Allocatable == nil && n.Requests != nil && room.FreeByRequest != nil { // they are taken from what is not known
				room.FreeByRequest = plus(room.FreeByRequest, n.Requests)
			}
			room.AllocatableIsCapacity = room.AllocatableIsCapacity || x.room(&nodes[i]).AllocatableIsCapacity
		}
	}
	return s
}

// blocks finds the largest free blocks among nodes.
func (r *Room) blocks(nodes []Scope, of func(*Scope) *Room) {
	larger := func(b *Block, node string, free *float64) *Block {
		if free == nil || b != nil && b.Free >= *free {
			return b
		}
		return &Block{Node: node, Free: max(*free, 0)}
	}
	for i := range nodes {
		if nodes[i].Unschedulable != "" {
			continue
		}
		room := of(&nodes[i])
		r.LargestByRequest = larger(r.LargestByRequest, nodes[i].Name, room.FreeByRequest)
		r.LargestByUse = larger(r.LargestByUse, nodes[i].Name, room.FreeByUse)
	}
}

// notes say what a reader should know before believing the figures.
func (c *composer) notes(now *picture, kept bool, cluster Scope) []string {
	out := []string{}
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if !kept {
		add("There is no history here: percentiles, trends and free by use are not known.")
	}
	if kept && cluster.Data.Text != "" {
		add("%s", cluster.Data.Text)
	}
	var gaps []string
	for i := range now.nodes {
		if n := &now.nodes[i]; n.gap != "" {
			gaps = append(gaps, fmt.Sprintf("%q (%s)", n.name, n.gap))
		}
	}
	if len(gaps) > 0 {
		add("No current values of %s: neither what they have nor what they used is counted.", nodeNames(gaps))
	}
	shut := map[string][]string{}
	for i := range now.nodes {
		if n := &now.nodes[i]; n.shut != "" {
			shut[n.shut] = append(shut[n.shut], fmt.Sprintf("%q", n.name))
		}
	}
	for _, why := range sortedKeys(shut) {
		add("Nothing new is placed on %s, which %s %s: what is free there is counted all the same.", nodeNames(shut[why]), numbered(len(shut[why]), "is", "are"), why)
	}
	names := unsized(now.nodes)
	if len(names) == 0 && nobodySized(now.nodes) {
		add("Nothing says yet what %s: what is free is not known. A collector says so with each full reading, every ten seconds or so.", numbered(len(now.nodes)-len(gaps), "the machine has", "the machines have"))
	}
	if len(names) > 0 {
		add("Nothing says what %s %s: what is free is that of the others, and what was used there is taken from none of it.", nodeNames(names), numbered(len(names), "has", "have"))
	}
	var left []string
	for _, name := range sortedKeys(c.then.nodes) {
		if !slices.ContainsFunc(now.nodes, func(n scopeNow) bool { return n.name == name }) {
			left = append(left, fmt.Sprintf("%q", name))
		}
	}
	if len(left) > 0 {
		add("In this window there was data of %s, which %s not here now: what ran there is in the cluster's past use.", nodeNames(left), numbered(len(left), "is", "are"))
	}
	out = append(out, roomNotes(&cluster, len(now.nodes)-len(gaps))...)
	if n := c.odd.dropped; n > 0 {
		add("At %s more CPU seems to have been used than there was, which cannot be and is left out: a counter leapt, or a clock was set.", plural(float64(n), c.g.noun()))
	}
	if n := c.odd.bounded; n > 0 {
		add("At %s up to a tenth more CPU seems to have been used than there was, which cannot be: it is taken for all that there was.", plural(float64(n), c.g.noun()))
	}
	switch {
	case c.summed && (c.silent || len(unsized(now.nodes)) > 0):
		add("Of the past too only the other machines count; their percentiles and maxima were added up, which is an upper estimate.")
	case c.summed:
		add("The history has no sums of the cluster; percentiles and maxima of the nodes were added up, which is an upper estimate.")
	}
	if c.pools {
		add("A pool's percentiles and maxima are sums of its nodes', which is an upper estimate.")
	}
	return out
}

// roomNotes say what the allocatable and the requests of so many nodes rest on, which are those that have current values: of others nothing is known.
func roomNotes(cluster *Scope, nodes int) []string {
	var out []string
	if cluster.CPU.AllocatableIsCapacity || cluster.Memory.AllocatableIsCapacity {
		out = append(out, fmt.Sprintf("Nothing says what containers may have of %s, so all of the machine's capacity is taken for allocatable; the system itself needs some of it.", numbered(nodes, "the machine", "the machines")))
	}
	if cluster.CPU.Requests == nil && cluster.Memory.Requests == nil && nodes > 0 {
		out = append(out, fmt.Sprintf("No container requests anything, so free by request is %s; free by use is the better look.", numbered(nodes, "the whole machine", "all of every machine")))
	}
	return out
}

// nodeNames names at most five nodes.
func nodeNames(names []string) string {
	const most = 5
	if len(names) == 1 {
		return "node " + names[0]
	}
	s := fmt.Sprintf("%d nodes: ", len(names)) + strings.Join(names[:min(most, len(names))], ", ")
	if len(names) > most {
		s += fmt.Sprintf(" and %d more", len(names)-most)
	}
	return s
}
