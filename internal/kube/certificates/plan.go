package certificates

import (
	"crypto/x509"
	"fmt"
	"slices"
	"time"
)

// rules say how long things last.
type rules struct {
	names         []string // the server's
	authority     string   // the authority's
	life, signing time.Duration
	settles       time.Duration // after it was told, everybody trusts an authority
	lasts         time.Duration // after it was renewed, a certificate may be served by somebody
}

// warns is how much of its life may be left when a certificate is told of that is not renewed.
const warns = 0.25

// newRules makes the rules for a server NAMESPACE/NAME, its certificates of a life, and authorities that sign for so long.
func newRules(namespace, name string, life, signing time.Duration) rules {
	r := rules{authority: name + "." + namespace, life: life, signing: signing,
		// A kubelet brings what has changed to its pods within two minutes, of which the processes in them see it within seconds.
		settles: min(5*time.Minute, signing/20), lasts: min(time.Hour, life/4)}
	for _, service := range []string{name, name + "-live"} {
		for _, in := range []string{"." + namespace + ".svc", "", "." + namespace, "." + namespace + ".svc.cluster.local"} {
			r.names = append(r.names, service+in)
		}
	}
	r.names = append(r.names, "localhost") // the end of a forwarded port
	return r
}

// keeper is a Secret as it was read.
type keeper struct {
	there   bool
	foreign string // why it is not ours to change; "": it is ours
	forced  bool   // somebody wants it renewed
	now     *pair  // nil: what is there cannot be used, or nothing is
	why     error  // why not
	// Of the authority: who is to take over, and who may have signed what is still in use.
	next    *pair
	earlier []*x509.Certificate
}

// trust is a place where somebody reads whom to trust.
type trust struct {
	there   bool
	foreign string
	file    bool // it reaches its readers as a file, by their kubelets, and is made where it is missing; others are in force at once
	failed  bool // it could not be written a moment ago
	certs   []*x509.Certificate
	changed time.Time // of a file: when it was written last; zero: nobody knows
}

// seen is what is there.
type seen struct {
	authority, server keeper
	trusts            []trust
}

// change is one step, which leaves everything in order if it is the last one for a while.
type change struct {
	why string
	// The authority's Secret, if next or now is not as it was.
	authority *keeper
	// Those of the trusts that are to have these certificates.
	trusts []int
	certs  []*x509.Certificate
	// The server's certificate.
	server *pair
}

// ours says whether any of it may be changed.
func (s *seen) ours() bool { return s.authority.foreign == "" && s.server.foreign == "" }

// signer is who signed the server's certificate, of those who are trusted; nil: nobody. Whoever is in a bundle alone counts too: what is in a
// Secret of ours was signed by one of ours.
func (s *seen) signer(now time.Time) *x509.Certificate {
	if s.server.now == nil {
		return nil
	}
	var all []*x509.Certificate
	for _, p := range []*pair{s.authority.now, s.authority.next} {
		if p != nil {
			all = append(all, p.cert)
		}
	}
	all = append(all, s.authority.earlier...)
	for _, t := range s.trusts {
		all = append(all, t.certs...)
	}
	for _, c := range all {
		if signed(s.server.now.cert, c, now) {
			return c
		}
	}
	return nil
}

// trusted says whether all trust an authority, and have done so for long enough that everybody knows.
func (s *seen) trusted(c *x509.Certificate, since time.Duration, now time.Time) bool {
	return !slices.ContainsFunc(s.trusts, func(t trust) bool {
		switch {
		case t.foreign != "" || !t.there:
			return t.file
		case t.file && (t.changed.IsZero() || now.Before(t.changed.Add(since))):
			return true
		}
		return !has(t.certs, c)
	})
}

// next is the next step; nil: there is nothing to do at this time. The order is: a new authority is kept, then trusted beside the old one, then it
// takes over, then it signs, then the old one is forgotten.
func (r *rules) next(s *seen, now time.Time) (*change, error) {
	if !s.ours() {
		return nil, nil
	}
	signer := s.signer(now)
	works := signer != nil && !over(s.server.now.cert, now) && covers(s.server.now.cert, r.names)
	for _, step := range []func(*seen, *x509.Certificate, bool, time.Time) (*change, error){r.prepare, r.tell, r.promote, r.sign, r.forget} {
		if c, err := step(s, signer, works, now); c != nil || err != nil {
			return c, err
		}
	}
	return nil, nil
}

func usable(p *pair, now time.Time) bool { return p != nil && !over(p.cert, now) }

