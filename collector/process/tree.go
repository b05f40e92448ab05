package process

import (
	"slices"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// key tells a process from a later one of the same PID.
type key struct {
	pid   int
	start uint64
}

// member is what was seen of a process at the last look.
type member struct {
	stat
	parent key // zero: its parent is not part of the tree
	// owed is CPU time of members that ended, which this heir's account of children has not shown yet. Members are not
	// read at one moment: a child may end after its parent was read. What is still owed at the next look was given to no one.
	owed cpu
}

// all is the CPU time that the tree knows by a member.
func (m *member) all() cpu { return m.cpu.plus(m.child).plus(m.owed) }

// tree is one target's processes, and its counters.
type tree struct {
	root    key
	start   time.Time // when the first process began
	members map[key]*member
	carry   cpu // what was given to no one, for good
}

// totals is what a target's processes come to.
type totals struct {
	cpu
	rss                uint64 // pages
	processes, threads uint64
}

// total takes a new look at the tree. The root must be in the table. The CPU time never goes below that of the look
// before: what a member had used is found again in the account of the parent that waited for it, and until then, or
// if it is found nowhere, it is carried. If a member exists and cannot be read, the look is lost, and why says so.
func (tr *tree) total(x *table) (sum totals, why string) {
	set, why := tr.collect(x)
	if why != "" {
		return sum, why
	}
	now, sum, why := read(x, set)
	if why != "" {
		return sum, why
	}
	tr.settle(now)
	tr.members = now
	sum.cpu = tr.carry
	for _, m := range now {
		sum.cpu = sum.plus(m.all())
	}
	return sum, ""
}

// collect finds the members in the table: the root, its process group and session, those known from before, and the
// descendants of all of them.
func (tr *tree) collect(x *table) (set []*process, why string) {
	seen := map[int]bool{}
	var add func(p *process)
	add = func(p *process) {
		if p == nil || seen[p.pid] {
			return
		}
		seen[p.pid] = true
		set = append(set, p)
		for _, kid := range x.kids[p.pid] {
			add(kid)
		}
	}
	add(x.at[tr.root.pid])
	for k := range tr.members {
		if why := x.failed[k.pid]; why != "" {
			return nil, why
		}
		if p := x.at[k.pid]; p != nil && p.start == k.start {
			add(p)
		}
	}
	for i := range x.list {
		p := &x.list[i]
		if (p.pgrp == tr.root.pid || p.session == tr.root.pid) && p.start >= tr.root.start {
			add(p)
		}
	}
	slices.SortFunc(set, func(a, b *process) int { return a.pid - b.pid })
	return set, ""
}

// read reads the members once more, parents before their children: then a child that ends in the middle is missing
// from both accounts, never counted in both.
func read(x *table, set []*process) (now map[key]*member, sum totals, why string) {
	now = make(map[key]*member, len(set))
	in, kids := make(map[int]bool, len(set)), make(map[int][]*process, len(set))
	for _, p := range set {
		in[p.pid] = true
		kids[p.ppid] = append(kids[p.ppid], p)
	}
	var visit func(p *process, parent key)
	visit = func(p *process, parent key) {
		k := key{p.pid, p.start}
		if now[k] != nil {
			return
		}
		s, failed := x.one(p.pid)
		switch {
		case failed == metric.GapGone, failed == "" && s.start != p.start:
			k = parent // it ended just now; its children are another's
		case failed != "":
			why = failed
			return
		default:
			now[k] = &member{parent: parent, stat: s}
			sum.add(&s)
		}
		for _, kid := range kids[p.pid] {
			visit(kid, k)
		}
	}
	for _, p := range set {
		if !in[p.ppid] {
			visit(p, key{})
		}
	}
	return now, sum, why
}

func (t *totals) add(s *stat) {
	if s.dead() {
		return
	}
	t.rss += s.rss
	t.threads += s.threads
	t.processes++
}

// settle passes on the CPU time of the members that have ended: to the nearest living ancestor, who owes it until
// its account of children shows it, or, after two looks or without an ancestor, to the tree's own account.
func (tr *tree) settle(now map[key]*member) {
	for k, m := range tr.members {
		if now[k] != nil {
			continue
		}
		account := &tr.carry
		if heir := now[tr.heir(m.parent, now)]; heir != nil {
			account = &heir.owed
		}
		*account = account.plus(m.all())
	}
	for k, m := range now {
		was := tr.members[k]
		if was == nil {
			// It is new, and with it all that its children used: no debt of it can be older.
			was = &member{stat: m.stat}
		}
		m.settle(was, &tr.carry)
	}
}

// settle pays a member's debts, the older first, from what its account of children grew by.
func (m *member) settle(was *member, carry *cpu) {
	old := was.owed
	pay(m.child.user, was.child.user, &old.user, &m.owed.user, &carry.user)
	pay(m.child.system, was.child.system, &old.system, &m.owed.system, &carry.system)
	*carry = carry.plus(old) // what is left of it
}

// pay settles one kind of CPU time. An account that shrank, which the kernel's never does, is carried.
func pay(is, was uint64, old, fresh, carry *uint64) {
	if is < was {
		*carry += was - is
		return
	}
	grown := is - was
	for _, d := range []*uint64{old, fresh} {
		paid := min(*d, grown)
		*d -= paid
		grown -= paid
	}
}

// heir is the nearest ancestor that still lives; zero if there is none.
func (tr *tree) heir(k key, now map[key]*member) key {
	for range len(tr.members) + 1 {
		m := tr.members[k]
		if now[k] != nil || m == nil {
			return k
		}
		k = m.parent
	}
	return key{}
}
