package kubelet

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
	"plimsoll.dev/plimsoll/internal/metric"
)

const (
	usualPort = 10250
	usualPath = "/metrics/resource"
	// maxPage is the largest page in bytes: a node of 500 pods has some hundred thousand.
	maxPage = 8 << 20
	// young is how old a container has to be whose first value is its mean since it began: less would be mostly its start.
	young = 10 * time.Second
	// startSlack is how much before its pod a container may have begun: the two times are rounded.
	startSlack = time.Second
)

// node is what is remembered of one that is asked. It belongs to whoever asks it, one at a time.
type node struct {
	entity     *metric.Entity
	containers map[key]*container
	failed     error // what came of it last
	since      time.Time
	read       bool // it has answered at some time
	busy       bool // it is being asked
	settled    bool // what it says is in the picture
	next       time.Time
	held       *metric.Batch // its first page, while there is no second
	clock      clock
}

// key names a container of one pod, or with "" the pod itself, for as long as that pod lives.
type key struct{ uid, container string }

type container struct {
	entity *metric.Entity
	start  float64 // as it was last seen
	seen   bool    // some value of it was taken
}

// address is where a node's kubelet is.
func (o *Options) address(n *cluster.Node) (*url.URL, error) {
	for _, kind := range o.Addresses {
		for _, a := range n.Addresses {
			if a.Type == kind && a.Address != "" {
				port := cmp.Or(o.Port, n.KubeletPort, usualPort)
				return &url.URL{Scheme: "https", Host: net.JoinHostPort(a.Address, strconv.Itoa(port)), Path: cmp.Or(n.MetricsPath, usualPath)}, nil
			}
		}
	}
	return nil, fmt.Errorf("it has no address of the types %s", strings.Join(o.Addresses, ", "))
}

// get asks a node's kubelet.
func (s *Source) get(ctx context.Context, n *cluster.Node) (out answer, err error) {
	at, err := s.opts.address(n)
	if err != nil {
		return out, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return out, err
	}
	r.Header.Set("Accept", "text/plain;version=0.0.4")
	out.asked = time.Now()
	answer, err := s.client.Do(r)
	out.came = time.Now()
	var badly *tls.CertificateVerificationError
	switch {
	case errors.As(err, &badly):
		return out, fmt.Errorf("%w; --kubelet-certificate-authority says who signs kubelets' certificates, --kubelet-preferred-address-types which address is in them, --kubelet-insecure-tls takes any", err)
	case err != nil:
		return out, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return out, refused(answer.StatusCode)
	}
	out.date = dateOf(answer.Header)
	out.body, err = io.ReadAll(io.LimitReader(answer.Body, maxPage+1))
	if err == nil && len(out.body) > maxPage {
		err = fmt.Errorf("its page has more than %d bytes", maxPage)
	}
	return out, err
}

// refused says what a status means here.
func refused(status int) error {
	switch status {
	case http.StatusUnauthorized:
		return errors.New("it answered 401: it does not take the login; its webhook authentication has to be on")
	case http.StatusForbidden:
		return errors.New(`it answered 403: the right "get" on "nodes/metrics" is missing`)
	}
	return fmt.Errorf("it answered %d", status)
}

