package cgroup

import (
	"cmp"
	"slices"
	"time"

	"plimsoll.dev/plimsoll/internal/metric"
)

// member is one cgroup, whichever hierarchies it is in, or the machine.
type member struct {
	path   string
	entity *metric.Entity // nil: not a container, or one that waits for its name
	held   []metric.Point // of one that waits, the newest, so that a rate is there with the name
	seen   time.Time      // when it was first seen
	dirs   []*dir         // by hierarchy; nil where it does not exist
	files  []file         // sorted by kind; empty if it is not read
	at     int            // place in members.active; -1: not read
	bare   time.Time      // since when none of its files is there; zero: some are
}

// unnamed says of a cgroup that is there why it is a container no more: its namer has no name for it.
const unnamed = "its cgroup is there, but is no container by itself any more: it holds or is part of others, or nothing runs in it"

// young is how long a new cgroup's name is asked for at each tick: the runtime may tell it a little later.
const young = 5 * time.Second

// members are the cgroups that are known, and those of them that are read. The tree tells them what comes and goes.
type members struct {
	hier    []hierarchy // the last one is /proc, which has the machine's files
	namer   Namer
	max     int // cgroups
	opener  *opener
	now     time.Time // of the tick
	byPath  map[string]*member
	active  []*member
	asked   map[*member]bool      // whose names are asked for at this tick
	ended   map[string]metric.Gap // of what was read and is no more, by path, since that was last said
	refusal map[string]reason     // directories that could not be looked at, by full path
	turns   uint64                // of the namer, when names were last asked for
	drop    func(reason)
}

// maxRefusals bounds what is kept for Unreadable.
const maxRefusals = 1000

func newMembers(hier []hierarchy, namer Namer, max int, o *opener, drop func(reason)) *members {
	return &members{hier: hier, namer: namer, max: max, opener: o, drop: drop, byPath: map[string]*member{},
		asked: map[*member]bool{}, refusal: map[string]reason{}, ended: map[string]metric.Gap{}}
}

// admit says whether there is room for a cgroup; one that is known in another hierarchy always has it.
func (ms *members) admit(path string) bool {
	return ms.byPath[path] != nil || len(ms.byPath) < ms.max
}

// appear takes in a cgroup that exists in one more hierarchy.
func (ms *members) appear(d *dir) {
	m := ms.byPath[d.path]
	if m == nil {
		m = &member{path: d.path, seen: ms.now, at: -1, dirs: make([]*dir, len(ms.hier))}
		ms.byPath[d.path] = m
	}
	m.dirs[d.hier] = d
	if m.at >= 0 {
		ms.open(m, d.hier)
	}
	ms.asked[m] = true
	ms.touch(d.parent)
}

// vanish takes in that a cgroup is gone from a hierarchy.
func (ms *members) vanish(d *dir) {
	ms.touch(d.parent)
	m := ms.byPath[d.path]
	if m == nil || m.dirs[d.hier] != d {
		return
	}
	m.dirs[d.hier] = nil
	m.files = slices.DeleteFunc(m.files, func(f file) bool {
		ended := int(f.hier) == d.hier
		if ended {
			ms.opener.close(&f)
		}
		return ended
	})
	if slices.ContainsFunc(m.dirs, func(other *dir) bool { return other != nil }) {
		return
	}
	if m.entity != nil {
		ms.ended[m.path] = gone.gap(m.entity, "its cgroup")
	}
	ms.stop(m)
	delete(ms.byPath, m.path)
	delete(ms.asked, m)
}

// refused takes in that a directory could not be looked at. That it is gone is not worth a word.
func (ms *members) refused(name string, why reason) {
	if why == gone {
		return
	}
	ms.drop(why)
	if len(ms.refusal) < maxRefusals {
		ms.refusal[name] = why
	}
}

// touch has the name of a cgroup asked for again, of which a child came or went: it may have become a group's.
func (ms *members) touch(d *dir) {
	if m := ms.byPath[d.path]; m != nil {
		ms.asked[m] = true
	}
}

// start is when the cgroup was made in the first of the hierarchies that has it, as cAdvisor tells it: another controller that is given to it later begins
// nothing anew.
func (m *member) start() (first time.Time) {
	for _, d := range m.dirs {
		if d != nil && (first.IsZero() || d.born.Before(first)) {
			first = d.born
		}
	}
	return first
}

// rename asks for the names that may have changed; all asks for every name. When asking shows that some are part of others now, or no more, the
// others are asked again, so that no tick has both or neither.
func (ms *members) rename(all bool) {
	for range 3 {
		turns := ms.namer.Turns()
		ms.ask(all || turns != ms.turns)
		ms.turns = turns
		if ms.namer.Turns() == turns {
			return
		}
	}
}

// ask is one pass of rename.
func (ms *members) ask(all bool) {
	if all {
		for _, m := range ms.byPath {
			ms.name(m)
		}
	}
	for m := range ms.asked {
		if !all {
			ms.name(m)
		}
		if !m.young(ms.now) && (m.entity != nil || !ms.namer.Waits(m.path)) {
			delete(ms.asked, m)
		}
	}
}

// young says whether a cgroup has just come.
func (m *member) young(now time.Time) bool {
	age := now.Sub(m.seen)
	return age >= 0 && age <= young
}

// name asks for one name, and begins or ends reading the cgroup by it. One that has just come is read while it waits.
func (ms *members) name(m *member) {
	e, ok := ms.namer.Name(m.path)
	switch {
	case ok && e != nil:
		m.entity = e
		ms.start(m)
	case m.entity == nil && m.young(ms.now) && ms.namer.Waits(m.path):
		ms.start(m)
	default:
		if m.entity != nil {
			ms.ended[m.path] = metric.Gap{Entity: m.entity, Reason: metric.GapGone, Detail: unnamed}
		}
		ms.stop(m)
	}
}

// start begins reading a cgroup.
func (ms *members) start(m *member) {
	if m.at >= 0 {
		return
	}
	m.at = len(ms.active)
	ms.active = append(ms.active, m)
	for h, d := range m.dirs {
		if d != nil {
			ms.open(m, h)
		}
	}
}

// open opens a cgroup's files in one hierarchy.
func (ms *members) open(m *member, h int) {
	for _, k := range ms.hier[h].kinds {
		f := file{kind: k, hier: uint8(h)}
		ms.opener.open(&f, ms.fileName(m, &f))
		at, _ := slices.BinarySearchFunc(m.files, k, func(f file, k kind) int { return cmp.Compare(f.kind, k) })
		m.files = slices.Insert(m.files, at, f)
	}
}

// reopen tries a cgroup's files again that could not be opened, and keeps those open that the budget now has room for.
func (ms *members) reopen(m *member) {
	for i := range m.files {
		if f := &m.files[i]; f.fd < 0 {
			ms.opener.open(f, ms.fileName(m, f))
		}
	}
}

func (ms *members) fileName(m *member, f *file) string {
	return ms.hier[f.hier].dir + m.path + "/" + f.kind.String()
}

// stop ends reading a cgroup.
func (ms *members) stop(m *member) {
	for i := range m.files {
		ms.opener.close(&m.files[i])
	}
	m.files, m.entity, m.held = nil, nil, nil
	if m.at < 0 {
		return
	}
	last := len(ms.active) - 1
	ms.active[m.at] = ms.active[last]
	ms.active[m.at].at = m.at
	ms.active[last] = nil
	ms.active = ms.active[:last]
	m.at = -1
}

// close gives all descriptors back.
func (ms *members) close() {
	for _, m := range ms.byPath {
		ms.stop(m)
	}
	clear(ms.byPath)
}
