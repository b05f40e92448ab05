package kube

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// lock is an API server that answers as told: the faults of a real one are not to be had at will.
type lock struct {
	resourcelock.Interface
	err  error
	wait time.Duration
}

func (l *lock) Identity() string { return "us" }

func (l *lock) Update(context.Context, resourcelock.LeaderElectionRecord) error {
	time.Sleep(l.wait)
	return l.err
}

// Who holds the lease may write for some time after each renewal was asked for, and not a moment longer, whatever became of its calls.
func TestLeaseIsOverInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &lock{}
		l := &Lease{opts: LeaseOptions{Identity: "us", Namespace: "ns", Name: "it"}, lock: &renewals{Interface: api}}
		l.lock.newest.Store(new(time.Now()))
		told := func(what, want string) {
			t.Helper()
			c := l.Conditions(time.Now())
			if (len(c) == 0) != (want == "") || len(c) > 0 && !strings.Contains(c[0].Message, want) {
				t.Errorf("%s: told %+v, want %q", what, c, want)
			}
		}
		may := func(what string, want string) {
			t.Helper()
			if err := l.MayWrite(); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", what, err, want)
			}
		}
		renew := func(holder string) {
			_ = l.lock.Update(t.Context(), resourcelock.LeaderElectionRecord{HolderIdentity: holder})
		}
		may("before all", "nobody holds")
		renew("us")
		may("held", "")
		time.Sleep(believed - 1)
		may("still held", "")
		api.err = errors.New("the API server is away")
		renew("us")
		l.holder = "us"
		time.Sleep(time.Nanosecond)
		may("not renewed", "could not be renewed in time")
		api.err, api.wait = nil, 3*time.Second
		renew("us") // it counts from when it was asked for
		time.Sleep(believed - 3*time.Second)
		may("renewed late", "could not be renewed")
		api.wait = 0
		renew("us")
		may("again", "")
		held := time.Now()
		time.Sleep(leaseFor + renewUntil - 1)
		told("not renewed for a moment", "")
		time.Sleep(time.Nanosecond)
		told("not renewed", "the lease could not be renewed in time (ns/it): nothing is scaled")
		if c := l.Conditions(time.Now()); len(c) == 1 && !c[0].Since.Equal(held) {
			t.Errorf("since %v, want %v", c[0].Since, held)
		}
		renew("us")
		told("renewed", "")
		renew("")
		may("given back", "could not be renewed")
		l.holder = "them"
		may("another's", "them holds the lease")
		time.Sleep(time.Hour)
		told("another's", "")
		if leaseFor-believed < 2*time.Second || believed <= renewUntil {
			t.Errorf("a lease of %s that is believed for %s and renewed until %s", leaseFor, believed, renewUntil)
		}
	})
}

// oneLease is an API server with a lease, of which the next call hangs if that is said.
type oneLease struct {
	hangs atomic.Bool
	body  []byte
}

// RoundTrip implements http.RoundTripper.
func (l *oneLease) RoundTrip(r *http.Request) (*http.Response, error) {
	if l.hangs.Swap(false) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	out := &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Request: r}
	switch {
	case r.Method != http.MethodGet:
		l.body, _ = io.ReadAll(r.Body)
	case l.body == nil:
		out.StatusCode = http.StatusNotFound
		out.Body = io.NopCloser(strings.NewReader(`{"kind":"Status","apiVersion":"v1","status":"Failure","code":404,"reason":"NotFound"}`))
		return out, nil
	}
	out.Body = io.NopCloser(strings.NewReader(string(l.body)))
	return out, nil
}

// A call that hangs keeps nobody from the lease, nor loses it.
func TestLeaseOutlivesACallThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &oneLease{}
		api.hangs.Store(true)
		config := &rest.Config{Host: "http://127.0.0.1:1", Transport: api}
		config.ContentType = "application/json"
		l, err := NewLease(LeaseOptions{Config: config, Namespace: "ns", Name: "it", Identity: "us", Registerer: prometheus.NewRegistry()})
		if err != nil {
			t.Fatal(err)
		}
		if config.Timeout != 0 {
			t.Error("the caller's config was changed")
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		time.Sleep(leaseFor)
		for second := range 40 {
			if err := l.MayWrite(); err != nil {
				t.Fatalf("second %d: %v", second, err)
			}
			if second == 20 {
				api.hangs.Store(true)
			}
			time.Sleep(time.Second)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