// batch makes of a page what the picture takes: of the pods that are on the node.
func (x *node) batch(n *cluster.Node, pods map[podName]*cluster.Pod, p *page, asked time.Time, resolution time.Duration) *metric.Batch {
	b := &metric.Batch{Node: n.Name, Source: metric.FromKubelet, Time: time.Now()}
	at := asked.UnixMilli()
	if x.entity == nil {
		x.entity = &metric.Entity{Level: metric.Node, Node: n.Name, ID: "/"}
	}
	node := metric.Group{Entity: x.entity, Points: p.node.points(nil, at)}
	node.Points = amounts(node.Points, at, n.Capacity, metric.CPUCapacity, metric.MemoryCapacity)
	node.Points = amounts(node.Points, at, n.Allocatable, metric.CPUAllocatable, metric.MemoryAllocatable)
	b.Groups = append(b.Groups, node)
	known, old := make(map[key]*container, len(x.containers)), []metric.Gap(nil)
	for of, u := range p.containers {
		pod := pods[podName{of.namespace, of.pod}]
		if pod == nil || !u.of(pod) {
			continue
		}
		c := pod.Container(of.container)
		if c == nil {
			continue
		}
		k := key{pod.UID, c.Name}
		known[k] = x.containers[k].named(n.Name, pod, c)
		if g := known[k].group(u, at, b.Time, resolution); len(g.Points) > 0 {
			// Told later than the value, they would say that it does not run.
			g.Points = append(g.Points, metric.Point{ID: metric.Restarts, T: min(at, u.newest(at)), V: float64(c.Restarts)})
			g.Points = amounts(g.Points, at, c.Held(), metric.CPURequest, metric.MemoryRequest)
			g.Points = amounts(g.Points, at, c.Limits, metric.CPULimit, metric.MemoryLimit)
			b.Groups = append(b.Groups, g)
			if !slices.ContainsFunc(g.Points, func(p metric.Point) bool { return p.T >= asked.Add(-kept).UnixMilli() }) { // nothing else says that it is there
				old = append(old, metric.Gap{Entity: g.Entity, Reason: metric.GapStale, Detail: "its kubelet has no newer values of it"})
			}
			x.whole(b, known, pod, at)
		}
	}
	b.Gaps = append(x.gone(known, pods), old...)
	x.containers = known
	return b
}

// whole adds, once, what is set aside for a pod where that may be another amount than its containers' sum.
func (x *node) whole(b *metric.Batch, known map[key]*container, pod *cluster.Pod, at int64) {
	k := key{uid: pod.UID}
	if known[k] != nil {
		return
	}
	held := pod.HeldApart("cpu", "memory")
	if len(held) == 0 {
		return
	}
	known[k] = x.containers[k].as(metric.Entity{Level: metric.Pod, Node: b.Node, Namespace: pod.Namespace, WorkloadKind: pod.Owner.Kind, Workload: pod.Owner.Name, Pod: pod.Name})
	b.Groups = append(b.Groups, metric.Group{Entity: known[k].entity, Points: amounts(nil, at, held, metric.CPURequest, metric.MemoryRequest)})
}

// gone are the pods and containers of which there was something, and whose pods are not there any more, nor others under their names. What is not on
// the page stays known until its pod is not there and that was told: containers leave the page first.
func (x *node) gone(known map[key]*container, pods map[podName]*cluster.Pod) (out []metric.Gap) {
	for k, c := range x.containers {
		switch pod := pods[podName{c.entity.Namespace, c.entity.Pod}]; {
		case known[k] != nil || pod != nil && pod.UID != k.uid:
			continue
		case pod == nil:
			out = append(out, metric.Gap{Entity: c.entity, Reason: metric.GapGone, Detail: "its pod is not on the node any more"})
		}
		known[k] = c
	}
	return out
}

// told forgets what was told to be gone.
func (x *node) told(gaps []metric.Gap) {
	gone := make(map[*metric.Entity]bool, len(gaps))
	for i := range gaps {
		gone[gaps[i].Entity] = gaps[i].Reason == metric.GapGone
	}
	maps.DeleteFunc(x.containers, func(_ key, c *container) bool { return gone[c.entity] })
}

// follows says whether all that a page has newer values of is in the one before with older ones.
func follows(first, b *metric.Batch) bool {
	if first == nil {
		return false
	}
	was := map[*metric.Entity]int64{}
	for i := range first.Groups {
		was[first.Groups[i].Entity] = newest(&first.Groups[i])
	}
	for i := range b.Groups {
		if at, ok := was[b.Groups[i].Entity]; ok && b.Groups[i].Entity.Level != metric.Pod && newest(&b.Groups[i]) <= at {
			return false
		}
	}
	return true
}

