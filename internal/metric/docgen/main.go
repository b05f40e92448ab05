// Docgen writes docs/metrics.md, the table of everything that Plimsoll measures, from the catalogue:
//
//	go run ./internal/metric/docgen > docs/metrics.md
package main

import (
	"fmt"
	"os"
	"strings"

	"plimsoll.dev/plimsoll/internal/metric"
)

func main() {
	if _, err := os.Stdout.WriteString(page()); err != nil {
		fmt.Fprintln(os.Stderr, "cannot write the page:", err)
		os.Exit(1)
	}
}

const intro = `# Metrics

<!-- Generated from internal/metric/rows.go by: go run ./internal/metric/docgen > docs/metrics.md -->

Everything that Plimsoll measures, in base units: seconds, bytes, cores, ratios. Counters only grow; what is of
interest is their rate, which is computed where they are read. Names are those of cAdvisor and kube-state-metrics
where they have one.

Every series has the labels of its entity, as far as the entity has them: ` + "`container`, `namespace`, `node`, `pod`, `workload`,\n`workload_kind`, of a pool of nodes `pool`" + `. They are names: what is made anew under its old name goes on with its series, and its counters begin again
([why](decisions/identity.md)). The labels in the first table come on top.

A container in its machine's own network has no network metrics (a pod with ` + "`hostNetwork`, `docker run --network host`" + `): what passes there is the machine's. A network that
several containers share, as those of a pod do, is one container's, so that sums have it once.

## What is measured

| Metric | Kind | Unit | What it is | Labels of its own |
|---|---|---|---|---|
`

const elsewhere = `
## The same at other levels, in InfluxDB and in Heapster

A metric exists at the levels given here; at other levels than its first its name begins with the level. In InfluxDB the
measurement is the level's name; counters have their rate beside them as a second field. Heapster's names are those of
its model API, and its values are in its own units: the factor says how.

| Metric | Also called | InfluxDB field | Rate field | Heapster | Heapster's rate |
|---|---|---|---|---|---|
`

// page returns the whole page.
func page() string {
	var b strings.Builder
	b.WriteString(intro)
	for i := range metric.Rows() {
		r := metric.Get(metric.ID(i))
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", r.Name, r.Kind, r.Unit, r.Help, labels(r))
	}
	b.WriteString(elsewhere)
	for i := range metric.Rows() {
		r := metric.Get(metric.ID(i))
		fmt.Fprintf(&b, "| %s | %s | `%s` | %s | %s | %s |\n", identity(r), others(r), r.Field, code(r.Rate),
			scaled(r.Heapster, r.Scale), scaled(r.HeapsterRate, r.RateScale))
	}
	return b.String()
}

// identity is the name with the fixed labels that tell it from others of the name.
func identity(r *metric.Row) string {
	if len(r.Fixed) == 0 {
		return code(r.Name)
	}
	return code(r.Name + "{" + r.Fixed[0].Name + "=" + `"` + r.Fixed[0].Value + `"}`)
}

// labels are the row's own: fixed ones with their value, others by name.
func labels(r *metric.Row) string {
	var out []string
	for _, f := range r.Fixed {
		out = append(out, fmt.Sprintf("`%s=%q`", f.Name, f.Value))
	}
	if r.Sub != "" {
		out = append(out, code(r.Sub))
	}
	return strings.Join(out, ", ")
}

// others are the names at the levels after the first.
func others(r *metric.Row) string {
	var out []string
	for _, l := range r.Levels[1:] {
		out = append(out, code(r.At(l)))
	}
	return strings.Join(out, ", ")
}

func scaled(name string, factor float64) string {
	if name == "" || factor == 0 || factor == 1 {
		return code(name)
	}
	return fmt.Sprintf("`%s` × %.0f", name, factor)
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}
