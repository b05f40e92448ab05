package deps

import (
	_ "github.com/google/cadvisor/lib/cache/memory"
	_ "github.com/google/cadvisor/lib/container/containerd/install"
	_ "github.com/google/cadvisor/lib/container/crio/install"
	_ "github.com/google/cadvisor/lib/container/systemd/install"
	_ "github.com/google/cadvisor/lib/manager"
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/prometheus/client_golang/exp/api/remote"
	_ "github.com/prometheus/client_golang/prometheus"
	_ "github.com/prometheus/client_golang/prometheus/promhttp"
	_ "github.com/prometheus/exporter-toolkit/web"
	_ "github.com/prometheus/prometheus/promql"
	_ "github.com/prometheus/prometheus/tsdb"
	_ "github.com/spf13/cobra"
	_ "go.yaml.in/yaml/v3"
	_ "golang.org/x/sys/unix"
	_ "k8s.io/api/autoscaling/v2"
	_ "k8s.io/apimachinery/pkg/api/resource"
	_ "pgregory.net/rapid"
	_ "sigs.k8s.io/yaml"
)
