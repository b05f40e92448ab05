package policy

import (
	"cmp"
	"math"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// evaluate asks every metric and fills the reports.
func (p *pass) evaluate() {
	ms := p.policy.metrics
	p.results = make([]result, len(ms))
	p.d.Metrics = make([]MetricReport, len(ms))
	for i := range ms {
		m, rep, r := &ms[i], &p.d.Metrics[i], &p.results[i]
		*rep = MetricReport{Type: string(m.source), Name: m.name, Container: m.container, Load: math.NaN(), Target: math.NaN(), Noise: math.NaN()}
		if m.target != autoscalingv2.UtilizationMetricType {
			rep.Amount = m.goal()
		}
		r.noise, r.load, r.share, r.shareNoise = math.NaN(), math.NaN(), math.NaN(), math.NaN()
		p.ask(m, rep, r)
		if r.ok {
			rep.Proposal = count(r.proposal)
		} else {
			rep.Error = r.err
		}
	}
}

// ask evaluates one metric.
func (p *pass) ask(m *metric, rep *MetricReport, r *result) {
	switch m.source {
	case autoscalingv2.ResourceMetricSourceType:
		r.failure = FailedResourceMetric
		p.askResource(m, rep, r)
	case autoscalingv2.ContainerResourceMetricSourceType:
		r.failure = FailedContainerMetric
		p.askResource(m, rep, r)
	case autoscalingv2.PodsMetricSourceType:
		r.failure = FailedPodsMetric
		if r.err = m.broken; r.err == "" {
			r.err = p.fillCustom(m)
		}
		p.askTable(m, rep, r)
	case autoscalingv2.ObjectMetricSourceType:
		r.failure = FailedObjectMetric
		from := whole{what: "metric ", api: "custom", problem: p.in.Errors.ObjectMetrics}
		i := p.answer(m, len(p.in.ObjectMetrics), func(i int) series {
			o := &p.in.ObjectMetrics[i]
			return series{o.Metric, o.Selector, o.DescribedObject}
		})
		if i >= 0 {
			o := &p.in.ObjectMetrics[i]
			from.values, from.at, from.read, from.problem = []cluster.Milli{o.Value}, o.Timestamp, o.Read, cmp.Or(o.Problem, from.problem)
		}
		p.askWhole(m, rep, r, &from)
	case autoscalingv2.ExternalMetricSourceType:
		r.failure = FailedExternalMetric
		from := whole{what: "external metric ", api: "external", problem: p.in.Errors.ExternalMetrics}
		i := p.answer(m, len(p.in.ExternalMetrics), func(i int) series {
			o := &p.in.ExternalMetrics[i]
			return series{metric: o.Metric, selector: o.Selector}
		})
		if i >= 0 {
			e := &p.in.ExternalMetrics[i]
			from.values, from.at, from.read, from.problem = e.Values, e.Timestamp, e.Read, cmp.Or(e.Problem, from.problem)
		}
		p.askWhole(m, rep, r, &from)
	}
	r.ok = r.err == ""
}

// askResource evaluates a resource metric, by looks where there are some.
func (p *pass) askResource(m *metric, rep *MetricReport, r *result) {
	if !p.off.FreshLooks && p.findLooks(m.resource()) {
		p.askLooks(m, rep, r)
		return
	}
	age := p.in.Options.MaxUsageAge
	if p.off.DropStale {
		age = 0
	}
	if !p.off.FreshLooks {
		r.departed = p.in.Departed
	}
	r.err = p.fillResource(m, p.in.Usage, age)
	p.askTable(m, rep, r)
}

// askTable proposes from the table and reports it.
func (p *pass) askTable(m *metric, rep *MetricReport, r *result) {
	if r.err == "" {
		r.proposal, r.hold, r.err = p.propose(m)
	}
	if r.err == "" && r.proposal < int32(p.current) && p.table.takeOver(m, r.departed) {
		if r.proposal, r.hold, r.err = p.propose(m); r.proposal > int32(p.current) {
			r.proposal, r.hold = int32(p.current), DepartedPods
		}
	}
	r.need = r.proposal
	p.report(m, rep, r)
}

// report copies what the table says into the report: before gaps are filled.
func (p *pass) report(m *metric, rep *MetricReport, r *result) {
	rep.Pods, rep.Sources = p.groupsOf(&p.table), p.table.sources
	if p.table.stale > 0 {
		p.note("dropStale: %d of the %s samples are too old and count as missing", p.table.stale, m.name)
	}
	if p.table.partial > 0 {
		p.note("wholePods: %d of the %s samples leave out a container that runs and count as missing", p.table.partial, m.name)
	}
	ratio, percent, average, _, ok := p.table.measure(m, fill{})
	if r.err != "" || !ok {
		return
	}
	rep.AverageValue, r.share = known(average), ratio
	if m.target == autoscalingv2.UtilizationMetricType {
		rep.Utilization, r.share = count(percent), float64(percent)/100
	}
	load, each := p.table.load(m)
	r.load, r.shareNoise = load, m.each(r.noise, &p.table, each)
	if math.IsNaN(rep.Load) {
		window := time.Duration(0)
		if r.look != nil {
			window = r.look.Window
		}
		p.fresh(m, rep, load, each, r.noise, window)
	}
}

// fresh notes the load in the table for pages, where the newest is wanted, whatever the decision rests on.
func (p *pass) fresh(m *metric, rep *MetricReport, load, each, noise float64, window time.Duration) {
	n := p.table.groups[counted]
	if n == 0 || each <= 0 {
		return
	}
	rep.Target = m.asShare()
	rep.Load, rep.Noise, rep.Window = load/float64(n)*rep.Target, m.each(noise, &p.table, each), window
	name := m.name
	if name == "cpu" {
		name = "CPU"
	}
	rep.Of = m.amount(each/rep.Target) + " " + name
}

// asShare is the target as a share: of the request, or 1 where the target is an amount.
func (m *metric) asShare() float64 {
	if m.target == autoscalingv2.UtilizationMetricType {
		return float64(m.percent) / 100
	}
	return 1
}

// each turns the noise of a total into that of one replica's share.
func (m *metric) each(noise float64, t *table, each float64) float64 {
	n := t.groups[counted]
	if n == 0 || each <= 0 {
		return math.NaN()
	}
	return noise / float64(n) / each * m.asShare()
}

// wholeAge is how old a value of an Object or External metric may be (switch DropStale). Clouds tell of their queues minutes late.
const wholeAge = 5 * time.Minute

// whole is what was read of an Object or External metric.
type whole struct {
	what, api string // for messages
	values    []cluster.Milli
	at, read  time.Time
	problem   string
}

// askWhole evaluates an Object or External metric: the sum of its values.
func (p *pass) askWhole(m *metric, rep *MetricReport, r *result, from *whole) {
	what, api, values := from.what, from.api, from.values
	if m.broken != "" {
		r.err = m.broken
		return
	}
	if from.problem != "" || len(values) == 0 {
		r.err = absent(what+m.name, api, from.problem)
		return
	}
	if age := p.in.Now.Sub(from.at); !p.off.DropStale && !from.at.IsZero() && age > wholeAge {
		r.err = absent(what+m.name, api, "its newest value is "+seconds(age.Round(time.Second))+" old")
		return
	}
	r.total = values[0]
	if m.source == autoscalingv2.ExternalMetricSourceType {
		average := m.target == autoscalingv2.AverageValueMetricType
		if r.total = p.num.total(values, average); r.total < 0 && average {
			p.note("exactNumbers: the values of %s add up to less than zero; the HPA would take that for a sum beyond its range", m.name)
		}
	}
	r.proposal, r.hold, r.err = p.whole(m, r.total, rep)
	// A ratio is of the replicas that there were when it was read: taken again after a change it would change the count a second time.
	if m.target == autoscalingv2.ValueMetricType && r.err == "" && !from.read.IsZero() && !p.in.Changed.IsZero() && !from.read.After(p.in.Changed) {
		r.proposal, r.hold = int32(p.current), AwaitingReading
	}
	r.need, r.share = r.proposal, rep.Load
}

// absent says why there is nothing of a metric: its API failed, or had nothing.
func absent(what, api, failed string) string {
	if failed != "" {
		return "unable to get " + what + ": unable to fetch metrics from " + api + " metrics API: " + failed
	}
	return "unable to get " + what + ": no metrics returned from " + api + " metrics API"
}
