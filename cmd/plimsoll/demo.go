package main

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"plimsoll.dev/plimsoll/autoscaler/demo"
)

// demoCommand is one that Plimsoll calls itself.
func (a *app) demoCommand() *cobra.Command {
	var socket string
	cmd := &cobra.Command{Use: demo.Command, Short: "Serve one replica of the demo's service", Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := a.logger()
			if err != nil {
				return err
			}
			if !filepath.IsAbs(socket) {
				return usagef("--socket %q: want an absolute path", socket)
			}
			return demo.Serve(cmd.Context(), socket, log)
		}}
	cmd.Flags().StringVar(&socket, "socket", "", "path of the unix socket")
	return cmd
}
