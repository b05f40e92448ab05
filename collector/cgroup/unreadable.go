package cgroup

import (
	"slices"
	"strings"
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
	type key struct {
		why  reason
		file string
	}
	found := map[key]*Unreadable{}
	note := func(why reason, file, path string) {
		k := key{why, file}
		if found[k] == nil {
			found[k] = &Unreadable{Reason: why.String(), File: file, Example: path}
		}
		found[k].Count++
		found[k].Example = min(found[k].Example, path)
	}
	for _, m := range append(slices.Clone(r.members.active), r.node) {
		for i := range m.files {
			if f := &m.files[i]; f.why != fine {
				note(f.why, f.kind.String(), r.members.fileName(m, f))
			}
		}
	}
	for path, why := range r.members.refusal {
		note(why, "directory", path)
	}
	out := make([]Unreadable, 0, len(found))
	for _, u := range found {
		out = append(out, *u)
	}
	slices.SortFunc(out, func(a, b Unreadable) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		return strings.Compare(a.Reason+a.File, b.Reason+b.File)
	})
	return out
}
