package metricsapi

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/metrics/pkg/apis/metrics"
)

// newTable is an empty table with metrics-server's columns.
func newTable(o runtime.Object) *metav1.Table {
	t := &metav1.Table{Rows: []metav1.TableRow{}}
	if opts, ok := o.(*metav1.TableOptions); ok && opts.NoHeaders {
		return t
	}
	t.ColumnDefinitions = []metav1.TableColumnDefinition{
		{Name: "Name", Type: "string", Format: "name", Description: "Name of the resource"},
		{Name: "cpu", Type: "string", Format: "quantity", Description: "CPU in use, in cores: the mean over the window"},
		{Name: "memory", Type: "string", Format: "quantity", Description: "Memory in use: the working set at the end of the window"},
		{Name: "Window", Type: "string", Format: "duration", Description: "Time that the CPU's mean covers"},
	}
	return t
}

func addRow(t *metav1.Table, o runtime.Object, name string, cpu, memory resource.Quantity, window time.Duration) {
	t.Rows = append(t.Rows, metav1.TableRow{Cells: []any{name, cpu.String(), memory.String(), window.String()}, Object: runtime.RawExtension{Object: o}})
}

// ConvertToTable implements rest.TableConvertor.
func (podStorage) ConvertToTable(_ context.Context, o, opts runtime.Object) (*metav1.Table, error) {
	if l, ok := o.(*podList); ok {
		o = l.objects()
	}
	t := newTable(opts)
	switch o := o.(type) {
	case *metrics.PodMetrics:
		addPod(t, o)
	case *metrics.PodMetricsList:
		for i := range o.Items {
			addPod(t, &o.Items[i])
		}
	default:
		return nil, fmt.Errorf("cannot make a table of a %T", o)
	}
	return t, nil
}

// addPod adds a pod with the sum of its containers.
func addPod(t *metav1.Table, p *metrics.PodMetrics) {
	var cpu, memory resource.Quantity
	for i := range p.Containers {
		cpu.Add(*p.Containers[i].Usage.Cpu())
		memory.Add(*p.Containers[i].Usage.Memory())
	}
	addRow(t, p, p.Name, cpu, memory, p.Window.Duration)
}

// ConvertToTable implements rest.TableConvertor.
func (nodeStorage) ConvertToTable(_ context.Context, o, opts runtime.Object) (*metav1.Table, error) {
	t := newTable(opts)
	add := func(n *metrics.NodeMetrics) {
		addRow(t, n, n.Name, *n.Usage.Cpu(), *n.Usage.Memory(), n.Window.Duration)
	}
	switch o := o.(type) {
	case *metrics.NodeMetrics:
		add(o)
	case *metrics.NodeMetricsList:
		for i := range o.Items {
			add(&o.Items[i])
		}
	default:
		return nil, fmt.Errorf("cannot make a table of a %T", o)
	}
	return t, nil
}
