package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/capture"
	"github.com/seaworthy/seaworthy/node/wire"
)

// captureFlags are the flags of capture.
type captureFlags struct {
	write, root, show string
	force, systemd    bool
}

func newCapture() *cobra.Command {
	var flags captureFlags
	cmd := &cobra.Command{
		Use:   "capture {-w FILE | --show FILE}",
		Short: "record all that a scan asks of this host into one file",
		Long: `Capture records every question that the sources ask of this host and every
answer, in one portable file. A scan of it, anywhere and any time, finds what a
scan of the host finds. No secret's content is in it; who can read it still
learns how the host is set up, so it is readable by you alone.`,
		Example: "  sudo seaworthy capture -w node-7.capture\n  seaworthy scan --capture node-7.capture",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			out := cmd.OutOrStdout()
			if err := flags.check(); err != nil {
				return err
			}
			if flags.show != "" {
				return showCapture(out, flags.show)
			}
			return record(cmd.Context(), out, flags)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&flags.write, "write", "w", "", "write the capture to `FILE`")
	f.StringVar(&flags.root, "root", "", "record the file tree at `DIR`, which is laid out like a host")
	f.BoolVar(&flags.force, "force", false, "overwrite FILE where it exists")
	f.BoolVar(&flags.systemd, "systemd", false, systemdHelp)
	f.StringVar(&flags.show, "show", "", "show of what host `FILE` is and what was asked, without any answer")
	return cmd
}

func (flags captureFlags) check() error {
	switch {
	case flags.write == "" && flags.show == "":
		return usagef("-w FILE says where to write, --show FILE shows what is in a capture: one of them is needed")
	case flags.show != "" && (flags.write != "" || flags.root != "" || flags.force || flags.systemd):
		return usagef("--show only reads: it goes with no other flag")
	}
	return nil
}

func record(ctx context.Context, out io.Writer, flags captureFlags) error {
	if err := mayWrite(flags.write, flags.force); err != nil {
		return err
	}
	host, err := openHost(flags.root, flags.systemd)
	if err != nil {
		return err
	}
	at := time.Now().UTC()
	recording, tape := capture.Record(host)
	facts := node.Gather(ctx, recording, at)
	tape.Header = capture.Header{Kind: capture.Recorded, At: at, Program: "seaworthy " + wire.BuildVersion()}
	if id, _, missing := node.Identity.Of(facts); missing == nil {
		tape.Header.Node = id.Name
	}
	if err := writeWhole(flags.write, tape.Write); err != nil {
		return fmt.Errorf("writing the capture: %w", err)
	}
	missing := 0
	for _, fact := range facts {
		if fact.Missing != nil {
			missing++
		}
	}
	fmt.Fprintf(out, "%s: %s, %d of them missing\n", flags.write, plural(len(facts), "fact", "facts"), missing)
	return nil
}

// mayWrite refuses a file that exists, before the work is done.
func mayWrite(name string, force bool) error {
	_, err := os.Lstat(name)
	switch {
	case force, errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("writing the capture: %w", err)
	}
	return usagef("writing the capture: %q exists; --force overwrites it", name)
}

// writeWhole writes a file that only its owner may read, whole or not at all.
func writeWhole(name string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

func showCapture(out io.Writer, name string) error {
	tape, err := readCapture(name)
	if err != nil {
		return err
	}
	s := styleOf(out, os.Getenv)
	_, err = io.WriteString(out, s.show(describe(name, tape)))
	return err
}

// describe shows of what host a capture is and what was asked, by
// name, and what became of it; never an answer.
func describe(name string, tape *capture.Tape) string {
	h := tape.Header
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", clean(name))
	line := func(title, text string) {
		if text != "" {
			fmt.Fprintf(&b, "  %-9s %s\n", title, clean(text))
		}
	}
	line("node", h.Node)
	line("kind", string(h.Kind))
	line("at", h.At.UTC().Format(time.RFC3339))
	line("by", h.Program)
	line("note", h.Note)
	for _, source := range h.Sources {
		line("from", source)
	}

	type row struct{ op, what, result string }
	var rows []row
	count := map[row]int{}
	results := map[string]int{}
	for _, e := range tape.Exchanges() {
		r := row{e.Op, anyProcess(e.What), "answered"}
		var why *node.Error
		if errors.As(e.Err, &why) {
			r.result = string(why.Code)
		}
		if count[r] == 0 {
			rows = append(rows, r)
		}
		count[r]++
		results[r.result]++
	}
	var parts []string
	for _, result := range slices.Sorted(maps.Keys(results)) {
		parts = append(parts, fmt.Sprintf("%d %s", results[result], result))
	}
	line("questions", strings.Join(parts, ", "))
	b.WriteByte('\n')
	for _, r := range rows {
		times := ""
		if n := count[r]; n > 1 {
			times = fmt.Sprintf(" (%d)", n)
		}
		fmt.Fprintf(&b, "  %-9s %-12s %s%s\n", r.op, r.result, clean(r.what), times)
	}
	return b.String()
}

var numbers = regexp.MustCompile(`/([0-9]{2,}|[02-9])(/|$)`)

// anyProcess puts N for the numbers below /proc, of processes other than the
// first, of their threads and descriptors, so that a host with many has one line.
func anyProcess(what string) string {
	if !strings.HasPrefix(what, "/proc/") {
		return what
	}
	for range 2 { // neighbours share a slash
		what = numbers.ReplaceAllString(what, "/N$2")
	}
	return what
}
