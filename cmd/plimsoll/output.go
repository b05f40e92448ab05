package main

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"plimsoll.dev/plimsoll/internal/table"
)

// output is the -o flag of a command.
type output struct {
	format    string
	noHeaders bool
}

// flags adds -o; the first of allowed is the default.
func (o *output) flags(cmd *cobra.Command, allowed ...string) {
	cmd.Flags().StringVarP(&o.format, "output", "o", allowed[0], strings.Join(allowed, ", "))
	complete(cmd, "output", allowed...)
	if slices.Contains(allowed, "csv") {
		cmd.Flags().BoolVar(&o.noHeaders, "no-headers", false, "leave the header line out")
	}
	before(cmd, func() error {
		if !slices.Contains(allowed, o.format) {
			return usagef("-o %q: want %s", o.format, strings.Join(allowed, ", "))
		}
		return nil
	})
}

// before adds a check of flags to those that are made before a command runs; the one that was added last is made first.
func before(cmd *cobra.Command, check func() error) {
	then := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if err := check(); err != nil || then == nil {
			return err
		}
		return then(cmd, args)
	}
}

// namespaceFlags adds kubectl's flags for one namespace or all, which is what is shown without them.
func namespaceFlags(cmd *cobra.Command, namespace *string) {
	f := cmd.Flags()
	f.StringVarP(namespace, "namespace", "n", "", "only this namespace")
	all := f.BoolP("all-namespaces", "A", false, "all namespaces, as without -n")
	before(cmd, func() error {
		if *all && *namespace != "" {
			return usagef("give -A or -n %q, not both", *namespace)
		}
		return nil
	})
}

// print writes v as JSON or YAML, or as the table that fill makes, or its CSV.
func (o *output) print(w io.Writer, v any, fill func() *table.Table) error {
	switch o.format {
	case "json":
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetIndent("", "  ")
		if err := e.Encode(v); err != nil {
			return err
		}
		_, err := w.Write(table.JSON(b.Bytes()))
		return err
	case "yaml":
		raw, err := yaml.Marshal(v)
		if err != nil {
			return err
		}
		_, err = w.Write(raw)
		return err
	case "csv":
		return fill().CSV(w, !o.noHeaders)
	}
	return fill().Write(w, o.format == "wide", !o.noHeaders)
}
