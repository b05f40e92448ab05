// Package kube makes the autoscaler act in Kubernetes: the policies are ScalePolicies, and HorizontalPodAutoscalers that are to be
// boosted; counts are read and written through the scale subresource; what is decided is told in each policy's status, and by Events.
//
// A target that another scaler owns is left alone. Which policies are in force is settled by one pure function, settle.
package kube
