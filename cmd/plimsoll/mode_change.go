package main

import (
	"cmp"
	"fmt"

	scalepolicies "plimsoll.dev/plimsoll/autoscaler/kube"
	"plimsoll.dev/plimsoll/autoscaler/policy"
)

// change is what is wished of an object, and how it is.
type change struct {
	kind            modeKind
	namespace, name string
	mode            policy.Mode // "": to be boosted
	off             bool        // not to be boosted
	try             string      // "server", "client"; "": for good
	already         bool        // it is so
	now             struct {
		Metadata struct{ Annotations map[string]string }
		Spec     struct{ Mode policy.Mode }
	}
}

// is says whether an annotation has a value.
func (c *change) is(name, value string) bool { return c.now.Metadata.Annotations[name] == value }

// patch is what has to be merged into the object; nil: nothing.
func (c *change) patch() (map[string]any, error) {
	if c.kind == policyKind {
		if cmp.Or(c.now.Spec.Mode, policy.Auto) == c.mode {
			return nil, nil
		}
		return map[string]any{"spec": map[string]any{"mode": c.mode}}, nil
	}
	want := map[string]any{scalepolicies.Mode: string(c.mode)}
	if c.mode == policy.Auto || c.off {
		want[scalepolicies.Mode] = nil
	}
	hpa, boosted := c.kind == hpaKind, c.is(scalepolicies.Boost, "true")
	switch {
	case c.off:
		want[scalepolicies.Boost] = nil
	case c.mode == "":
		want = map[string]any{scalepolicies.Boost: "true"} // in the mode that it has
	case hpa && c.mode == policy.DryRun:
		want[scalepolicies.Boost] = "true"
	case hpa && !boosted:
		return nil, fmt.Errorf("%s is not boosted, so Plimsoll does nothing to it; 'plimsoll boost %s -n %s' changes that", c.what(), c.name, c.namespace)
	case !hpa && !scalepolicies.Annotated(c.now.Metadata.Annotations):
		return nil, fmt.Errorf("no annotation such as plimsoll.dev/max scales %s; if a ScalePolicy does ('kubectl get scp -n %s'), give its name", c.what(), c.namespace)
	}
	for name, value := range want {
		if was, ok := c.now.Metadata.Annotations[name]; value == nil && !ok || ok && was == value {
			delete(want, name)
		}
	}
	if len(want) == 0 {
		return nil, nil
	}
	return map[string]any{"metadata": map[string]any{"annotations": want}}, nil
}

// what names the object.
func (c *change) what() string {
	return fmt.Sprintf("%s %q in namespace %q", c.kind.kind, c.name, c.namespace)
}

// sentence says what was done, and what follows.
func (c *change) sentence() string {
	hpa := c.kind == hpaKind
	who := c.what()
	if hpa && c.mode != "" {
		who = "The boost of " + who
	}
	verb := " is "
	switch {
	case c.already:
		verb = " is already "
	case c.try != "":
		verb = " would be "
	}
	if c.off && c.already {
		verb = " is not "
	}
	var state, follows string
	again := fmt.Sprintf("'plimsoll resume %s -n %s'", c.short(), c.namespace)
	switch {
	case c.off && c.already:
		state, follows = "boosted", "the HPA alone changes the count."
	case c.off:
		state, follows = "boosted no more", "the HPA alone changes the count."
	case c.mode == "" && (c.is(scalepolicies.Mode, string(policy.DryRun)) || c.is(scalepolicies.Mode, string(policy.Paused))):
		state, follows = "boosted, in mode "+c.now.Metadata.Annotations[scalepolicies.Mode], "Plimsoll says what it would do, and "+again+" has it raise the count."
	case c.mode == "":
		state, follows = "boosted", "where its autoscaler is on, Plimsoll raises the count sooner, up to the HPA's maxReplicas, and the HPA stays in charge."
	case c.mode == policy.Paused:
		state, follows = "paused", "Plimsoll says what it would do and leaves the count alone, until "+again+"."
	case c.mode == policy.DryRun:
		state, follows = "in dry run", "Plimsoll says what it would do and does nothing, until "+again+"."
	default:
		state, follows = "in force", "what Plimsoll decides is carried out, where its autoscaler is on."
	}
	if hpa && c.mode != "" && c.mode != policy.Auto {
		follows += " The HPA itself goes on."
	}
	out := who + verb + state + ": " + follows
	if c.try != "" {
		out += " (" + c.try + " dry run: nothing was changed)"
	}
	return out
}

// short is the object as these commands take it.
func (c *change) short() string {
	if c.kind == policyKind {
		return c.name
	}
	return c.kind.names + "/" + c.name
}
