//go:build linux

// Command judge judges reports of agents as a collector does and writes one line
// for each check. The tests of mutations build it from an edited source.
package main

import (
	"fmt"
	"os"

	"github.com/seaworthy/seaworthy/test/lab"
)

func main() {
	for _, name := range os.Args[1:] {
		b, err := os.ReadFile(name)
		if err == nil {
			r, judgeErr := lab.Judge(b)
			if err = judgeErr; err == nil {
				_, err = os.Stdout.WriteString(lab.Outcomes(r))
			}
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "judging %s: %v\n", name, err)
			os.Exit(1)
		}
	}
}
