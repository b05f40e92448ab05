package heapster

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"plimsoll.dev/plimsoll/internal/model"
	"plimsoll.dev/plimsoll/internal/serve"
)

// target is the thing that a path is about.
type target struct {
	level                           model.Kind
	node, namespace, pod, container string
	podID                           string // instead of namespace and pod
}

// what says what a path asks for.
type what uint8

const (
	listNodes what = iota
	listFree
	listNamespaces
	listPods
	listContainers
	listKeys
	listMetrics
	oneSeries
	aggregated
)

// ask is a path, understood.
type ask struct {
	what    what
	target  target
	many    bool     // the answer is a list, one item for each of targets
	targets []target // in the order of the request; one where many is false
	metric  string
	aggs    []string
}

// maxTargets is how many pods one request may name.
const maxTargets = 500

// aggregations are the words that metrics-aggregated allows.
var aggregations = [...]string{"average", "max", "min", "median", "count", "50-perc", "95-perc", "99-perc"}

// alias gives today's name of a metric for an old one that is still accepted.
func alias(name string) string {
	today := map[string]string{"cpu-usage": "cpu/usage_rate", "cpu-limit": "cpu/limit",
		"memory-limit": "memory/limit", "memory-usage": "memory/usage", "memory-working": "memory/working_set"}
	return cmp.Or(today[name], name)
}

// parse reads the escaped path below the API's root: "nodes/n1/metrics/cpu/usage_rate". A slash at the end counts
// for nothing. Names may hold anything, slashes as %2F.
func parse(escaped string, historical bool) (ask, error) {
	p := parser{historical: historical}
	rest := strings.TrimSuffix(escaped, "/")
	if rest != "" {
		for _, part := range strings.Split(rest, "/") {
			s, err := url.PathUnescape(part)
			if err != nil {
				return ask{}, serve.BadRequest("cannot read %q in the path: %v", part, err)
			}
			if s == "" {
				return ask{}, serve.NotFound("there is nothing at %q: a name in it is empty", escaped)
			}
			p.parts = append(p.parts, s)
		}
	}
	a, err := p.root()
	if err != nil {
		return ask{}, err
	}
	if a == nil {
		return ask{}, serve.NotFound("there is nothing at %q in this API", escaped)
	}
	if !a.many {
		a.targets = []target{a.target}
	}
	return *a, nil
}

// parser walks down a path. A method that finds nothing returns nil.
type parser struct {
	parts      []string
	historical bool
}

// next takes a part; "" at the end.
func (p *parser) next() string {
	if len(p.parts) == 0 {
		return ""
	}
	s := p.parts[0]
	p.parts = p.parts[1:]
	return s
}

func (p *parser) end() bool { return len(p.parts) == 0 }

func (p *parser) root() (*ask, error) {
	switch word := p.next(); {
	case word == "debug" && len(p.parts) == 1 && p.parts[0] == "allkeys" && !p.historical:
		return &ask{what: listKeys}, nil
	case word == "nodes" && p.end():
		return &ask{what: listNodes}, nil
	case word == "nodes":
		return p.inside(target{level: model.Node, node: p.next()}, "freecontainers", listFree, model.SystemContainer)
	case word == "namespaces" && p.end():
		return &ask{what: listNamespaces}, nil
	case word == "namespaces":
		return p.namespaces()
	case word == "pod-id" && p.historical && !p.end():
		return p.inside(target{level: model.Pod, podID: p.next()}, "containers", listContainers, model.PodContainer)
	case word == "pod-id-list" && p.historical && !p.end():
		return p.several(p.next(), func(id string) target { return target{level: model.Pod, podID: id} })
	default:
		return p.metrics(word, target{level: model.Cluster})
	}
}

func (p *parser) namespaces() (*ask, error) {
	t := target{level: model.Namespace, namespace: p.next()}
	switch word := p.next(); word {
	case "pods":
		if p.end() {
			return &ask{what: listPods, target: t}, nil
		}
		t.level, t.pod = model.Pod, p.next()
		return p.inside(t, "containers", listContainers, model.PodContainer)
	case "pod-list":
		return p.several(p.next(), func(name string) target {
			return target{level: model.Pod, namespace: t.namespace, pod: name}
		})
	default:
		return p.metrics(word, t)
	}
}

// inside reads what may follow a node or a pod: its metrics, or what it calls its containers, whose list and level are given. A
// pod given by its id has no list.
func (p *parser) inside(t target, called string, list what, within model.Kind) (*ask, error) {
	switch word := p.next(); {
	case word != called:
		return p.metrics(word, t)
	case p.end() && t.podID != "":
		return nil, nil
	case p.end():
		return &ask{what: list, target: t}, nil
	}
	t.level, t.container = within, p.next()
	return p.metrics(p.next(), t)
}

// several reads a comma list of pods and the one metric that is asked of all.
func (p *parser) several(names string, of func(string) target) (*ask, error) {
	a, err := p.metrics(p.next(), target{level: model.Pod})
	if a == nil || err != nil || a.what == listMetrics {
		return nil, err
	}
	a.many = true
	for _, name := range strings.Split(names, ",") {
		if name == "" {
			return nil, serve.BadRequest("the list %q holds an empty name", names)
		}
		a.targets = append(a.targets, of(name))
	}
	if len(a.targets) > maxTargets {
		return nil, serve.BadRequest("the list names %d pods: at most %d are allowed", len(a.targets), maxTargets)
	}
	return a, nil
}

// metrics reads the end of every path: metrics, metrics/NAME or metrics-aggregated/WHICH/NAME. The name takes all that
// is left.
func (p *parser) metrics(word string, t target) (*ask, error) {
	switch word {
	case "metrics":
		if p.end() {
			return &ask{what: listMetrics, target: t}, nil
		}
		return &ask{what: oneSeries, target: t, metric: alias(strings.Join(p.parts, "/"))}, nil
	case "metrics-aggregated":
		if !p.historical || len(p.parts) < 2 {
			return nil, nil
		}
		var aggs []string
		for _, s := range strings.Split(p.next(), ",") {
			if !slices.Contains(aggregations[:], s) {
				return nil, serve.BadRequest("aggregation %q is not known: allowed are %s", s, strings.Join(aggregations[:], ", "))
			}
			aggs = append(aggs, s)
		}
		return &ask{what: aggregated, target: t, metric: alias(strings.Join(p.parts, "/")), aggs: aggs}, nil
	}
	return nil, nil
}
