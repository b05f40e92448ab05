package demo

import (
	"encoding/json"
	"fmt"

	"plimsoll.dev/plimsoll/autoscaler/policyfile"
)

// Namespace and Name are those of the demo's service.
const (
	Namespace = "demo"
	Name      = "web"
)

// Command is the hidden subcommand that serves one replica: PROGRAM demo-service --socket PATH.
const Command = "demo-service"

// target is the policy's line, as a share of the request.
const target = 0.7

// Request is the CPU request of one replica on a machine with so many cores, in thousandths of a core. Ten
// replicas at the policy's target use 0.7 of a core, or half of that on a machine with one.
func Request(cores int) int {
	if cores < 2 {
		return 50
	}
	return 100
}

const text = `apiVersion: plimsoll.dev/v1alpha1
kind: ProcessService
metadata:
  name: web
  namespace: demo
spec:
  command: [%s, demo-service, --socket, %s]
  env:
  - {name: GOMAXPROCS, value: "1"}
  - {name: GOGC, value: "50"}
  resources:
    requests: {cpu: %dm, memory: 32Mi}
    limits: {memory: 128Mi}
  terminationGracePeriodSeconds: 5
  readiness:
    connect: %s
---
apiVersion: plimsoll.dev/v1alpha1
kind: ScalePolicy
metadata:
  name: web
  namespace: demo
spec:
  scaleTargetRef: {kind: ProcessService, name: web}
  minReplicas: 1
  maxReplicas: 10
  metrics:
  - type: Resource
    resource:
      name: cpu
      target: {type: Utilization, averageUtilization: 70}
  behavior:
    scaleDown:
      stabilizationWindowSeconds: 45   # the usual 300 s would be long to wait for in a demo
`

// Documents returns the demo's service and policy, as a policies file would give them. program is the path of this
// program, dir the folder of the replicas' sockets, cores the number of the machine's.
func Documents(program, dir string, cores int) (*policyfile.File, error) {
	quote := func(s string) string {
		b, _ := json.Marshal(s) // a JSON string is a YAML string; strings always marshal
		return string(b)
	}
	socket := socketPath(dir, "$(REPLICA)")
	f, err := policyfile.Parse("demo", fmt.Appendf(nil, text, quote(program), quote(socket), Request(cores), quote("unix:"+socket)))
	if err != nil {
		return nil, fmt.Errorf("cannot make the demo's policies: %w", err)
	}
	return f, nil
}
