// Command seaworthy scans the machines under a Kubernetes cluster and shows
// whether they are what they are meant to be.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes of all commands.
const (
	exitGood    = 0
	exitBroke   = 1 // the program broke, or could not do what it was asked
	exitUsage   = 2 // it was asked for something that does not exist
	exitFailed  = 3 // a check failed
	exitUnknown = 4 // no check failed, but one is unknown

	// exitInterrupted is what a shell has of a program that Ctrl-C ended.
	exitInterrupted = 130
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run runs one command line and returns the exit code.
func run(args []string, out, errOut io.Writer) int {
	root := newRoot()
	began := false
	markRuns(root, &began)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	cmd, err := root.ExecuteC()
	if err == nil {
		return exitGood
	}
	var verdict verdictError
	if errors.As(err, &verdict) {
		return int(verdict)
	}
	s := styleOf(errOut, os.Getenv)
	fmt.Fprintf(errOut, "seaworthy: %s\n", s.show(clean(strings.TrimSpace(err.Error()))))
	var usage usageError
	if began && !errors.As(err, &usage) {
		return exitBroke
	}
	fmt.Fprintf(errOut, "%s --help shows what there is\n", cmd.CommandPath())
	return exitUsage
}

// markRuns notes in began when the function of a command begins: an error
// before that is one in the command line.
func markRuns(cmd *cobra.Command, began *bool) {
	if inner := cmd.RunE; inner != nil {
		cmd.RunE = func(c *cobra.Command, args []string) error {
			*began = true
			return inner(c, args)
		}
	}
	for _, sub := range cmd.Commands() {
		markRuns(sub, began)
	}
}

// verdictError ends a command that did its work and has bad news: the exit code.
type verdictError int

func (e verdictError) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// usageError is something in the command line that does not exist.
type usageError struct{ error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "seaworthy",
		Short: "prove that the machines under a Kubernetes cluster are what they are meant to be",
		Long: `Seaworthy looks at the operating system of a Kubernetes node and shows whether it
is what it is meant to be: how strongly its image is held immutable, which kernel
it runs, who can reach the container runtime, what the kubelet reserves.

Exit codes: 0 good, 1 the program broke, 2 usage, 3 a check failed, 4 no check
failed but one is unknown.`,
		Example:       "  seaworthy scan",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noSuchCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(noSuchFlag)
	root.AddCommand(
		newScan(),
		newCapture(),
		newChecks(),
		newExplain(),
		newProfiles(),
		newSelftest(),
		newVerity(),
		newUp(),
		newCollector(),
		newVersion(),
	)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for name, short := range map[string]string{"help": "show the help of a command", "completion": "print the script by which a shell completes command lines"} {
		if cmd, _, err := root.Find([]string{name}); err == nil {
			cmd.Short = short
		}
	}
	return root
}

// noSuchCommand refuses what is left when no command has the first argument's name.
func noSuchCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	return usagef("there is no command %q%s", args[0], meant(args[0], names))
}

// noSuchFlag words what is wrong with a flag and names the one most like it.
func noSuchFlag(cmd *cobra.Command, err error) error {
	var unknown interface{ GetSpecifiedName() string } // as pflag.NotExistError has it
	if !errors.As(err, &unknown) || strings.HasPrefix(err.Error(), "unknown shorthand") {
		return usageError{err}
	}
	var names []string
	for word := range strings.FieldsFuncSeq(cmd.Flags().FlagUsages(), func(r rune) bool { return strings.ContainsRune(" ,\n", r) }) {
		if strings.HasPrefix(word, "--") {
			names = append(names, word)
		}
	}
	name := "--" + unknown.GetSpecifiedName()
	return usagef("there is no flag %s%s", name, meant(name, names))
}
