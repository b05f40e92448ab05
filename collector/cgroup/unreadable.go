package cgroup

import (
	"cmp"
	"maps"
	"slices"
)

// Unreadable is one kind of thing that could not be read at the last tick, for doctor.
type Unreadable struct {
	Reason  string `json:"reason"` // as in the gaps: "permission", "parse", ...
	File    string `json:"file"`   // the file's name, or "directory"
	Count   int    `json:"count"`  // how many cgroups
	Example string `json:"example"`
}

// Unreadable returns what could not be read at the last tick, and why, the most frequent first.
func (r *Reader) Unreadable() []Unreadable {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := map[[2]string]Unreadable{}
	note := func(why reason, file, path string) {
		k := [2]string{why.String(), file}
		u := cmp.Or(found[k], Unreadable{Reason: k[0], File: k[1], Example: path})
		found[k] = Unreadable{u.Reason, u.File, u.Count + 1, min(u.Example, path)}
	}
	for _, m := range r.measured() {
		for i := range m.files {
			if f := &m.files[i]; f.why != fine {
				note(f.why, f.kind.String(), r.members.fileName(m, f))
			}
		}
	}
	for path, why := range r.members.refusal {
		note(why, "directory", path)
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Unreadable) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason+a.File, b.Reason+b.File))
	})
}