// newest is the time of a group's newest value of CPU.
func newest(g *metric.Group) (t int64) {
	for _, p := range g.Points {
		if p.ID == metric.CPUUsage {
			t = max(t, p.T)
		}
	}
	return t
}

// join puts what the page before said of the same things before what this one says, but of what began anew in between.
func join(first, b *metric.Batch) {
	was := map[*metric.Entity]*metric.Group{}
	for i := range first.Groups {
		was[first.Groups[i].Entity] = &first.Groups[i]
	}
	for i := range b.Groups {
		if g := was[b.Groups[i].Entity]; g != nil && g.Start.Equal(b.Groups[i].Start) {
			b.Groups[i].Points = slices.Concat(g.Points, b.Groups[i].Points)
		}
	}
}

// of says whether a container belongs to this pod, and not to one that had its name before. The mirror of a static pod may be younger than it.
func (u *usage) of(pod *cluster.Pod) bool {
	return pod.CgroupUID != "" || !u.start.ok || pod.StartTime.IsZero() || seconds(u.start.v).After(pod.StartTime.Add(-startSlack))
}

// named is the container under its present names.
func (c *container) named(node string, pod *cluster.Pod, of *cluster.Container) *container {
	return c.as(metric.Entity{Level: metric.Container, Node: node, Namespace: pod.Namespace, WorkloadKind: pod.Owner.Kind, Workload: pod.Owner.Name, Pod: pod.Name, Container: of.Name, Image: of.Image})
}

// as is what goes by these names, with the pointer that it has as long as they stay.
func (c *container) as(e metric.Entity) *container {
	switch {
	case c == nil:
		return &container{entity: &e}
	case *c.entity != e:
		c.entity = &e
	}
	return c
}

// group is what a page says of a container. The first value of one that has just begun is its mean since then. When it began stays by the clock
// of its node, as what the API server has of its pod is.
func (c *container) group(u *usage, asked int64, now time.Time, resolution time.Duration) metric.Group {
	g := metric.Group{Entity: c.entity}
	fresh := !c.seen || u.start.ok && u.start.v != c.start
	if u.start.ok {
		g.Start = seconds(u.start.v)
	}
	if u.cpu.ok && u.start.ok && fresh {
		at := time.UnixMilli(cmp.Or(u.cpu.t, asked))
		began := g.Start.Add(-u.ahead)
		if age := at.Sub(began); age >= young && age < 2*resolution && !at.After(now.Add(time.Second)) {
			g.Points = append(g.Points, metric.Point{ID: metric.CPUUsage, T: began.UnixMilli(), V: 0})
		}
	}
	g.Points = u.points(g.Points, asked)
	c.seen, c.start = c.seen || u.cpu.ok, u.start.v
	return g
}

// points appends what there is.
func (u *usage) points(out []metric.Point, asked int64) []metric.Point {
	if u.cpu.ok {
		out = append(out, metric.Point{ID: metric.CPUUsage, T: cmp.Or(u.cpu.t, asked), V: u.cpu.v})
	}
	if u.memory.ok {
		out = append(out, metric.Point{ID: metric.MemoryWorkingSet, T: cmp.Or(u.memory.t, asked), V: u.memory.v})
	}
	return out
}

// newest is the time of the newest value.
func (u *usage) newest(asked int64) (t int64) {
	for _, p := range u.points(nil, asked) {
		t = max(t, p.T)
	}
	return t
}

// amounts appends those of CPU and memory, as far as they are known.
func amounts(out []metric.Point, t int64, of cluster.Resources, cpu, memory metric.ID) []metric.Point {
	if v, ok := of.Get("cpu"); ok {
		out = append(out, metric.Point{ID: cpu, T: t, V: v.Float()})
	}
	if v, ok := of.Get("memory"); ok {
		out = append(out, metric.Point{ID: memory, T: t, V: v.Float()})
	}
	return out
}

// seconds is a time in Unix seconds.
func seconds(s float64) time.Time { return time.UnixMilli(int64(s * 1000)) }
