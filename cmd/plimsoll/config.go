package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"plimsoll.dev/plimsoll/internal/disk"
)

// settle gives flags that were not on the command line their value: from PLIMSOLL_* variables, else from the file
// given by --config.
func (a *app) settle(cmd *cobra.Command) error {
	flags := cmd.Flags()
	if v, ok := a.env(envName("config")); ok && !flags.Changed("config") {
		a.config = v
	}
	file, err := readConfig(a.config, cmd.Root())
	if err != nil {
		return err
	}
	var bad error
	a.typed = map[string]bool{}
	flags.VisitAll(func(f *pflag.Flag) {
		a.typed[f.Name] = f.Changed
		if f.Changed || f.Name == "config" || bad != nil {
			return
		}
		if v, ok := a.env(envName(f.Name)); ok {
			for _, one := range valuesOf(f, v) {
				if err := flags.Set(f.Name, one); err != nil {
					bad = usagef("%s=%q: %w", envName(f.Name), v, err)
				}
			}
			return
		}
		for _, v := range file[f.Name] {
			if err := flags.Set(f.Name, v.Value); err != nil {
				bad = usagef("%s:%d: %s: %q: %w", a.config, v.Line, f.Name, v.Value, err)
			}
		}
	})
	return bad
}

// valuesOf are the values that a variable has for a flag: several, with commas, for one that may be repeated, as a variable is there once.
func valuesOf(f *pflag.Flag, v string) []string {
	if _, repeated := f.Value.(pflag.SliceValue); !repeated {
		return []string{v}
	}
	var out []string
	for one := range strings.SplitSeq(v, ",") {
		if one = strings.TrimSpace(one); one != "" {
			out = append(out, one)
		}
	}
	return out
}

// readConfig reads a YAML mapping of flag names to values (a list for a flag that may be repeated). A name that no
// command has is an error.
func readConfig(path string, root *cobra.Command) (map[string][]*yaml.Node, error) {
	if path == "" {
		return nil, nil
	}
	text, err := disk.ReadGiven(path)
	if err != nil {
		return nil, usagef("cannot read --config: %w", err)
	}
	return parseConfig(bytes.NewReader(text), path, root)
}

// parseConfig reads the text of a file of the given name.
func parseConfig(text io.Reader, path string, root *cobra.Command) (map[string][]*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.NewDecoder(text).Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, usagef("cannot read --config %q: %w", path, err)
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		return nil, usagef("%s:%d:%d: want a mapping of flag names to values", path, top.Line, top.Column)
	}
	out := map[string][]*yaml.Node{}
	for i := 0; i+1 < len(top.Content); i += 2 {
		key, value := top.Content[i], top.Content[i+1]
		if !hasFlag(root, key.Value) {
			return nil, usagef("%s:%d:%d: no command has a flag %q", path, key.Line, key.Column, key.Value)
		}
		if out[key.Value] != nil {
			return nil, usagef("%s:%d:%d: %q is there twice", path, key.Line, key.Column, key.Value)
		}
		values := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			values = value.Content
		}
		for _, v := range values {
			if v.Kind != yaml.ScalarNode {
				return nil, usagef("%s:%d:%d: %q wants a plain value", path, v.Line, v.Column, key.Value)
			}
		}
		out[key.Value] = values
	}
	return out, nil
}

// hasFlag says whether any command has the flag.
func hasFlag(cmd *cobra.Command, name string) bool {
	return cmd.Flag(name) != nil || slices.ContainsFunc(cmd.Commands(), func(c *cobra.Command) bool { return hasFlag(c, name) })
}

var errInterrupted = errors.New("interrupted")

// fileArg opens a file that a flag names; "-" is standard input. It is read until the context ends: a terminal or a pipe may have
// nothing for ever. A read that is under way then is left alone, as nothing ends it but the process, which is about to.
func (a *app) fileArg(ctx context.Context, path string) (io.ReadCloser, error) {
	if _, err := os.Stat(path); path != "-" && err != nil {
		return nil, fmt.Errorf("cannot open %q: %w", path, err)
	}
	out, to := io.Pipe()
	go func() {
		in := io.NopCloser(a.in)
		if path != "-" {
			f, err := os.Open(path) // which a pipe that nobody writes to keeps waiting
			if err != nil {
				to.CloseWithError(fmt.Errorf("cannot open %q: %w", path, err))
				return
			}
			in = f
		}
		_, err := io.Copy(to, in)
		to.CloseWithError(errors.Join(err, in.Close()))
	}()
	context.AfterFunc(ctx, func() { to.CloseWithError(errInterrupted) })
	return out, nil
}
