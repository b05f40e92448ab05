// Package convert makes ScalePolicies of what scales in a cluster already: HorizontalPodAutoscalers and KEDA's ScaledObjects. It says of each what
// could not be carried over, and why. It asks nobody: objects go in as text, policies and notes come out.
package convert
