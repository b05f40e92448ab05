package process

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// MaxReplicas is the most replicas that one service may have.
const MaxReplicas = 1000

// DefaultDrain is how long a replica has between SIGTERM and SIGKILL when its service does not say.
const DefaultDrain = 10 * time.Second

// DefaultProcesses is how many processes and threads a replica may have at a time when its service does not say.
const DefaultProcesses = 4096

// Key names a service.
type Key struct{ Namespace, Name string }

// String returns "namespace/name".
func (k Key) String() string { return k.Namespace + "/" + k.Name }

// Target is the service as everybody names it.
func (k Key) Target() cluster.Target {
	return cluster.Target{APIVersion: cluster.APIVersion, Kind: cluster.ProcessService, Namespace: k.Namespace, Name: k.Name}
}

// Resources are amounts of CPU and memory; zero means none given.
type Resources struct {
	CPU    int64 // thousandths of a core
	Memory int64 // bytes
}

// Readiness says when a replica that was started counts as ready. At most one of Exec and Connect is set;
// with neither, a replica is ready After its start. A replica that became ready stays so until it ends.
type Readiness struct {
	// Exec is a command that is run every second, with the replica's environment, until it succeeds.
	Exec []string
	// Connect is an address that is tried every quarter of a second until it answers: "HOST:PORT" or "unix:PATH".
	Connect string
	// After is how long to wait after the start (before the first probe, where there is one).
	After time.Duration
}

// Service is a command that is run as replicas. In Command, the values of Env, and Readiness, $(REPLICA) stands
// for the replica's name, $(ORDINAL) for its number and $(PORT) for its port; a replica finds the same in its
// environment as REPLICA, ORDINAL and PORT.
type Service struct {
	Namespace, Name string // DNS labels
	Command         []string
	Env             map[string]string // added to Options.Env
	Dir             string            // working directory; empty: Plimsoll's own
	Requests        Resources         // a share of the CPU when it is scarce; what utilization is measured against
	Limits          Resources         // enforced where there are cgroups
	// Processes is how many processes and threads a replica may have at a time, enforced where there are cgroups; zero: DefaultProcesses.
	Processes int64
	// GainRights lets a replica's programs have more rights than who starts them: those that are set-user-ID, or have capabilities of their own.
	GainRights bool
	// Port is the port of the replica with the number 1; number n has Port+n-1. Zero: no ports.
	Port      int
	Drain     time.Duration // from SIGTERM to SIGKILL; zero: DefaultDrain
	ReadyWhen Readiness
	Replicas  int32 // how many to begin with; a service that is known already keeps the number that it has
}

// Key returns the service's name.
func (s *Service) Key() Key { return Key{s.Namespace, s.Name} }

var dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// Validate says what is impossible about a service. It does not look at the disk: a command that does not
// exist shows in the replicas' state.
func (s *Service) Validate() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if !dnsLabel.MatchString(s.Namespace) {
		bad("namespace %q is not a DNS label (lower case letters, digits and hyphens, at most 63)", s.Namespace)
	}
	if !dnsLabel.MatchString(s.Name) {
		bad("name %q is not a DNS label (lower case letters, digits and hyphens, at most 63)", s.Name)
	}
	if len(s.Command) == 0 || s.Command[0] == "" {
		bad("command is empty")
	}
	for _, a := range slices.Concat(s.Command, s.ReadyWhen.Exec, []string{s.Dir}) {
		if strings.ContainsRune(a, 0) {
			bad("%q holds a NUL byte", a)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(s.Env)) {
		if k == "" || strings.ContainsAny(k, "=\x00") || strings.ContainsRune(s.Env[k], 0) {
			bad("environment variable %q is malformed", k)
		}
	}
	if s.Requests.CPU < 0 || s.Requests.Memory < 0 || s.Limits.CPU < 0 || s.Limits.Memory < 0 {
		bad("requests and limits cannot be negative")
	}
	if s.Limits.CPU > 0 && s.Requests.CPU > s.Limits.CPU {
		bad("the CPU request of %dm is over the limit of %dm", s.Requests.CPU, s.Limits.CPU)
	}
	if s.Limits.Memory > 0 && s.Requests.Memory > s.Limits.Memory {
		bad("the memory request of %d bytes is over the limit of %d bytes", s.Requests.Memory, s.Limits.Memory)
	}
	if s.Processes < 0 {
		bad("maxProcesses %d is below 0", s.Processes)
	}
	if s.Drain < 0 || s.ReadyWhen.After < 0 {
		bad("durations cannot be negative")
	}
	if len(s.ReadyWhen.Exec) > 0 && s.ReadyWhen.Connect != "" {
		bad("readiness can have either exec or connect, not both")
	}
	if s.Port < 0 || s.Port > 65535 {
		bad("port %d is not between 1 and 65535", s.Port)
	}
	if s.Replicas < 0 || s.Replicas > MaxReplicas {
		bad("replicas %d is not between 0 and %d", s.Replicas, MaxReplicas)
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("service %q: %w", s.Key(), err)
	}
	return nil
}

// same says whether a running replica of one can go on as a replica of the other.
func (s *Service) same(o *Service) bool {
	return slices.Equal(s.Command, o.Command) && maps.Equal(s.Env, o.Env) && s.Dir == o.Dir && s.Port == o.Port &&
		s.Requests == o.Requests && s.Limits == o.Limits && s.Processes == o.Processes && s.GainRights == o.GainRights
}

func (s *Service) drain() time.Duration {
	return cmp.Or(s.Drain, DefaultDrain)
}

// expander replaces $(REPLICA), $(ORDINAL) and $(PORT) for one replica.
func (s *Service) expander(ordinal int) *strings.Replacer {
	return strings.NewReplacer("$(REPLICA)", replicaName(s.Name, ordinal), "$(ORDINAL)", strconv.Itoa(ordinal), "$(PORT)", s.port(ordinal))
}

func (s *Service) port(ordinal int) string {
	if s.Port == 0 {
		return ""
	}
	return strconv.Itoa(s.Port + ordinal - 1)
}

// environ is the environment of a replica's processes: base, then the service's own, then the replica's.
// Each name is there once, since programs do not agree on which of two counts.
func (s *Service) environ(base []string, ordinal int, mark string) []string {
	vars := map[string]string{}
	for _, v := range base {
		if name, value, ok := strings.Cut(v, "="); ok && name != "" {
			vars[name] = value
		}
	}
	x := s.expander(ordinal)
	for name, value := range s.Env {
		vars[name] = x.Replace(value)
	}
	vars["REPLICA"], vars["ORDINAL"], vars[markVar] = replicaName(s.Name, ordinal), strconv.Itoa(ordinal), mark
	if s.Port != 0 {
		vars["PORT"] = s.port(ordinal)
	}
	env := make([]string, 0, len(vars))
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		env = append(env, name+"="+vars[name])
	}
	return env
}

func replicaName(service string, ordinal int) string { return service + "-" + strconv.Itoa(ordinal) }

// ValidName says whether a text can be a service's name or namespace.
func ValidName(s string) bool { return dnsLabel.MatchString(s) }
