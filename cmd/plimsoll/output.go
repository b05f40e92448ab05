package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

// output is the -o flag of a command.
type output struct {
	format    string
	allowed   []string
	noHeaders bool
}

// flags adds -o; the first of allowed is the default.
func (o *output) flags(cmd *cobra.Command, allowed ...string) {
	o.allowed = allowed
	cmd.Flags().StringVarP(&o.format, "output", "o", allowed[0], strings.Join(allowed, ", "))
	complete(cmd, "output", allowed...)
	if slices.Contains(allowed, "csv") {
		cmd.Flags().BoolVar(&o.noHeaders, "no-headers", false, "leave the header line out")
	}
	pre := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(o.allowed, o.format) {
			return usagef("-o %q: want %s", o.format, strings.Join(o.allowed, ", "))
		}
		if pre != nil {
			return pre(cmd, args)
		}
		return nil
	}
}

// table is what a command prints for people: rows under a header, or plain lines.
type table struct {
	wide   bool
	header []string
	rows   [][]string
	lines  []string
}

// wideOnly marks header names that only -o wide shows.
const wideOnly = "\x00"

// print writes v as JSON or YAML, or what fill makes of it as a table or CSV.
func (o *output) print(w io.Writer, v any, fill func(*table)) error {
	switch o.format {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(v)
	case "yaml":
		raw, err := yaml.Marshal(v)
		if err != nil {
			return err
		}
		_, err = w.Write(raw)
		return err
	}
	t := &table{wide: o.format == "wide" || o.format == "csv"}
	fill(t)
	if o.format == "csv" {
		c := csv.NewWriter(w)
		if !o.noHeaders {
			_ = c.Write(t.columns(t.header)) // reported by Error below
		}
		for _, r := range t.rows {
			_ = c.Write(t.columns(r)) // reported by Error below
		}
		c.Flush()
		return c.Error()
	}
	for _, l := range t.lines {
		if _, err := fmt.Fprintln(w, l); err != nil {
			return err
		}
	}
	tw := tabwriter.NewWriter(w, 0, 8, 3, ' ', 0)
	if len(t.header) > 0 && !o.noHeaders {
		fmt.Fprintln(tw, strings.Join(t.columns(t.header), "\t"))
	}
	for _, r := range t.rows {
		fmt.Fprintln(tw, strings.Join(t.columns(r), "\t"))
	}
	return tw.Flush()
}

// columns drops the cells that only the wide table shows, and the mark from those that stay.
func (t *table) columns(cells []string) []string {
	out := make([]string, 0, len(cells))
	for i, c := range cells {
		if strings.HasPrefix(t.header[i], wideOnly) && !t.wide {
			continue
		}
		out = append(out, strings.TrimPrefix(c, wideOnly))
	}
	return out
}

// cores prints CPU as kubectl does: 1250m.
func cores(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.0fm", *v*1000)
}

// mebibytes prints memory as kubectl does: 512Mi.
func mebibytes(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.0fMi", *v/(1<<20))
}

// percent prints a ratio: 31%.
func percent(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", *v*100)
}

// share prints part of whole as a percentage.
func share(part, whole *float64) string {
	if part == nil || whole == nil || *whole <= 0 {
		return "-"
	}
	r := *part / *whole
	return percent(&r)
}

// count prints a whole number.
func count(v *float64) string {
	if v == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f", *v)
}

// perSecond prints bytes a second.
func perSecond(v *float64) string {
	if v == nil {
		return "-"
	}
	switch x := *v; {
	case x >= 1e6:
		return fmt.Sprintf("%.1fMB/s", x/1e6)
	case x >= 1e3:
		return fmt.Sprintf("%.1fkB/s", x/1e3)
	default:
		return fmt.Sprintf("%.0fB/s", x)
	}
}
