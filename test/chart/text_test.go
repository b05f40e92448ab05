package chart

import (
	"fmt"
	"slices"
	"testing"

	sigs "sigs.k8s.io/yaml"
)

// leaves are what is in a document, each with the key that it stands under.
func leaves(key string, of any) (out []string) {
	switch x := of.(type) {
	case map[string]any:
		for k, v := range x {
			out = append(out, leaves(k, v)...)
		}
	case []any:
		for _, v := range x {
			out = append(out, leaves(key, v)...)
		}
	case string:
		out = append(out, key+" "+x)
	default:
		out = append(out, fmt.Sprintf("%s %T %v", key, x, x))
	}
	return out
}

// A text that may be any arrives as it was given, whatever it means to YAML.
func TestTextIsLeftAsItIs(t *testing.T) {
	f := func(values string, want ...string) {
		t.Helper()
		var got []string
		for _, d := range must(t, values) {
			var object any
			if err := sigs.UnmarshalStrict([]byte(d), &object); err != nil {
				t.Errorf("%s: %v\n%s", values, err, d)
			}
			got = append(got, leaves("", object)...)
		}
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("%s: nothing is %q", values, w)
			}
		}
	}
	for _, odd := range []string{"prod #1", "prod: eu", "a, b}", `"q" 'r' \n`, "- x", "{a: b}", "&a *b !c", "über\ttab", " "} {
		q := fmt.Sprintf("%q", odd)
		f("{clusterName: "+q+", image: {repository: "+q+", tag: "+q+"}, server: {priorityClassName: "+q+"}, collector: {priorityClassName: "+q+", webConfigSecret: "+q+"}}",
			"args --cluster="+odd, "image "+odd+":"+odd, "priorityClassName "+odd, "secretName "+odd)
		f("{history: {kind: influx, influx: {url: 'https://h', org: "+q+", bucket: "+q+", collectorToken: {secret: "+q+", key: "+q+"}}}}",
			"args --influx-org="+odd, "args --influx-bucket="+odd, "secretName "+odd, "key "+odd)
		f("{history: {embedded: {persistence: {storageClass: "+q+"}}}}", "storageClassName "+odd)
		f("{history: {embedded: {persistence: {existingClaim: "+q+"}}}}", "claimName "+odd)
		f("{serviceMonitor: {enabled: true}, metricsAPI: {create: false}, customMetricsAPI: {create: false}, externalMetricsAPI: {create: false}, viewAPI: {create: false}, tls: {source: secret, existingSecret: "+q+"}}",
			"secretName "+odd, "name "+odd)
	}
	f("{collector: {queue: {hostPath: '/var/lib/a, b: c #d'}}}", "path /var/lib/a, b: c #d")
	f("{history: {kind: influx, influx: {url: 'https://h/a, b: c'}}}", "args --influx-url=https://h/a, b: c")
	f("{history: {kind: remote, remote: {url: 'https://h/a, b: c', queryURL: 'https://h/d: e'}}}", "args --history=https://h/a, b: c", "args --remote-url=https://h/a, b: c", "args --remote-query-url=https://h/d: e")
	for _, odd := range []string{"123", "true", "null", "1e3", "~"} {
		f("{history: {embedded: {persistence: {storageClass: '"+odd+"'}}}, server: {priorityClassName: '"+odd+"'}}", "storageClassName "+odd, "priorityClassName "+odd)
	}
	f("{history: {embedded: {persistence: {storageClass: '-'}}}}", "storageClassName ") // none, as charts say it: not the default one
}
