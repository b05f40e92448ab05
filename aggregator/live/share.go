package live

import (
	"container/heap"
	"fmt"
)

// share is a part of the table's places: the whole table's, which is divided among senders, a sender's, among the machines that it speaks
// for, or a machine's, which has units. There is room for everybody until the table is full. Then whoever has less than the largest gets a
// place of the largest's, so that nobody who sends what is made up blinds those who send little. This machine's own units are in no share:
// they give no place up, and get one from the largest.
type share struct {
	of    *share
	name  string
	login string // of a sender's
	count int
	at    int // its place in the heap of what it is a part of
	parts map[string]*share
	heap  shares
	units []*unit
}

// part returns a part of the share, making it if it does not exist yet.
func (s *share) part(name string) *share {
	p := s.parts[name]
	if p == nil {
		if s.parts == nil {
			s.parts = map[string]*share{}
		}
		p = &share{of: s, name: name}
		s.parts[name] = p
		heap.Push(&s.heap, p)
	}
	return p
}

// grow changes the counts of a machine's share and of what it is a part of by n, and drops those that are empty.
func (s *share) grow(n int) {
	for ; s != nil; s = s.of {
		s.count += n
		switch {
		case s.of == nil:
		case s.count == 0:
			heap.Remove(&s.of.heap, s.at)
			delete(s.of.parts, s.name)
		default:
			heap.Fix(&s.of.heap, s.at)
		}
	}
}

// enter gives a unit a place in a machine's share.
func (s *share) enter(u *unit) {
	u.home, u.seat = s, int32(len(s.units))
	s.units = append(s.units, u)
	s.grow(1)
}

// leave takes a unit's place away, if it has one.
func (u *unit) leave() {
	s := u.home
	if s == nil {
		return
	}
	last := len(s.units) - 1
	s.units[u.seat] = s.units[last]
	s.units[u.seat].seat = u.seat
	s.units[last] = nil
	s.units = s.units[:last]
	u.home = nil
	s.grow(-1)
}

// most says who has the most places, all addresses of one login together, as a clause that follows; "" where nobody has any.
func (s *share) most() string {
	type login struct {
		count, addresses int
		machine          *share // of which it has the most
	}
	logins, first, name := map[string]login{}, login{}, ""
	for _, from := range s.parts {
		all := logins[from.login]
		all.count += from.count
		all.addresses++
		if machine := from.heap[0]; all.machine == nil || machine.count > all.machine.count || machine.count == all.machine.count && machine.name < all.machine.name {
			all.machine = machine
		}
		logins[from.login] = all
	}
	for key, all := range logins {
		if all.count > first.count || all.count == first.count && key < name {
			first, name = all, key
		}
	}
	if first.count == 0 {
		return ""
	}
	from := ""
	if first.addresses > 1 {
		from = fmt.Sprintf(" from %d addresses", first.addresses)
	}
	return fmt.Sprintf(", most of them %q%s, which has %d, and of these %d of machine %q", name, from, first.count, first.machine.count, first.machine.name)
}

// yields returns the unit that gives its place to one of a sender's machine; nil if nobody has more. own is for this machine's own.
func (s *share) yields(sender, node string, own bool) *unit {
	if len(s.heap) == 0 {
		return nil
	}
	from := s.heap[0]
	if mine := s.parts[sender]; !own && (mine == from || mine != nil && mine.count+1 >= from.count) {
		from = mine
		if machine := mine.parts[node]; machine != nil && machine.count+1 >= from.heap[0].count {
			return nil
		}
	}
	if !own && from.count < 2 {
		return nil
	}
	units := from.heap[0].units
	return units[len(units)-1]
}

// shares are parts of one share, the largest first.
type shares []*share

func (s shares) Len() int           { return len(s) }
func (s shares) Less(i, j int) bool { return s[i].count > s[j].count }
func (s shares) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].at, s[j].at = i, j
}

// Push implements heap.Interface.
func (s *shares) Push(x any) {
	p := x.(*share)
	p.at = len(*s)
	*s = append(*s, p)
}

// Pop implements heap.Interface.
func (s *shares) Pop() any {
	last := len(*s) - 1
	p := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	return p
}
