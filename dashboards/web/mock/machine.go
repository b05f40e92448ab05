package main

import (
	"fmt"
	"math"
	"net/http"
)

// ofCluster makes the containers those of a node of a cluster: pods of Deployments, but for the units.
func ofCluster(boxes []box) []box {
	for i := range boxes {
		b := &boxes[i]
		switch b.kind {
		case "Unit", "Process":
			b.ns = "system@node"
		default:
			b.kind, b.title = "Deployment", b.ns+"/"+b.pod
			if b.runtime != "" { // else no runtime has it yet
				b.runtime = "containerd"
			}
		}
	}
	return boxes
}

// serveNode answers about the one machine.
func (w *world) serveNode(rw http.ResponseWriter, r *http.Request) {
	if r.PathValue("name") != "node-7" {
		rw.WriteHeader(http.StatusNotFound)
		answer(rw, map[string]any{"schema": "plimsoll.dev/error/v1", "status": 404, "error": fmt.Sprintf("there is no node %q", r.PathValue("name"))})
		return
	}
	t := w.now()
	all := w.all(t)
	m := w.node(t, all)
	m["schema"], m["time"] = "plimsoll.dev/node/v1", stamp(t)
	pods, cpu, mem := []any{}, 0.0, 0.0
	for _, b := range all {
		p := w.pod(b, t)
		pods = append(pods, p)
		if v, ok := p["cpuRequest"].(float64); ok {
			cpu += v
		}
		if v, ok := p["memoryRequest"].(float64); ok {
			mem += v
		}
	}
	m["cpuRoom"], m["memoryRoom"] = map[string]any{"allocatable": nil, "requests": cpu}, map[string]any{"allocatable": nil, "requests": mem}
	m["maxPods"], m["conditions"] = nil, []any{}
	if w.scene == "cluster" {
		m["cpuRoom"], m["memoryRoom"] = map[string]any{"allocatable": 1.9, "requests": cpu}, map[string]any{"allocatable": 22.9 * (1 << 30), "requests": mem}
		m["maxPods"] = 110
		condition := func(name, status, why, message string, ago float64) any {
			return map[string]any{"type": name, "status": status, "reason": why, "message": message, "since": stamp(t - ago)}
		}
		m["conditions"] = []any{condition("Ready", "True", "KubeletReady", "kubelet is posting ready status", 90000),
			condition("DiskPressure", "True", "KubeletHasDiskPressure", "kubelet has disk pressure", 400), condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available", 90000)}
		pods = append(pods, map[string]any{"namespace": "shop", "workload": "pay", "workloadKind": "Deployment", "name": "pay-1", "title": "shop/pay-1", "state": "ContainerCreating", "since": stamp(t - 8), "restarts": 0,
			"cpu": nil, "cpuRequest": .1, "workingSet": nil, "memoryRequest": 64 << 20, "containers": []string{"pay", "proxy"},
			"gap": map[string]any{"since": stamp(t - 8), "reason": "starting", "detail": `its containers have not started on "node-7" yet`}})
	}
	m["pods"] = pods
	answer(rw, m)
}

// pod is the row of what stands for a pod.
func (w *world) pod(b box, t float64) map[string]any {
	row := w.row(b, t)
	p := map[string]any{"namespace": b.ns, "workload": b.workload, "workloadKind": b.kind, "name": b.pod, "title": b.title, "state": "", "since": nil, "restarts": nil,
		"cpu": row["cpu"], "cpuRequest": nil, "workingSet": row["workingSet"], "memoryRequest": nil, "containers": []string{b.name}, "gap": row["gap"]}
	if b.kind == "Deployment" || b.kind == "ProcessService" {
		p["state"], p["since"], p["restarts"] = "Running", row["started"], 0
		p["cpuRequest"], p["memoryRequest"] = math.Max(.05, b.cpuLimit/2), math.Max(b.mem, 32)*(1<<20)
	}
	return p
}
