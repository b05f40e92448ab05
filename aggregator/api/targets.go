package api

import (
	"slices"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/scope"
)

// kindOf takes KIND or KIND.GROUP apart: no kind has a dot. The API version has the group alone, "" where none is named.
func kindOf(text string) (kind, apiVersion string) {
	kind, group, named := strings.Cut(text, ".")
	switch {
	case !named:
		return kind, ""
	case group == cluster.CoreGroup:
		return kind, "v1"
	}
	return kind, group + "/"
}

// plain is a target as its pods have it, whose kind may be called with its group.
func plain(t cluster.Target) cluster.Target {
	t.Kind, _ = kindOf(t.Kind)
	return t
}

// isOf says whether a target is of a kind that is called KIND, or KIND.GROUP.
func isOf(t cluster.Target, text string) bool {
	kind, version := kindOf(text)
	return plain(t).Kind == kind && (version == "" || t.Group() == cluster.Target{APIVersion: version}.Group())
}

// apart has one row for each target that was ever seen. What names the same kind and name in a group in which nobody found it tells beside that what it is for; where
// several groups have it, each row's kind is called with its group. all is sorted.
func apart(all []cluster.Scaled) (out []cluster.Scaled) {
	for len(all) > 0 {
		n := 1
		for n < len(all) && keyOf(all[n].Target) == keyOf(all[0].Target) {
			n++
		}
		rows := all[:n]
		all = all[n:]
		if n == 1 {
			out = append(out, rows[0])
			continue
		}
		var real, rest []cluster.Scaled
		for i := range rows {
			if found(&rows[i]) {
				real = append(real, rows[i])
			} else {
				rest = append(rest, rows[i])
			}
		}
		if len(real) == 0 {
			i := max(0, slices.IndexFunc(rest, func(s cluster.Scaled) bool { return s.Desired > 0 })) // whose count was known, or the first
			real = append(real, rest[i])
			rest = slices.Delete(rest, i, i+1)
		}
		for i := range rest {
			beside(&real[0], &rest[i])
		}
		for i := range real {
			if len(real) > 1 {
				real[i].Kind = real[i].GroupKind()
			}
			out = append(out, real[i])
		}
	}
	return out
}

// found says whether a target is there, or was: one whose count was changed, and whose scale cannot be read at present, stays itself.
func found(s *cluster.Scaled) bool {
	if s.Gap != nil && (s.Gap.Reason == cluster.GapPolicy || s.Gap.Reason == cluster.GapScale) {
		return s.Change != nil
	}
	return s.Updated != nil
}

// beside adds to a target's row what is declared for one of its kind and name that is not there.
func beside(s, vain *cluster.Scaled) {
	s.By = slices.Concat(s.By, vain.By)
	if vain.Gap == nil { // it was not looked for yet
		return
	}
	why := vain.Gap.Detail
	if vain.Gap.Reason != cluster.GapPolicy && vain.State != "" {
		why = vain.State + ": " + why
	}
	if s.State != "" {
		why = s.State + ", " + why
	}
	s.State = why
}

// target is what a workload's name means at present to the decision log: its group, too, where that is known.
func (a *API) target(now time.Time, k workloadKey) cluster.Target {
	t := cluster.Target{Namespace: k.namespace, Name: k.name}
	t.Kind, t.APIVersion = kindOf(k.kind)
	if s := scaledAs(a.scaled(now, scope.Whole()), k); s != nil {
		t.APIVersion = s.APIVersion
	}
	return t
}

// scaledAs finds the row of a workload; nil where there is none, or several groups have one of that kind and name.
func scaledAs(all []cluster.Scaled, k workloadKey) (one *cluster.Scaled) {
	for i := range all {
		if s := &all[i]; s.Namespace == k.namespace && s.Name == k.name && isOf(s.Target, k.kind) {
			if one != nil {
				return nil
			}
			one = s
		}
	}
	return one
}
