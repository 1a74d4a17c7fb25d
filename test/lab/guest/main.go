//go:build linux

// Command guest is process 1 of a laboratory guest.
package main

import (
	"os"

	"github.com/seaworthy/seaworthy/test/lab"
)

func main() { lab.Guest(os.Args) }
