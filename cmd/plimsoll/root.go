package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"plimsoll.dev/plimsoll/cmd/plimsoll/terminal"
	"plimsoll.dev/plimsoll/cmd/plimsoll/wiring"
	"plimsoll.dev/plimsoll/internal/quiet"
	"plimsoll.dev/plimsoll/internal/table"
)

// Exit codes of every subcommand.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// streams are the process's three files.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// wrongUsage marks the error of a command that was called wrongly; nil stays nil.
func wrongUsage(err error) error {
	if err == nil {
		return nil
	}
	return &wiring.UsageError{Err: err}
}

func usagef(format string, args ...any) error { return wrongUsage(fmt.Errorf(format, args...)) }

// app is what all subcommands share.
type app struct {
	streams
	env       func(string) (string, bool)
	logLevel  string
	logFormat string
	config    string
	typed     map[string]bool // flags that are on the command line, not from a variable or a file
	plugin    bool            // this is kubectl's plugin
}

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, s streams, env func(string) (string, bool), args []string) int {
	return (&app{streams: s, env: env}).execute(ctx, args)
}

func (a *app) execute(ctx context.Context, args []string) int {
	s, root := a.streams, a.root()
	if len(args) > 0 && args[0] == "--version" { // not a flag: PLIMSOLL_VERSION is anybody's
		args = append([]string{"version"}, args[1:]...)
	}
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	var usage *wiring.UsageError
	if errors.As(err, &usage) {
		fmt.Fprintf(s.err, "plimsoll: %s\nSee '%s --help'.\n", safe(err), cmd.CommandPath())
		return exitUsage
	}
	if !errors.Is(err, errSaid) {
		fmt.Fprintf(s.err, "plimsoll: %s\n", safe(err))
	}
	return exitFailed
}

// safe is the text of an error, which may hold what a server said, fit for a terminal.
func safe(err error) string {
	lines := strings.Split(err.Error(), "\n")
	for i, l := range lines {
		lines[i] = table.Safe(strings.ReplaceAll(l, "\t", "  "))
	}
	return strings.Join(lines, "\n")
}

// errSaid is returned by a command that has printed what went wrong already.
var errSaid = errors.New("failed")

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "plimsoll",
		Short: "Container monitoring and automatic horizontal scaling",
		Long: `Plimsoll shows how loaded your containers are, adds replicas before it hurts, and says how much room is left.

Start with 'plimsoll run --demo' and open the address that it prints.`,
		SilenceUsage:               true,
		SilenceErrors:              true,
		SuggestionsMinimumDistance: 2,
		Args:                       noArgs,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE:          func(cmd *cobra.Command, _ []string) error { return a.settle(cmd) },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return wrongUsage(err) })
	f := root.PersistentFlags()
	f.StringVar(&a.config, "config", "", "YAML file with values for flags, by their names")
	f.StringVar(&a.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&a.logFormat, "log-format", "auto", "text, json, or auto: text on a terminal")
	complete(root, "log-level", "debug", "info", "warn", "error")
	complete(root, "log-format", "text", "json", "auto")
	root.AddCommand(a.runCommand(), a.collectorCommand(), a.serverCommand(), a.autoscalerCommand(), a.influxCommand(), a.dashboardsCommand(), a.topCommand(), a.explainCommand(), a.pageCommand(), a.capacityCommand(), a.fitCommand(), a.rightsizeCommand(), a.decideCommand(), a.convertCommand(), a.doctorCommand(), a.versionCommand(), a.demoCommand())
	root.AddCommand(a.modeCommands()...)
	tame(root)
	terminal.Narrow(root, a.out)
	for _, c := range root.Commands() {
		if c.Args == nil {
			c.Args = noArgs
		}
	}
	return root
}

// noArgs refuses arguments, as wrong usage.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if !cmd.HasParent() {
		text := fmt.Sprintf("unknown command %q", args[0])
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			text += fmt.Sprintf("; did you mean %q?", near[0])
		}
		return usagef("%s", text)
	}
	return usagef("%s takes no arguments, got %q", cmd.CommandPath(), args[0])
}

// logger builds the process's logger: the only place that knows where logs go.
func (a *app) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.logLevel)); err != nil {
		return nil, usagef("--log-level %q: want debug, info, warn or error", a.logLevel)
	}
	o := &slog.HandlerOptions{Level: level, ReplaceAttr: durations}
	var h slog.Handler
	switch format := a.logFormat; {
	case format == "text", format == "auto" && terminal.Is(a.err):
		h = slog.NewTextHandler(a.err, o)
	case format == "json", format == "auto":
		h = slog.NewJSONHandler(a.err, o)
	default:
		return nil, usagef("--log-format %q: want text, json or auto", a.logFormat)
	}
	log := slog.New(h)
	quiet.Standard(log)
	return log, nil
}

// durations writes them as people do, in every format: JSON's handler gives bare nanoseconds.
func durations(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// envName is the variable that stands for a flag: --web.config.file is PLIMSOLL_WEB_CONFIG_FILE.
func envName(flag string) string {
	return "PLIMSOLL_" + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(flag))
}

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
