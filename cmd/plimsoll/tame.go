package main

import (
	"slices"

	"github.com/spf13/cobra"
)

// tame makes cobra's own commands, help and completion, refuse a word that they do not know, as all others do: they print
// the help of what they know and call that success.
func tame(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd("completion")
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Args = func(_ *cobra.Command, args []string) error {
				if found, _, err := root.Find(args); err != nil || found == root && len(args) > 0 {
					return usagef("there is no help on %q: see 'plimsoll help'", args[0])
				}
				return nil
			}
		case "completion":
			c.Args = func(_ *cobra.Command, args []string) error {
				if len(args) == 0 {
					return usagef("say for which shell: bash, zsh, fish or powershell")
				}
				return usagef("cannot complete in %q: want bash, zsh, fish or powershell", args[0])
			}
			c.RunE = func(*cobra.Command, []string) error { return nil } // Args has refused by now
		}
	}
}

// complete lets the shell complete the values of a flag. The names are fixed, so registering them cannot fail.
func complete(cmd *cobra.Command, flag string, values ...string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(slices.Clone(values), cobra.ShellCompDirectiveNoFileComp))
}
