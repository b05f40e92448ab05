package metrics

import (
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// API is one of the metrics APIs, by what it is asked for.
type API string

// The kinds of questions.
const (
	Usage    API = "usage"    // metrics.k8s.io: what the pods of a namespace use
	Pods     API = "pods"     // custom.metrics.k8s.io: a value of each pod that a selector chooses
	Object   API = "object"   // custom.metrics.k8s.io: a value of one object
	External API = "external" // external.metrics.k8s.io: values of a metric that is no object's
)

// group is the API group that a question goes to.
func (a API) group() string {
	switch a {
	case Usage:
		return "metrics.k8s.io"
	case External:
		return "external.metrics.k8s.io"
	}
	return "custom.metrics.k8s.io"
}

// Question is what is asked of an API. Equal ones are one question.
type Question struct {
	API       API
	Namespace string
	Metric    string // not of Usage
	Selector  string // of the metric's series; "" for all
	Of        string // of Pods: the selector of the pods; "" for all
	Object    schema.GroupKind
	Name      string // of the Object
}

// Answer is what an API said. It is shared: nobody changes it.
type Answer struct {
	Usage  map[string]cluster.PodUsage // by pod
	Pods   []PodValue
	Values []cluster.Milli // of Object one, of External one for each series
	At     time.Time       // when the oldest of the Values was produced; zero: not said
	Read   time.Time       // when it was asked for; zero: never
}

// PodValue is one pod's value of a custom metric.
type PodValue struct {
	Pod    string
	Value  cluster.Milli
	At     time.Time
	Window time.Duration
}

// ErrNotRead is why there is no answer to a question that was asked for the first time just now.
var ErrNotRead = errors.New("it was not read yet")
