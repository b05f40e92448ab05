package policy

import (
	"fmt"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"plimsoll.dev/plimsoll/autoscaler/policy/cron"
	"plimsoll.dev/plimsoll/internal/cluster"
)

// Bounds of a behavior, those of the API server.
const (
	maxBehaviorWindow = 3600 // seconds
	maxPeriod         = 1800 // seconds
)

// compileBehavior checks a behavior and fills each missing field singly.
func compileBehavior(b *autoscalingv2.HorizontalPodAutoscalerBehavior) (*behavior, error) {
	if b == nil {
		return nil, nil
	}
	percent := ratePolicy{percent: true, value: 100, period: 15 * time.Second}
	out := &behavior{
		up:   rules{window: 0, policies: []ratePolicy{{value: 4, period: 15 * time.Second}, percent}},
		down: rules{window: -1, policies: []ratePolicy{percent}},
	}
	if err := out.up.compile("behavior.scaleUp", b.ScaleUp); err != nil {
		return nil, err
	}
	if err := out.down.compile("behavior.scaleDown", b.ScaleDown); err != nil {
		return nil, err
	}
	return out, nil
}

// compile overrides the defaults in r with what is given.
func (r *rules) compile(path string, s *autoscalingv2.HPAScalingRules) (err error) {
	r.choose = autoscalingv2.MaxChangePolicySelect
	if s != nil {
		if w := s.StabilizationWindowSeconds; w != nil {
			if *w < 0 || *w > maxBehaviorWindow {
				return fieldErr(path+".stabilizationWindowSeconds", *w, "must be from 0 to %d", maxBehaviorWindow)
			}
			r.window = time.Duration(*w) * time.Second
		}
		if s.SelectPolicy != nil {
			r.choose = *s.SelectPolicy
		}
		if r.tolerance, err = compileTolerance(path+".tolerance", s.Tolerance); err != nil {
			return err
		}
		if s.Policies != nil {
			if r.policies, err = compileRates(path+".policies", s.Policies); err != nil {
				return err
			}
		}
	}
	switch r.choose {
	case autoscalingv2.MaxChangePolicySelect, autoscalingv2.MinChangePolicySelect, autoscalingv2.DisabledPolicySelect:
	default:
		return fieldErr(path+".selectPolicy", r.choose, "must be Max, Min or Disabled")
	}
	for _, p := range r.policies {
		r.longest = max(r.longest, p.period)
	}
	return nil
}

func compileRates(path string, ps []autoscalingv2.HPAScalingPolicy) ([]ratePolicy, error) {
	if len(ps) == 0 {
		return nil, fieldErr(path, "[]", "must have at least one policy; leave it out for the default")
	}
	out := make([]ratePolicy, len(ps))
	for i, p := range ps {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case p.Type != autoscalingv2.PodsScalingPolicy && p.Type != autoscalingv2.PercentScalingPolicy:
			return nil, fieldErr(at+".type", p.Type, "must be Pods or Percent")
		case p.Value < 1:
			return nil, fieldErr(at+".value", p.Value, "must be more than 0")
		case p.PeriodSeconds < 1 || p.PeriodSeconds > maxPeriod:
			return nil, fieldErr(at+".periodSeconds", p.PeriodSeconds, "must be from 1 to %d", maxPeriod)
		}
		out[i] = ratePolicy{percent: p.Type == autoscalingv2.PercentScalingPolicy, value: p.Value, period: time.Duration(p.PeriodSeconds) * time.Second}
	}
	return out, nil
}

// compileSchedules checks the schedules. Time zones are found here, so that Decide need not.
func (p *Policy) compileSchedules(ss []Schedule) ([]schedule, error) {
	var out []schedule
	for i := range ss {
		c, err := p.compileSchedule(fmt.Sprintf("schedules[%d]", i), &ss[i])
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func (p *Policy) compileSchedule(path string, s *Schedule) (c schedule, err error) {
	if c.start, err = cron.Parse(s.Start); err != nil {
		return c, fieldErr(path+".start", s.Start, "cannot be read: %v", err)
	}
	if c.end, err = cron.Parse(s.End); err != nil {
		return c, fieldErr(path+".end", s.End, "cannot be read: %v", err)
	}
	if c.start.Within(&c.end) {
		return c, fieldErr(path+".end", s.End, "comes whenever the start does, which is %q: the schedule would never hold", s.Start)
	}
	if s.TimeZone == "Local" { // the machine's own zone would make one policy mean two things
		return c, fieldErr(path+".timeZone", s.TimeZone, "must be an IANA name such as Europe/Berlin")
	}
	if c.zone, err = time.LoadLocation(s.TimeZone); err != nil {
		return c, fieldErr(path+".timeZone", s.TimeZone, "is not a known time zone: use an IANA name such as Europe/Berlin")
	}
	if err := p.checkLimits(path, s); err != nil {
		return c, err
	}
	c.min, c.max = (*cluster.DesiredReplicas)(clone(s.MinReplicas)), (*cluster.DesiredReplicas)(clone(s.MaxReplicas))
	c.text = s.Start + " " + c.zone.String()
	return c, nil
}

// checkLimits holds a schedule's floor to its ceiling; what it leaves out is the policy's.
func (p *Policy) checkLimits(path string, s *Schedule) error {
	lowest := int32(1)
	if p.toZero {
		lowest = 0
	}
	switch low, high := s.MinReplicas, s.MaxReplicas; {
	case low == nil && high == nil:
		return fieldErr(path, "", "must set minReplicas, maxReplicas, or both")
	case low != nil && *low < lowest:
		return fieldErr(path+".minReplicas", *low, "must be at least %d", lowest)
	case high != nil && *high < 1:
		return fieldErr(path+".maxReplicas", *high, "must be at least 1")
	case low != nil && high != nil && *high < *low:
		return fieldErr(path+".maxReplicas", *high, "must be at least minReplicas, which is %d", *low)
	case high == nil && *low > int32(p.max):
		return fieldErr(path+".minReplicas", *low, "must be at most the policy's maxReplicas, which is %d, as the schedule has no maxReplicas of its own", p.max)
	case low == nil && *high < int32(p.min):
		return fieldErr(path+".maxReplicas", *high, "must be at least the policy's minReplicas, which is %d, as the schedule has no minReplicas of its own", p.min)
	}
	return nil
}

func clone(n *int32) *int32 {
	if n == nil {
		return nil
	}
	c := *n
	return &c
}
