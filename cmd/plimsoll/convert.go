package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"plimsoll.dev/plimsoll/autoscaler/kube/convert"
	"plimsoll.dev/plimsoll/cmd/plimsoll/terminal"
	"plimsoll.dev/plimsoll/internal/table"
)

// convertOptions are the flags of convert.
type convertOptions struct {
	things
	file string
	out  output
}

func (a *app) convertCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "convert", Short: "Print the ScalePolicy of an HPA or of KEDA's ScaledObject",
		Args: cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("cannot convert %q: want hpa or scaledobject", args[0])
			}
			return usagef("say what to convert: hpa or scaledobject")
		},
	}
	cmd.AddCommand(a.convertOf("hpa", "a HorizontalPodAutoscaler", convert.HPA()), a.convertOf("scaledobject", "a ScaledObject of KEDA", convert.ScaledObject()))
	return cmd
}

func (a *app) convertOf(name, what string, kind convert.Kind) *cobra.Command {
	o := &convertOptions{}
	aliases := slices.DeleteFunc([]string{kind.Resource, strings.ToLower(kind.Name)}, func(s string) bool { return s == name })
	cmd := &cobra.Command{
		Use: name + " [NAME]", Short: "Print the ScalePolicy of " + what, Aliases: aliases,
		Long: `Print the ScalePolicy of ` + what + `, or of all in a namespace or a file. Nothing is changed.

What cannot be converted is told, the rest is printed all the same, and the exit code is 1. What could not be carried over, and what changes its meaning, is told on standard error, a line for each field, and in YAML above the policy too. With
--dry-run=server the API server is asked whether it takes each policy.`,
		Example: "  plimsoll convert " + name + " web -n shop\n  plimsoll convert " + name + " -f old.yaml > policies.yaml\n  plimsoll convert " + name + " -n shop --dry-run=server",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			return a.convert(cmd.Context(), o, kind, name)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return o.names(cmd.Context(), resourceOf(kind)), cobra.ShellCompDirectiveNoFileComp
		},
	}
	o.flags(cmd, "server")
	cmd.Flags().StringVarP(&o.file, "file", "f", "", "a file with the objects, in place of the cluster; - for standard input")
	o.out.flags(cmd, "yaml", "json")
	return cmd
}

// convert prints what comes of all that is found, or has the API server try it.
func (a *app) convert(ctx context.Context, o *convertOptions, kind convert.Kind, name string) error {
	objects, where, err := a.toConvert(ctx, o, kind, name)
	if err != nil {
		return err
	}
	var done []convert.Result
	found := 0
	for _, x := range objects {
		switch {
		case x.Err != nil:
			fmt.Fprintf(a.err, "plimsoll: %s\n", table.Safe(x.Err.Error()))
			found++
			continue
		case !kind.Is(&x):
			fmt.Fprintf(a.err, "plimsoll: %s\n", table.Safe(fmt.Sprintf("%s %q is no %s and was passed over", x.Kind, x.Metadata.Name, kind.Name)))
			continue
		case name != "" && x.Metadata.Name != name:
			continue
		}
		found++
		r := kind.Convert(x)
		if r.Err != nil {
			fmt.Fprintf(a.err, "plimsoll: %s\n", table.Safe(fmt.Sprintf("cannot convert %s: %v", r.What(), r.Err)))
		}
		if r.Err != nil || o.out.format != "yaml" || o.dryRun != "" || !terminal.Is(a.out) {
			for _, n := range r.Notes {
				fmt.Fprintf(a.err, "plimsoll: %s\n", table.Safe(fmt.Sprintf("%s: %s", r.What(), n)))
			}
		}
		if r.Err == nil {
			done = append(done, r)
		}
	}
	var left error
	if n := found - len(done); n > 0 {
		left = fmt.Errorf("%d of %d could not be converted", n, found)
	}
	switch {
	case found == 0 && name != "":
		return fmt.Errorf("there is no %s %q in %s", kind.Name, name, where)
	case found == 0:
		return fmt.Errorf("there is no %s in %s", kind.Name, where)
	case len(done) == 0:
		return left
	case o.dryRun != "":
		return errors.Join(a.try(ctx, o, done), left)
	}
	return errors.Join(a.printPolicies(o, done), left)
}

// toConvert reads the file, or asks the cluster.
func (a *app) toConvert(ctx context.Context, o *convertOptions, kind convert.Kind, name string) (objects []convert.Object, where string, err error) {
	if o.file != "" {
		in, err := a.fileArg(ctx, o.file)
		if err != nil {
			return nil, "", err
		}
		defer in.Close()
		if objects, err = convert.Read(in); err != nil {
			return nil, "", fmt.Errorf("%s: %w", o.file, err)
		}
		for i := range objects {
			if err := objects[i].Err; err != nil {
				objects[i].Err = fmt.Errorf("%s: %w", o.file, err)
			}
		}
		return objects, fmt.Sprintf("%q", o.file), nil
	}
	raw, err := o.get(ctx, resourceOf(kind), name)
	if err != nil {
		return nil, "", err
	}
	return convert.Take(raw), fmt.Sprintf("namespace %q", o.namespace), nil
}

// try asks the API server whether it takes the policies, and tells its answers.
func (a *app) try(ctx context.Context, o *convertOptions, all []convert.Result) error {
	if err := o.open(); err != nil {
		return err
	}
	refused := 0
	for _, r := range all {
		p := r.Policy
		p.Metadata.Namespace = cmp.Or(p.Metadata.Namespace, o.namespace)
		answer := "is taken (server dry run)"
		if err := o.ask(ctx, policyKind.GroupVersionResource, func(ctx context.Context) error {
			return o.at.Apply(ctx, policyKind.GroupVersionResource, p.Metadata.Namespace, p.Metadata.Name, p, true)
		}); err != nil {
			answer, refused = "is refused: "+err.Error(), refused+1
		}
		fmt.Fprintf(a.out, "%s\n", table.Safe(fmt.Sprintf("ScalePolicy %q in namespace %q %s", p.Metadata.Name, p.Metadata.Namespace, answer)))
	}
	if refused > 0 {
		return fmt.Errorf("%d of %d policies are refused", refused, len(all))
	}
	return nil
}

// printPolicies prints them, in JSON several as a list, which kubectl takes.
func (a *app) printPolicies(o *convertOptions, all []convert.Result) error {
	if o.out.format == "json" {
		var v any = all[0].Policy
		if len(all) > 1 {
			items := make([]any, len(all))
			for i := range all {
				items[i] = all[i].Policy
			}
			v = map[string]any{"apiVersion": "v1", "kind": "List", "items": items}
		}
		return o.out.print(a.out, v, nil)
	}
	var b bytes.Buffer
	for _, r := range all {
		fmt.Fprintf(&b, "---\n# From %s, which goes before: delete it once this is there and the autoscaler is on (autoscaler.mode); in dry run nobody would scale then.\n", table.Safe(r.What()))
		for _, n := range r.Notes {
			fmt.Fprintf(&b, "# %s\n", table.Safe(n.String()))
		}
		raw, err := yaml.Marshal(r.Policy)
		if err != nil {
			return err
		}
		b.Write(raw)
	}
	_, err := io.Copy(a.out, &b)
	return err
}
