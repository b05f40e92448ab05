package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime/schema"

	scalepolicies "plimsoll.dev/plimsoll/autoscaler/kube"
	"plimsoll.dev/plimsoll/autoscaler/kube/convert"
	"plimsoll.dev/plimsoll/autoscaler/policy"
	"plimsoll.dev/plimsoll/internal/table"
)

// modeKind is a kind of object by which people say how something is to be scaled.
type modeKind struct {
	schema.GroupVersionResource
	kind  string
	names string // what people call it, beside its kind and resource
}

// policyKind has its mode in a field, the others in annotations; hpaKind alone is boosted.
var (
	policyKind = modeKind{scalepolicies.GVR(), scalepolicies.Kind, "scp"}
	hpaKind    = modeKind{resourceOf(convert.HPA()), convert.HPA().Name, "hpa"}
)

// modeKinds are those of them that have a mode.
var modeKinds = []modeKind{
	policyKind,
	hpaKind,
	{schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}, "Deployment", "deploy"},
	{schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}, "StatefulSet", "sts"},
}

// modeCommands are pause, resume, dry-run and boost.
func (a *app) modeCommands() []*cobra.Command {
	const where = "\n\nNAME is a ScalePolicy; hpa/NAME a boosted HorizontalPodAutoscaler, deployment/NAME and statefulset/NAME a workload that annotations scale."
	return []*cobra.Command{
		a.modeCommand("pause", policy.Paused, "Leave a count alone", "Have Plimsoll leave a count alone: it goes on saying what it would do."+where),
		a.modeCommand("resume", policy.Auto, "Scale again what was paused or in dry run", "Have Plimsoll scale again what was paused, or in dry run."+where),
		a.modeCommand("dry-run", policy.DryRun, "Only say what would be done", "Have Plimsoll say what it would do and do nothing. An HPA that is not boosted yet is, in dry run."+where),
		a.modeCommand("boost", "", "Raise an HPA's count sooner than the HPA does", "Have Plimsoll raise the count of an HPA sooner than the HPA does, never above its maxReplicas, and never lower it. The HPA stays in charge."),
	}
}

func (a *app) modeCommand(verb string, mode policy.Mode, short, long string) *cobra.Command {
	t, off, usual := &things{}, false, policyKind
	example := "  plimsoll " + verb + " web -n shop\n  plimsoll " + verb + " hpa/web --dry-run=server"
	if mode == "" {
		usual, example = hpaKind, "  plimsoll boost web -n shop\n  plimsoll boost web -n shop --off"
	}
	cmd := &cobra.Command{
		Use: verb + " NAME", Short: short, Long: long, Example: example,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("name one, such as 'plimsoll %s web' ('kubectl get %s' lists them)", verb, usual.names)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, name, err := modeTarget(args[0], usual)
			if err != nil {
				return err
			}
			if mode == "" && kind != hpaKind {
				return usagef("cannot boost a %s: only an HPA is boosted; what is Plimsoll's own is as fast already", kind.kind)
			}
			return a.setMode(cmd.Context(), t, &change{kind: kind, name: name, mode: mode, off: off})
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return t.names(cmd.Context(), usual.GroupVersionResource), cobra.ShellCompDirectiveNoFileComp
		},
	}
	t.flags(cmd, "server", "client")
	if mode == "" {
		cmd.Flags().BoolVar(&off, "off", false, "boost it no more")
	}
	return cmd
}

// modeTarget reads NAME, or KIND/NAME as kubectl writes it.
func modeTarget(text string, usual modeKind) (modeKind, string, error) {
	kind, name, found := strings.Cut(text, "/")
	if !found {
		kind, name = usual.names, text
	}
	i := kindNamed(kind)
	if i < 0 || name == "" || strings.Contains(name, "/") {
		return modeKind{}, "", usagef("%q: want the name of a ScalePolicy, or hpa/NAME, deployment/NAME or statefulset/NAME", text)
	}
	return modeKinds[i], name, nil
}

// kindNamed finds one of modeKinds by what people call it; -1 where it is none of them.
func kindNamed(text string) int {
	text, _, _ = strings.Cut(strings.ToLower(text), ".") // deployment.apps
	return slices.IndexFunc(modeKinds, func(k modeKind) bool {
		return slices.Contains([]string{k.names, k.Resource, strings.ToLower(k.kind)}, text)
	})
}

// kindOf is the kind that people call by this, which is any kind's own name, too; a workload's with its API group where they name one.
func kindOf(text string) string {
	if i := kindNamed(text); i >= 0 {
		k := modeKinds[i]
		_, group, named := strings.Cut(text, ".")
		if !named || k.kind == policyKind.kind || k.kind == hpaKind.kind {
			return k.kind
		}
		return k.kind + "." + strings.TrimPrefix(group, k.Version+".") // deployments.v1.apps
	}
	if slices.Contains([]string{"po", "pod", "pods"}, strings.ToLower(text)) {
		return "Pod"
	}
	return text
}

// setMode changes an object where it is not yet as it is wished, and says what follows.
func (a *app) setMode(ctx context.Context, t *things, c *change) error {
	raw, err := t.get(ctx, c.kind.GroupVersionResource, c.name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &c.now); err != nil {
		return fmt.Errorf("cannot understand the answer of %q: %w", t.server, err)
	}
	c.namespace, c.try = t.namespace, t.dryRun
	patch, err := c.patch()
	if err != nil {
		return err
	}
	c.already = patch == nil
	if patch != nil && t.dryRun != "client" {
		if err := t.ask(ctx, c.kind.GroupVersionResource, func(ctx context.Context) error {
			return t.at.Merge(ctx, c.kind.GroupVersionResource, t.namespace, c.name, patch, t.dryRun == "server")
		}); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(a.out, table.Safe(c.sentence()))
	return err
}