// prepare makes the authority that is to take over.
func (r *rules) prepare(s *seen, signer *x509.Certificate, _ bool, now time.Time) (*change, error) {
	a := s.authority
	var why string
	switch {
	case usable(a.next, now):
		return nil, nil
	case !a.there:
		why = "it is not there"
	case a.now == nil:
		why = a.why.Error()
	case over(a.now.cert, now):
		why = "it is over"
	case a.forced:
		why = "somebody wants it"
	case !now.Before(halfway(a.now.cert, r.signing)):
		why = "half of its life is over"
	default:
		return nil, nil
	}
	next, err := newAuthority(r.authority, r.signing, now)
	if err != nil {
		return nil, err
	}
	a.next = next
	if signer != nil && (a.now == nil || !signer.Equal(a.now.cert)) {
		a.earlier = join(a.earlier, signer)
	}
	for _, t := range s.trusts {
		if t.file && a.now == nil && s.server.now == nil { // both are lost; servers go on with what they have read
			a.earlier = join(a.earlier, t.certs...)
		}
	}
	return &change{why: "a new authority is made: " + why, authority: &a}, nil
}

// tell has all trust whom they should.
func (r *rules) tell(s *seen, signer *x509.Certificate, _ bool, now time.Time) (*change, error) {
	var want []*x509.Certificate
	for _, p := range []*pair{s.authority.now, s.authority.next} {
		if usable(p, now) {
			want = join(want, p.cert)
		}
	}
	want = join(want, r.needed(s, signer, now)...)
	c := &change{why: "whom to trust has changed", certs: want}
	for i, t := range s.trusts {
		unknown := t.file && t.changed.IsZero() && len(want) > 1 // since when its readers have it
		if t.foreign == "" && !t.failed && (t.there || t.file) && (!same(t.certs, want) || unknown) {
			c.trusts = append(c.trusts, i)
		}
	}
	if len(c.trusts) == 0 {
		return nil, nil
	}
	return c, nil
}

// needed are the earlier authorities of which certificates may be in use.
func (r *rules) needed(s *seen, signer *x509.Certificate, now time.Time) (out []*x509.Certificate) {
	if signer != nil {
		out = append(out, signer)
	}
	for _, c := range s.authority.earlier {
		if !over(c, now) && (s.server.now == nil || now.Before(made(s.server.now.cert).Add(r.lasts))) {
			out = join(out, c)
		}
	}
	return out
}

// promote has the new authority take over: when everybody trusts it, or when nothing works by the old one, nor can be signed by it.
func (r *rules) promote(s *seen, _ *x509.Certificate, works bool, now time.Time) (*change, error) {
	a := s.authority
	if !usable(a.next, now) || (works || usable(a.now, now)) && !s.trusted(a.next.cert, r.settles, now) {
		return nil, nil
	}
	if usable(a.now, now) {
		a.earlier = join(a.earlier, a.now.cert)
	}
	a.earlier = slices.DeleteFunc(slices.Clone(a.earlier), func(c *x509.Certificate) bool { return over(c, now) || c.Equal(a.next.cert) })
	a.now, a.next = a.next, nil
	return &change{why: "the new authority takes over", authority: &a}, nil
}

// sign renews the server's certificate. By another authority it is signed once everybody trusts that one, or where the old one does not work.
func (r *rules) sign(s *seen, signer *x509.Certificate, works bool, now time.Time) (*change, error) {
	a := s.authority.now
	var why string
	if !usable(a, now) {
		return nil, nil
	}
	switch was := s.server.now; {
	case !s.server.there:
		why = "it is not there"
	case was == nil:
		why = s.server.why.Error()
	case over(was.cert, now):
		why = "it is over"
	case !works && signer == nil:
		why = "no authority that is trusted has signed it"
	case !works:
		why = "it is not for all names of the server"
	case !signer.Equal(a.cert):
		if !s.trusted(a.cert, r.settles, now) {
			return nil, nil
		}
		why = "its authority is a new one"
	case s.server.forced:
		why = "somebody wants it"
	case !now.Before(halfway(was.cert, r.life)) && !a.until(r.life, now).Equal(was.cert.NotAfter):
		why = "half of its life is over"
	default:
		return nil, nil
	}
	p, err := a.sign(r.names, r.life, now)
	return &change{why: "the certificate is made anew: " + why, server: p}, err
}

// forget takes from the authority's Secret what nothing in use was signed by.
func (r *rules) forget(s *seen, signer *x509.Certificate, _ bool, now time.Time) (*change, error) {
	a := s.authority
	if len(a.earlier) == 0 || slices.ContainsFunc(a.earlier, func(c *x509.Certificate) bool { return has(r.needed(s, signer, now), c) }) {
		return nil, nil
	}
	a.earlier = nil
	return &change{why: "the earlier authority is forgotten", authority: &a}, nil
}

// ending says which certificate should have been renewed long ago and was not.
func (r *rules) ending(s *seen, now time.Time) string {
	for _, x := range []struct {
		what string
		of   *pair
	}{{"the server's certificate", s.server.now}, {"its authority", s.authority.now}} {
		if x.of == nil {
			continue
		}
		c := x.of.cert
		if left := c.NotAfter.Sub(now); float64(left) < warns*float64(c.NotAfter.Sub(c.NotBefore)) {
			return fmt.Sprintf("%s ends at %s and is not renewed", x.what, c.NotAfter.UTC().Format(time.RFC3339))
		}
	}
	return ""
}
