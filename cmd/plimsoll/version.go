package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"plimsoll.dev/plimsoll/internal/table"
)

// version and commit are set by the linker (-X main.version=...); without it the module's own build information is used.
var version, commit string

// build says what this binary is.
type build struct {
	Schema   string `json:"schema"` // plimsoll.dev/version/v1
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func thisBuild() build {
	v, revision := version, commit
	if info, ok := debug.ReadBuildInfo(); ok {
		v = cmp.Or(v, info.Main.Version)
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = cmp.Or(revision, s.Value)
			}
		}
	}
	return build{"plimsoll.dev/version/v1", cmp.Or(v, "(devel)"), cmp.Or(revision, "unknown"), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
}

func (a *app) versionCommand() *cobra.Command {
	var out output
	cmd := &cobra.Command{
		Use: "version", Short: "Print version, commit, Go and platform",
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			return out.print(a.out, b, func() *table.Table {
				return &table.Table{Lines: []string{fmt.Sprintf("plimsoll %s (commit %s, %s, %s)", b.Version, b.Commit, b.Go, b.Platform)}}
			})
		},
	}
	out.flags(cmd, "table", "json", "yaml")
	return cmd
}
