package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/autoscaler/policy/casefile"
	"plimsoll.dev/plimsoll/internal/table"
)

func (a *app) decideCommand() *cobra.Command {
	var file string
	var out output
	cmd := &cobra.Command{
		Use: "decide -f CASE.yaml", Short: "Run the scaling brain on a written case",
		Long: `Run the scaling brain on written cases: YAML or JSON documents with a policy, a target, its pods and what they use. No
cluster is needed, nothing is changed. With -o json there is one line for each document.`,
		Example: "  plimsoll decide -f case.yaml -o json\n  cat case.yaml | plimsoll decide -f -",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return usagef("give the case with -f, such as -f case.yaml, or -f - for standard input")
			}
			in, err := a.fileArg(cmd.Context(), file)
			if err != nil {
				return err
			}
			defer in.Close()
			if out.format == "json" {
				err = casefile.Run(in, a.out)
			} else {
				err = casefile.Each(in, func(d policy.Decision) error { return a.printDecision(out, d) })
			}
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", "the cases; - for standard input")
	out.flags(cmd, "table", "json", "yaml")
	return cmd
}

// printDecision prints a decision for people, or as a YAML document.
func (a *app) printDecision(out output, d policy.Decision) error {
	if out.format == "yaml" {
		if _, err := fmt.Fprintln(a.out, "---"); err != nil {
			return err
		}
	}
	return out.print(a.out, d, func() *table.Table { return &table.Table{Lines: d.Lines(string(d.Action))} })
}
