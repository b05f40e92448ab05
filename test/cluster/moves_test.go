package cluster_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// life is the time between the moment a pod runs and that in which it is not there any more, in Unix seconds.
type life struct{ from, to int64 }

// TestPodThatMoves has a pod on one node, then on the other, and on the first again, with what it uses and asks for known: no moment of the history has the uses of two of its lives in a sum, its CPU is
// never more than one uses, and some seconds after each end there is nothing of it.
func TestPodThatMoves(t *testing.T) {
	ours(t)
	long(t)
	ns := namespace(t)
	account(t, ns, "collector", collecting...)
	admin := adminToken(t, ns)
	s := server(t, 8449)
	for i, node := range []string{"node1", "node2"} {
		collectorAs(t, nil, ns, node, fmt.Sprint("127.0.0.1:", 8196+i), s)
	}
	pods := shared.Client().CoreV1().Pods(ns)
	var lives []life
	for i, node := range []string{"node1", "node2", "node1"} {
		create(t, ns, "m", node, corev1.PodSpec{Containers: []corev1.Container{container("app", "100m 64Mi", "", "-cpu=50", "-memory=50")}})
		l := life{from: runs(t, ns, "m").Unix()}
		time.Sleep(time.Duration(25+i*7) * time.Second)
		if err := pods.Delete(t.Context(), "m", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		until(t, "the pod does not end", func() error {
			_, err := pods.Get(t.Context(), "m", metav1.GetOptions{})
			if apierrors.IsNotFound(err) {
				return nil
			}
			return fmt.Errorf("it is there: %w", err)
		})
		l.to = time.Now().Unix()
		if lives = append(lives, l); i > 0 {
			time.Sleep(25 * time.Second)
		}
	}
	t.Log(lives)
	all := life{lives[0].from, time.Now().Unix()}
	of := fmt.Sprintf(`{namespace=%q, pod="m"}`, ns)
	for _, c := range []struct {
		query       string
		least, most float64 // while it lives; a life's first seconds have less
		late        int64   // so many seconds after an end there is nothing of it any more
	}{
		{"sum(container_memory_working_set_bytes" + of + ") / 2^20", 0, 60, 13},
		{"sum(pod_memory_working_set_bytes" + of + ") / 2^20", 0, 60, 13},
		{fmt.Sprintf(`sum(namespace_memory_working_set_bytes{namespace=%q}) / 2^20`, ns), 0, 80, 1000}, // the collectors' pods are in it, too
		{"sum(pod_cpu_request_cores" + of + ")", 0.1, 0.1, 13},
		{"sum(increase(pod_cpu_usage_seconds_total" + of + "[30s])) / 30", 0, 0.06, 45},
	} {
		got := everySecond(t, s, admin, c.query, all)
		t.Logf("%s: %v", c.query, stretches(got, all.from))
		for _, at := range slices.Sorted(maps.Keys(got)) {
			v, after := got[at], at-all.from
			if v < c.least || v > c.most {
				t.Errorf("%s: %.3g after %d s, want %g to %g", c.query, v, after, c.least, c.most)
			}
			lives := slices.ContainsFunc(lives, func(l life) bool { return at >= l.from-10 && at <= l.to+c.late })
			if !lives && v != 0 {
				t.Errorf("%s: %.3g after %d s, when there was no such pod", c.query, v, after)
			}
		}
		if len(got) < 60 {
			t.Errorf("%s: only %d seconds have a value", c.query, len(got))
		}
	}
}

// everySecond is what a query of one series is in each second of a time, where it is anything.
func everySecond(t *testing.T, s *part, token, query string, of life) map[int64]float64 {
	t.Helper()
	body, err := s.get(fmt.Sprintf("/api/v1/query_range?query=%s&start=%d&end=%d&step=1", url.QueryEscape(query), of.from, of.to), token)
	if err != nil {
		t.Fatal(err)
	}
	var a struct {
		Data struct{ Result []struct{ Values [][2]any } }
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil || len(a.Data.Result) != 1 {
		t.Fatalf("%s: %d series (%v): %.300s", query, len(a.Data.Result), err, body)
	}
	out := map[int64]float64{}
	for _, v := range a.Data.Result[0].Values {
		n, err := strconv.ParseFloat(fmt.Sprint(v[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		out[int64(v[0].(float64))] = n
	}
	return out
}

// stretches are the seconds of equal values, as text.
func stretches(of map[int64]float64, begin int64) (out []string) {
	at := slices.Sorted(maps.Keys(of))
	for i := 0; i < len(at); {
		k := i
		for k+1 < len(at) && at[k+1] == at[k]+1 && of[at[k+1]] == of[at[i]] {
			k++
		}
		out = append(out, fmt.Sprintf("%d-%d: %.3g", at[i]-begin, at[k]-begin, of[at[i]]))
		i = k + 1
	}
	return out
}
