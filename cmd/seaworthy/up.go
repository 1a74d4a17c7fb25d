package main

import "github.com/spf13/cobra"

func newUp() *cobra.Command        { return &cobra.Command{Use: "up"} }
func newCollector() *cobra.Command { return &cobra.Command{Use: "collector"} }
