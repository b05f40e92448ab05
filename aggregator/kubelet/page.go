package kubelet

import (
	"bytes"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"plimsoll.dev/plimsoll/internal/metric"
)

// The series of a page that are read.
const (
	nodeCPU         = "node_cpu_usage_seconds_total"
	nodeMemory      = "node_memory_working_set_bytes"
	containerCPU    = "container_cpu_usage_seconds_total"
	containerMemory = "container_memory_working_set_bytes"
	containerStart  = "container_start_time_seconds"
	scrapeError     = "resource_scrape_error" // 1: the kubelet could not read everything
	oldScrapeError  = "scrape_error"
)

var wanted = []string{nodeCPU, nodeMemory, containerCPU, containerMemory, containerStart, scrapeError, oldScrapeError}

// value is one number of a page.
type value struct {
	t  int64 // Unix milliseconds; 0: the page does not say
	v  float64
	ok bool
}

// usage is what a page has of a node or a container.
type usage struct {
	cpu, memory, start value
	ahead              time.Duration // how far start is ahead of our clock
}

// name is a container as a page names it.
type name struct{ namespace, pod, container string }

// page is what a kubelet answered.
type page struct {
	node       usage
	containers map[name]*usage
	refused    int  // lines that could not be used
	partial    bool // the kubelet could not read everything
}

// parse reads a page. What is wrong with one line costs that line alone.
func parse(body []byte) page {
	p := page{containers: map[name]*usage{}}
	var lines bytes.Buffer
	for line := range bytes.Lines(body) {
		if isWanted(line) {
			lines.Write(bytes.TrimRight(line, "\r\n"))
			lines.WriteByte('\n')
		}
	}
	if p.take(lines.Bytes()) {
		return p
	}
	p = page{containers: map[name]*usage{}}
	for line := range bytes.Lines(lines.Bytes()) {
		if !p.take(line) {
			p.refused++
		}
	}
	return p
}

// behind puts the times of all values back by how far the node's clock is ahead of ours.
func (p *page) behind(ahead time.Duration) {
	p.node.behind(ahead)
	for _, u := range p.containers {
		u.behind(ahead)
	}
}

func (u *usage) behind(ahead time.Duration) {
	u.ahead = ahead
	for _, x := range []*value{&u.cpu, &u.memory} {
		if x.t != 0 {
			x.t -= ahead.Milliseconds()
		}
	}
}

// isWanted says whether a line is of a series that is read.
func isWanted(line []byte) bool {
	end := bytes.IndexAny(line, "{ \t")
	if end < 0 {
		return false
	}
	for _, w := range wanted {
		if string(line[:end]) == w {
			return true
		}
	}
	return false
}

// take adds the samples of some lines, or none where one of them is malformed.
func (p *page) take(lines []byte) bool {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(lines))
	if err != nil {
		return false
	}
	for series, family := range families {
		for _, m := range family.GetMetric() {
			x := value{t: m.GetTimestampMs(), v: m.GetUntyped().GetValue(), ok: true}
			var n name
			for _, l := range m.GetLabel() {
				switch l.GetName() {
				case "namespace":
					n.namespace = l.GetValue()
				case "pod":
					n.pod = l.GetValue()
				case "container":
					n.container = l.GetValue()
				}
			}
			if !p.put(series, n, x) {
				p.refused++
			}
		}
	}
	return true
}

// put adds one sample; false if nothing can have its value.
func (p *page) put(series string, n name, x value) bool {
	row := metric.CPUUsage
	switch series {
	case scrapeError, oldScrapeError:
		p.partial = p.partial || x.v != 0
		return true
	case nodeMemory, containerMemory:
		row = metric.MemoryWorkingSet
	case containerStart:
		row = metric.StartTime
	}
	if x.t < 0 || !row.Can(x.v) {
		return false
	}
	switch series {
	case nodeCPU:
		p.node.cpu = x
		return true
	case nodeMemory:
		p.node.memory = x
		return true
	}
	if n.namespace == "" || n.pod == "" || n.container == "" {
		return false
	}
	u := p.containers[n]
	if u == nil {
		u = &usage{}
		p.containers[n] = u
	}
	switch series {
	case containerCPU:
		u.cpu = x
	case containerMemory:
		u.memory = x
	case containerStart:
		u.start = x
	}
	return true
}
