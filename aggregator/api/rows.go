package api

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// How many rows an answer may have at most is judged before it is made: one that can only be short waits for none that is long. A request that is
// wrong has none.

// limitOf is the most rows that a request asks for.
func limitOf(r *http.Request) int {
	text := r.URL.Query().Get("limit")
	if text == "" {
		return maxLimit
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return min(max(n, 0), maxLimit)
}

func rowsOfContainers(p *picture, r *http.Request) int { return min(limitOf(r), len(p.containers)) }

func rowsOfNodes(p *picture, _ *http.Request) int { return len(p.nodes) }

func rowsOfNode(p *picture, r *http.Request) (n int) {
	name := r.PathValue("name")
	for _, k := range p.snap.Known {
		if k.Pod.Node == name {
			n++
		}
	}
	for _, it := range p.snap.Pods {
		if it.Pod == nil && it.Entity.Node == name {
			n++
		}
	}
	return n
}

func rowsOfWorkloads(p *picture, _ *http.Request) int {
	return len(p.snap.Workloads) + len(p.snap.Known)
}

func rowsOfGaps(p *picture, _ *http.Request) int {
	return len(p.snap.Containers) + len(p.snap.Known) + len(p.nodes)
}

func rowsOfWorkload(p *picture, r *http.Request) int {
	return p.sizeOf(workloadKey{r.PathValue("namespace"), r.PathValue("kind"), r.PathValue("name")}) + decisionsMax
}

// sizeOf is how many pods and containers a workload has at most.
func (p *picture) sizeOf(k workloadKey) (n int) {
	if w := p.workload(k.namespace, k.kind, k.name); w != nil {
		for _, pod := range w.Items {
			n += len(pod.Items)
		}
	}
	return n + len(p.unheard[k]) + len(p.pods[k])
}

func (a *API) rowsOfOverview(p *picture, r *http.Request) int {
	limit := limitOf(r)
	n := min(limit, len(p.containers)) + min(limit, len(p.nodes))
	for _, s := range a.scaled(time.Now(), p.sees) {
		n += 1 + len(p.pods[keyOf(plain(s.Target))])
	}
	return n
}

func (a *API) rowsOfStream(p *picture, r *http.Request) int {
	if parts := strings.SplitN(r.URL.Query().Get("workload"), "/", 3); len(parts) == 3 {
		return p.sizeOf(workloadKey{parts[0], parts[1], parts[2]}) + decisionsMax
	}
	return a.rowsOfOverview(p, r)
}
