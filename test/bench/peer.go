package main

import (
	"context"
	"flag"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/google/cadvisor/lib/cache/memory"
	"github.com/google/cadvisor/lib/container"
	"github.com/google/cadvisor/lib/manager"
	"github.com/google/cadvisor/lib/model"
	"github.com/google/cadvisor/lib/utils/sysfs"
)

// cadvisorAlone is the peer: cAdvisor's library with the metrics that kubelet asks for, reading every second, nothing
// else in the process.
func cadvisorAlone(interval time.Duration) error {
	// The library's settings are flags of the process.
	for name, value := range map[string]string{"housekeeping_interval": interval.String(), "max_housekeeping_interval": interval.String(), "allow_dynamic_housekeeping": "false", "logtostderr": "true"} {
		if flag.Lookup(name) != nil {
			if err := flag.Set(name, value); err != nil {
				return err
			}
		}
	}
	allow := false
	metrics := container.MetricSet{container.CpuUsageMetrics: {}, container.MemoryUsageMetrics: {}, container.DiskIOMetrics: {},
		container.NetworkUsageMetrics: {}, container.ProcessMetrics: {}, container.OOMMetrics: {}}
	m, err := manager.New(memory.New(2*time.Minute, nil), sysfs.NewRealSysFs(), manager.HousekeepingConfig{Interval: &interval, AllowDynamic: &allow},
		metrics, []string{"/"}, nil, "", 0)
	if err != nil {
		return err
	}
	if err := m.Start(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	<-ctx.Done()
	seen, err := m.GetRequestedContainersInfo("/", model.RequestOptions{IdType: model.TypeName, Count: 1, Recursive: true})
	if err != nil && len(seen) == 0 {
		return err
	}
	fmt.Printf("%d entities\n", len(seen))
	return m.Stop()
}
