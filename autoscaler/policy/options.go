package policy

import (
	"fmt"
	"math"
	"time"
)

// Compat names a controller whose decisions are to be matched in every case.
type Compat string

// CompatHPA matches the HorizontalPodAutoscaler of Kubernetes 1.37: every switch is off.
const CompatHPA Compat = "hpa"

// Options are the settings of the controller, the same for all targets. The zero value is not usable: start
// from DefaultOptions. Their names in JSON are those of case files.
type Options struct {
	// Compat turns off all switches if it is CompatHPA.
	Compat Compat `json:"compat"`
	// Tolerance is how far a ratio may be from 1 without scaling.
	Tolerance float64 `json:"tolerance"`
	// CPUInitializationPeriod is how long after its start a pod's CPU is believed only while it is ready.
	CPUInitializationPeriod time.Duration `json:"cpuInitializationPeriod"`
	// InitialReadinessDelay is how long after its start a first change of readiness still is part of the start.
	InitialReadinessDelay time.Duration `json:"initialReadinessDelay"`
	// DownscaleStabilization is the time whose highest recommendation a decision to shrink does not go below.
	DownscaleStabilization time.Duration `json:"downscaleStabilization"`
	// ScaleUpLimitFactor and ScaleUpLimitMinimum cap one pass when there is no behavior:
	// max(factor × current, minimum).
	ScaleUpLimitFactor  float64 `json:"scaleUpLimitFactor"`
	ScaleUpLimitMinimum float64 `json:"scaleUpLimitMinimum"`
	// MaxLookAge is how old a sample of a look may be before it counts as missing (switch DropStale). 0: none is too old.
	MaxLookAge time.Duration `json:"maxLookAge"`
	// MaxUsageAge is the same for samples of the metrics APIs, which are older by nature. 0: none is too old.
	MaxUsageAge time.Duration `json:"maxUsageAge"`
	// Off are the switches that are turned off; the zero value leaves all on.
	Off Switches `json:"off"`
}

// Switches are the rules in which Plimsoll means to be better than the HPA. In Options.Off a true field turns
// that rule off.
type Switches struct {
	// FreshLooks decides on looks of several lengths that stand clear of their noise, instead of one sample.
	FreshLooks bool `json:"freshLooks,omitempty"`
	// UsedRequests asks for requests (and for a named container) only of pods that count, not of dying ones.
	UsedRequests bool `json:"usedRequests,omitempty"`
	// SpecOnRollout answers "no change" of an AverageValue of an Object or External metric with the desired count
	// while it differs from the observed one, instead of with the observed one.
	SpecOnRollout bool `json:"specOnRollout,omitempty"`
	// KeepMetrics computes and shows the metrics also when the limits alone force the count.
	KeepMetrics bool `json:"keepMetrics,omitempty"`
	// DropStale counts a sample that is too old as missing.
	DropStale bool `json:"dropStale,omitempty"`
	// WholePods counts a pod's sample as missing that leaves out a container which runs, instead of taking the others' for the whole.
	WholePods bool `json:"wholePods,omitempty"`
	// StabilizeDownOnly lets remembered recommendations hold the count, never raise it (without behavior; with
	// behavior the HPA does so itself).
	StabilizeDownOnly bool `json:"stabilizeDownOnly,omitempty"`
	// CompactHistory forgets recommendations and changes that can no longer matter, and none that can: the HPA lets its
	// list grow, and overwrites changes of one direction that longer periods of the other still count.
	CompactHistory bool `json:"compactHistory,omitempty"`
	// ExactNumbers computes sums, counts and times exactly and holds them at the ends of their range. The HPA's wrap round, a sum of external
	// values below zero is one that ran over to it, and a behavior knows whole seconds of downscaleStabilization only.
	ExactNumbers bool `json:"exactNumbers,omitempty"`
	// RecomputeOnConflict decides anew at once when somebody else changed the count in between; the HPA does so in its next
	// pass. It is for whoever carries decisions out: see Options.RecomputesOnConflict.
	RecomputeOnConflict bool `json:"recomputeOnConflict,omitempty"`
}

// AllSwitches returns the set with every switch in it, which as Options.Off turns every deviation off.
func AllSwitches() Switches {
	return Switches{true, true, true, true, true, true, true, true, true, true}
}

// DefaultOptions returns the defaults of the HPA controller, with all switches on.
func DefaultOptions() Options {
	return Options{
		Tolerance:               0.1,
		CPUInitializationPeriod: 5 * time.Minute,
		InitialReadinessDelay:   30 * time.Second,
		DownscaleStabilization:  5 * time.Minute,
		ScaleUpLimitFactor:      2,
		ScaleUpLimitMinimum:     4,
		MaxLookAge:              10 * time.Second,
		MaxUsageAge:             2 * time.Minute,
	}
}

// off returns the switches that are off, all of them in compat.
func (o *Options) off() Switches {
	if o.Compat == CompatHPA {
		return AllSwitches()
	}
	return o.Off
}

// RecomputesOnConflict says whether a decision that met another count than it knew is to be made anew at once.
func (o *Options) RecomputesOnConflict() bool { return !o.off().RecomputeOnConflict }

// Validate says which setting is impossible, with its value.
func (o *Options) Validate() error {
	if o.Compat != "" && o.Compat != CompatHPA {
		return fmt.Errorf("compat %q is not known: leave it out or set %q", o.Compat, CompatHPA)
	}
	for _, f := range []struct {
		name string
		v    float64
	}{{"tolerance", o.Tolerance}, {"scaleUpLimitFactor", o.ScaleUpLimitFactor}, {"scaleUpLimitMinimum", o.ScaleUpLimitMinimum}} {
		if !(f.v >= 0) || math.IsInf(f.v, 0) {
			return fmt.Errorf("%s %v must be a number of at least 0", f.name, f.v)
		}
	}
	for _, d := range []struct {
		name string
		v    time.Duration
	}{
		{"cpuInitializationPeriod", o.CPUInitializationPeriod}, {"initialReadinessDelay", o.InitialReadinessDelay},
		{"downscaleStabilization", o.DownscaleStabilization}, {"maxLookAge", o.MaxLookAge}, {"maxUsageAge", o.MaxUsageAge},
	} {
		if d.v < 0 {
			return fmt.Errorf("%s \"%s\" must not be negative", d.name, d.v)
		}
	}
	return nil
}
