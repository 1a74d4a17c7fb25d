package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/seaworthy/seaworthy/node/wire"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "print the version of this program",
		Example: "  seaworthy version",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			fmt.Fprintf(cmd.OutOrStdout(), "seaworthy %s %s %s/%s\n", wire.BuildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}
