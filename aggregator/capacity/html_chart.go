package capacity

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// chart is a room's past: paths in a square of 1000, texts at percentages of it.
type chart struct {
	Empty, Label  string
	Max, Avg, P95 string
	Water, Asked  string // what is allocatable, what is requested
	Ahead, Cone   string // the trend carried on
	Rules         []rule
	Days          []dayMark
	Full          *rule
	from, to, top float64
	step          float64
}

// rule is a level with its text.
type rule struct {
	At   float64 // percent from above, of the whole chart
	Text string
	Dy   int // pixels from there to the text's base
}

// dayMark is a moment with its text.
type dayMark struct {
	At           float64
	Anchor, Text string
}

// plotShare is the height of the plot in the whole chart; below it are the dates.
const plotShare = 0.88

// chartOf draws a room.
func chartOf(r *Room, start, end time.Time, step float64, u unit) chart {
	c := chart{Label: r.Trend.Text, from: float64(start.Unix()), to: float64(end.Unix()), step: step}
	if len(r.Points) == 0 {
		c.Empty = "There is no history to draw."
		return c
	}
	high := 0.0
	for _, p := range r.Points {
		high = max(high, or(p.Max, 0), or(p.P95, 0), or(p.Avg, 0))
	}
	ahead := c.horizon(r)
	c.top = max(high*1.15, 1e-9)
	for _, v := range []*float64{r.Allocatable, r.Requests} {
		if v != nil && *v*1.08 <= 5*high && *v*1.08 > c.top { // what is far above would press the rest to the ground
			c.top = *v * 1.08
		}
	}
	c.rules(u, r.Allocatable)
	c.marks()
	c.Max = c.line(r.Points, func(p *Point) *float64 { return p.Max })
	c.Avg = c.line(r.Points, func(p *Point) *float64 { return p.Avg })
	c.P95 = c.line(r.Points, func(p *Point) *float64 { return p.P95 })
	c.Asked = c.level(r.Requests)
	if r.Allocatable != nil {
		c.Water = c.level(r.Allocatable)
		text := "allocatable " + u.text(*r.Allocatable)
		if c.Full = (&rule{At: 100 * plotShare * c.y(*r.Allocatable) / 1000, Text: text, Dy: -5}); c.Water == "" {
			*c.Full = rule{Text: text + " is far above", Dy: 10}
		} else if c.Full.At < 6 {
			c.Full.Dy = 14
		}
	}
	if ahead {
		c.trend(&r.Trend, end)
	}
	return c
}

// horizon makes room for what is to come when that is in sight, at most as much as there is past.
func (c *chart) horizon(r *Room) bool {
	t := &r.Trend
	if t.Full == nil || *t.Full == 0 || !t.clear() {
		return false
	}
	past := c.to - c.from
	c.to += min(past, max(past/4, *t.Full*1.1*day.Seconds()))
	return true
}

func (c *chart) x(t float64) float64 { return (t - c.from) / (c.to - c.from) * 1000 }
func (c *chart) y(v float64) float64 { return 1000 - v/c.top*1000 }

// line draws a line, broken where points are missing.
func (c *chart) line(points []Point, of func(*Point) *float64) string {
	var b strings.Builder
	last := math.Inf(-1)
	for i := range points {
		v := of(&points[i])
		if v == nil {
			continue
		}
		t := float64(points[i].T)
		command := "L"
		if t-last > c.step*1.5 {
			command = "M"
			if next := i + 1; next == len(points) || of(&points[next]) == nil || float64(points[next].T)-t > c.step*1.5 {
				fmt.Fprintf(&b, "M%.1f %.1fh6", min(max(c.x(t)-3, 0), 994), c.y(*v)) // alone
				last = t
				continue
			}
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", command, c.x(t), c.y(*v))
		last = t
	}
	return b.String()
}

// level draws a level that lies within the chart.
func (c *chart) level(v *float64) string {
	if v == nil || *v > c.top || *v < 0 {
		return ""
	}
	return fmt.Sprintf("M0 %.1fH1000", c.y(*v))
}

// trend carries the trend on to the right edge or the top.
func (c *chart) trend(t *Trend, end time.Time) {
	from := float64(end.Unix())
	days := (c.to - from) / day.Seconds()
	at := *t.At
	ray := func(slope float64) (x, y float64) {
		d := days
		if v := at + slope*d; v > c.top {
			d = (c.top - at) / slope
		} else if v < 0 {
			d = -at / slope
		}
		return c.x(from + d*day.Seconds()), c.y(at + slope*d)
	}
	x0, y0 := c.x(from), c.y(at)
	x, y := ray(*t.Slope)
	c.Ahead = fmt.Sprintf("M%.1f %.1fL%.1f %.1f", x0, y0, x, y)
	x1, y1 := ray(*t.High)
	x2, y2 := ray(*t.Low)
	corner := ""
	if x1 < x2-0.1 && y1 < y2 {
		corner = fmt.Sprintf("L%.1f %.1f", x2, y1)
	}
	c.Cone = fmt.Sprintf("M%.1f %.1fL%.1f %.1f%sL%.1f %.1fZ", x0, y0, x1, y1, corner, x2, y2)
}

// rules puts three to five round levels.
func (c *chart) rules(u unit, full *float64) {
	base := 1.0
	if u == bytesUnit {
		for base*1024 <= c.top {
			base *= 1024
		}
	}
	raw := c.top / base / 4
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	step := power * 10
	for _, m := range [...]float64{1, 2, 2.5, 5} {
		if m*power >= 0.9*raw {
			step = m * power
			break
		}
	}
	for v := 0.0; v*base < c.top*0.97; v += step {
		if full != nil && math.Abs(v*base-*full) < c.top/12 {
			continue // its line is there
		}
		text := u.text(v * base)
		if v == 0 {
			text = "0"
		}
		c.Rules = append(c.Rules, rule{At: math.Round(1000*plotShare*c.y(v*base)/1000) / 10, Text: text})
	}
}

// marks puts dates or hours below.
func (c *chart) marks() {
	form := "2 Jan"
	if c.to-c.from <= 2*day.Seconds() {
		form = "15:04"
	}
	for i, anchor := range [...]string{"start", "middle", "middle", "end"} {
		t := c.from + (c.to-c.from)*float64(i)/3
		c.Days = append(c.Days, dayMark{math.Round(1000*float64(i)/3) / 10, anchor, time.Unix(int64(t), 0).UTC().Format(form)})
	}
}
