// Package demo is the built-in demo: a small web service that burns CPU for every request (Serve), a load that rises
// and falls and is shared among the service's ready replicas (Load), and the policy that scales it (Documents). With
// it a newcomer sees replicas come and go within four minutes, for reasons that are real.
package demo
