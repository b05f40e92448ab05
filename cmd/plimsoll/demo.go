package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"plimsoll.dev/plimsoll/autoscaler/demo"
)

// hiddenCommands are those that Plimsoll calls itself.
func hiddenCommands(a *app) []*cobra.Command {
	var o demo.ServeOptions
	serve := &cobra.Command{Use: demo.Command, Short: "Serve one replica of the demo's service", Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := a.logger()
			if err != nil {
				return err
			}
			if o.Socket == "" || !filepath.IsAbs(o.Socket) {
				return usagef("--socket %q: want an absolute path", o.Socket)
			}
			o.Logger = log
			return demo.Serve(cmd.Context(), o)
		}}
	serve.Flags().StringVar(&o.Socket, "socket", "", "path of the unix socket")
	return []*cobra.Command{serve}
}
