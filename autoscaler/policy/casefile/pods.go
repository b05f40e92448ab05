package casefile

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// phases are the phases that a pod can be in.
var phases = [...]corev1.PodPhase{corev1.PodPending, corev1.PodRunning, corev1.PodSucceeded, corev1.PodFailed, corev1.PodUnknown}

func convertPods(pods []pod) (out []cluster.Pod, err error) {
	seen := map[string]bool{}
	for i := range pods {
		p := &pods[i]
		at := fmt.Sprintf("pods[%d]", i)
		if err := once(seen, at+".name", p.Name); err != nil {
			return nil, err
		}
		to := cluster.Pod{Name: p.Name, Phase: p.Phase, Ready: p.Ready, ReadyTransition: p.ReadyTransition, StartTime: p.StartTime, Deleting: p.Deleting}
		if to.Phase == "" {
			to.Phase = corev1.PodRunning
		}
		switch {
		case !slices.Contains(phases[:], to.Phase):
			return nil, wrong(at+".phase", "%q is not Pending, Running, Succeeded, Failed or Unknown", p.Phase)
		case to.Ready != "" && to.Ready != corev1.ConditionTrue && to.Ready != corev1.ConditionFalse && to.Ready != corev1.ConditionUnknown:
			return nil, wrong(at+".ready", "%q is not True, False or Unknown", p.Ready)
		}
		if to.Requests, err = p.Requests.convert(at + ".requests"); err != nil {
			return nil, err
		}
		if to.Overhead, err = p.Overhead.convert(at + ".overhead"); err != nil {
			return nil, err
		}
		if to.Containers, err = convertContainers(at+".containers", p.Containers); err != nil {
			return nil, err
		}
		if to.InitContainers, err = convertContainers(at+".initContainers", p.InitContainers); err != nil {
			return nil, err
		}
		out = append(out, to)
	}
	return out, nil
}

func convertContainers(field string, cs []container) (out []cluster.Container, err error) {
	for i := range cs {
		c := &cs[i]
		at := fmt.Sprintf("%s[%d]", field, i)
		switch c.RestartPolicy {
		case "", corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyNever, corev1.ContainerRestartPolicyOnFailure:
		default:
			return nil, wrong(at+".restartPolicy", "%q is not Always, OnFailure or Never", c.RestartPolicy)
		}
		to := cluster.Container{Name: c.Name, Always: c.RestartPolicy == corev1.ContainerRestartPolicyAlways}
		if to.Requests, err = c.Requests.convert(at + ".requests"); err != nil {
			return nil, err
		}
		out = append(out, to)
	}
	return out, nil
}

// convert sorts by name, so that the same case is read the same way each time.
func (r resources) convert(field string) (out cluster.Resources, err error) {
	for name, q := range r {
		m := cluster.MilliOf(q)
		if m < 0 {
			return nil, wrong(field+"."+string(name), "%q must not be negative", q.String())
		}
		out = append(out, cluster.Resource{Name: name, Milli: m})
	}
	slices.SortFunc(out, func(a, b cluster.Resource) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return out, nil
}

func convertUsage(field string, us []podUsage) (out []cluster.PodUsage, err error) {
	seen := map[string]bool{}
	for i := range us {
		u := &us[i]
		at := fmt.Sprintf("%s[%d]", field, i)
		if err := once(seen, at+".pod", u.Pod); err != nil {
			return nil, err
		}
		if u.Window < 0 {
			return nil, wrong(at+".window", "%q must not be negative", u.Window)
		}
		to := cluster.PodUsage{Pod: u.Pod, Timestamp: u.Timestamp, Window: u.Window}
		if to.Containers, err = usedBy(at+".containers", u.Containers); err != nil {
			return nil, err
		}
		out = append(out, to)
	}
	return out, nil
}

// usedBy converts what containers used.
func usedBy(field string, us []containerUsage) (out []cluster.ContainerUsage, err error) {
	for i := range us {
		usage, err := us[i].Usage.convert(fmt.Sprintf("%s[%d].usage", field, i))
		if err != nil {
			return nil, err
		}
		out = append(out, cluster.ContainerUsage{Name: us[i].Name, Usage: usage})
	}
	return out, nil
}
