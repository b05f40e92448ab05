package kube

import (
	"context"
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"plimsoll.dev/plimsoll/internal/cluster"
)

// How long a selector is believed, where the target is not made anew meanwhile: that of most kinds never changes; and how long that there is none, which an operator may tell a little later than it
// makes an object.
const (
	selectorFor   = 10 * time.Minute
	noSelectorFor = 15 * time.Second
)

// Selectors are those by which targets choose their pods, as their scale subresources tell. It is safe for concurrent use.
type Selectors struct {
	scales *Scales

	mu    sync.Mutex
	known map[cluster.Target]selector
}

type selector struct {
	text string
	of   types.UID // the target
	at   time.Time
}

// NewSelectors makes Selectors; it asks nothing yet.
func NewSelectors(s *Scales) *Selectors {
	return &Selectors{scales: s, known: map[cluster.Target]selector{}}
}

// Of is the selector of a target's pods; "" where its kind has none.
func (s *Selectors) Of(ctx context.Context, t cluster.Target) (string, error) {
	now := time.Now()
	s.mu.Lock()
	k, ok := s.known[t]
	s.mu.Unlock()
	if id := s.scales.uid(t); id != "" && k.of != "" && id != k.of { // it was made anew
		ok = false
	}
	if ok && (now.Sub(k.at) < noSelectorFor || k.text != "" && now.Sub(k.at) < selectorFor) {
		return k.text, nil
	}
	scale, err := s.scales.get(ctx, t)
	if err != nil {
		return "", err
	}
	text, _, _ := unstructured.NestedString(scale.Object, "status", "selector") // of another type: none
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.known, func(_ cluster.Target, k selector) bool { return now.Sub(k.at) >= selectorFor })
	s.known[t] = selector{text, scale.GetUID(), now}
	return text, nil
}
