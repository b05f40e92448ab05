package custom

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"plimsoll.dev/plimsoll/internal/metric"
)

// mostNear is how many names are told that somebody may have meant.
const mostNear = 3

// unknown is the answer about a metric that there is not: of a resource, or external where none is given, with the names at a level that are nearest to it.
func unknown(of schema.GroupResource, name string, level metric.Level) error {
	err := provider.NewMetricNotFoundError(of, name)
	api := "custom"
	if of.Resource == "" {
		api, err.ErrStatus.Message = "external", fmt.Sprintf("the server could not find the external metric %s", name)
	}
	if names := near(name, level); len(names) > 0 {
		err.ErrStatus.Message += "; near it are " + strings.Join(names, ", ")
	} else {
		err.ErrStatus.Message += fmt.Sprintf("; none has a name like it, 'kubectl get --raw /apis/%s.metrics.k8s.io/' leads to the list", api)
	}
	return err
}

// near are the names at a level that have most words in common with a name, the nearest first; none where none has any.
func near(name string, level metric.Level) (out []string) {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	common := map[string]int{}
	for row := range served(level) {
		own := nameOf(row)
		if _, twice := common[own]; twice {
			continue
		}
		common[own] = 0
		for _, w := range strings.Split(own, "_") {
			if slices.Contains(words, w) {
				common[own]++
			}
		}
		if common[own] > 0 {
			out = append(out, own)
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		return cmp.Or(cmp.Compare(common[b], common[a]), cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
	})
	return out[:min(len(out), mostNear)]
}
