package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"plimsoll.dev/plimsoll/autoscaler/kube/convert"
	"plimsoll.dev/plimsoll/internal/dial"
	"plimsoll.dev/plimsoll/internal/kube"
)

func resourceOf(k convert.Kind) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: k.Group, Version: k.Version, Resource: k.Resource}
}

// things are the objects of a cluster, with a person's own rights.
type things struct {
	cluster   personOptions
	namespace string
	timeout   time.Duration
	dryRun    string
	at        *kube.Things // nil: not opened yet
	server    string
}

// flags adds the flags of commands that read or write them; tries are what --dry-run may be.
func (t *things) flags(cmd *cobra.Command, tries ...string) {
	f := cmd.Flags()
	f.StringVar(&t.cluster.kubeconfig, "kubeconfig", "", "how to reach the cluster, as for kubectl")
	f.StringVar(&t.cluster.context, "context", "", "the context of the kubeconfig; the current one if empty")
	f.StringVarP(&t.namespace, "namespace", "n", "", "the namespace; that of the context if empty")
	durationVar(f, &t.timeout, "timeout", 30*time.Second, "how long to wait for each answer of the cluster")
	usage := "server: have the API server check it, and change nothing"
	if len(tries) > 1 {
		usage += "; client: only say what would be sent"
	}
	f.StringVar(&t.dryRun, "dry-run", "", usage)
	complete(cmd, "dry-run", tries...)
	before(cmd, func() error {
		if t.dryRun != "" && t.dryRun != tries[0] && t.dryRun != tries[len(tries)-1] {
			return usagef("--dry-run %q: want %s", t.dryRun, list(tries))
		}
		return nil
	})
}

func list(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return words[0] + " or " + words[1]
}

// open reads the kubeconfig.
func (t *things) open() error {
	if t.at != nil {
		return nil
	}
	person, err := t.cluster.person()
	if err != nil {
		return err
	}
	t.namespace, t.server = cmp.Or(t.namespace, person.Namespace), dial.Redact(person.Server.String())
	t.at, err = person.Things()
	return wrongUsage(err)
}

// get reads an object, or all of the namespace.
func (t *things) get(ctx context.Context, r schema.GroupVersionResource, name string) (raw []byte, err error) {
	err = t.ask(ctx, r, func(ctx context.Context) error {
		raw, err = t.at.Get(ctx, r, t.namespace, name)
		return err
	})
	return raw, err
}

// ask has the cluster asked something of a kind, within its time.
func (t *things) ask(ctx context.Context, r schema.GroupVersionResource, f func(context.Context) error) error {
	if err := t.open(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	return t.explain(f(ctx), r)
}

// explain says what an error of the API server means here.
func (t *things) explain(err error, r schema.GroupVersionResource) error {
	var asked *url.Error
	var said apierrors.APIStatus
	switch {
	case err == nil:
		return nil
	case errors.As(err, &said) && apierrors.IsNotFound(err):
		d := said.Status().Details
		switch {
		case d == nil || d.Name == "": // not the object, its kind
			return fmt.Errorf("the cluster %q does not know %s", t.server, r.GroupResource())
		case d.Kind == "namespaces":
			return fmt.Errorf("there is no namespace %q", d.Name)
		}
		return fmt.Errorf("there is no %s %q in namespace %q", r.GroupResource(), d.Name, t.namespace)
	case errors.As(err, &said):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%q has not answered within %q; give a longer --timeout", t.server, t.timeout)
	case errors.As(err, &asked):
		return noAPIServer(t.server, asked.Err)
	}
	return err
}

// names lists what there is, for the shell to complete; nothing where the cluster does not answer soon.
func (t *things) names(ctx context.Context, r schema.GroupVersionResource) (out []cobra.Completion) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	raw, err := t.get(ctx, r, "")
	var all struct {
		Items []struct {
			Metadata struct{ Name string }
		}
	}
	if err != nil || json.Unmarshal(raw, &all) != nil {
		return nil
	}
	for _, i := range all.Items {
		out = append(out, i.Metadata.Name)
	}
	return out
}
