package policy

// Decide says what is to become of a target's replica count. It is a pure function: the same input gives the same
// decision, and the input is only read.
func Decide(in Input) Decision {
	p := pass{in: &in, policy: in.Policy, off: in.Options.off(), current: in.Target.SpecReplicas}
	p.run()
	return p.d
}
