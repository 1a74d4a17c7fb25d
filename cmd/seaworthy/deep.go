package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/seaworthy/seaworthy/node"
	"github.com/seaworthy/seaworthy/node/deep"
)

// deepFlags are the flags of what reads an image again.
type deepFlags struct {
	deep  bool
	limit string
}

func (flags *deepFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&flags.deep, "deep", false, "read every block of the verified image again, from below dm-verity, and prove it here; it takes as long as the disk needs, at idle priority")
	cmd.Flags().StringVar(&flags.limit, "deep-limit", "", "read at most `RATE` for --deep, such as 50MiB/s; otherwise as fast as can be")
}

// ask has questions about the image answered by reading it, until ctx ends.
func (flags deepFlags) ask(ctx context.Context, host *node.Host, errOut io.Writer) (*progress, error) {
	limit, err := parseRate("--deep-limit", flags.limit)
	switch {
	case err != nil:
		return nil, err
	case !flags.deep && limit > 0:
		return nil, usagef("--deep-limit is of --deep, which is not there")
	case !flags.deep:
		return nil, nil
	}
	p := newProgress(errOut)
	deep.Ask(ctx, host, "/", deep.Options{Limit: limit, Progress: p.tell})
	return p, nil
}

// interruptible is done at Ctrl-C or SIGTERM; a second one ends the program at
// once, as a disk that hangs would need.
func interruptible(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(parent, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

var rate = regexp.MustCompile(`^([0-9]{1,12}) ?([KMG]i?)?B?(?:/s)?$`)

// parseRate reads how many bytes a second are meant; 0 for none.
func parseRate(flag, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	f := rate.FindStringSubmatch(text)
	if f == nil {
		return 0, usagef("%s %q: it is a number of bytes a second like 50MiB/s", flag, text)
	}
	n, _ := strconv.ParseInt(f[1], 10, 64)
	n *= map[string]int64{"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}[f[2]]
	const least = 64 << 10
	if n < least || n > 1<<50 {
		return 0, usagef("%s %q: it is at least %d bytes a second", flag, text, least)
	}
	return n, nil
}

// progress shows how far a reading is: a line that is written anew on a terminal,
// and nothing elsewhere. A nil one shows nothing.
type progress struct {
	out   io.Writer
	style style
	now   func() time.Time
	what  string
	began time.Time
	shown time.Time
	line  int // how long the line is that is shown
}

// every is how often the line is written.
const every = 200 * time.Millisecond

func newProgress(out io.Writer) *progress {
	if f, ok := out.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) || os.Getenv("TERM") == "dumb" {
		return &progress{}
	}
	return &progress{out: out, style: styleOf(out, os.Getenv), now: time.Now}
}

// tell is told how many bytes of how many were read of something.
func (p *progress) tell(what string, done, total int64) {
	if p == nil || p.out == nil {
		return
	}
	at := p.now()
	if what != p.what {
		p.what, p.began, p.shown = what, at, time.Time{}
	}
	if at.Sub(p.shown) < every && done != total {
		return
	}
	p.shown = at
	p.show(p.words(done, total, at.Sub(p.began)))
}

// words are the line: a bar, how much of how much, how fast, how long yet.
func (p *progress) words(done, total int64, since time.Duration) string {
	parts := []string{clean(p.what), binarySize(done)}
	speed := 0.0
	if since >= every {
		speed = float64(done) / since.Seconds()
	}
	if total > 0 {
		const width = 20
		full := int(done * width / total)
		parts = []string{
			clean(p.what),
			"[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "]",
			fmt.Sprintf("%3d%%", done*100/total),
			binarySize(done) + " of " + binarySize(total),
		}
	}
	if speed > 0 {
		parts = append(parts, binarySize(int64(speed))+"/s")
		if total > 0 {
			left := time.Duration(float64(total-done) / speed * float64(time.Second))
			parts = append(parts, left.Round(time.Second).String()+" left")
		}
	}
	return strings.Join(parts, "  ")
}

func (p *progress) show(line string) {
	line = p.style.show(line)
	if runes := []rune(line); len(runes) >= p.style.width {
		line = string(runes[:p.style.width-1]) // a longer one would not be written over
	}
	fmt.Fprintf(p.out, "\r%s", pad(line, p.line))
	p.line = length(line)
}

// end takes the line away.
func (p *progress) end() {
	if p != nil && p.line > 0 {
		fmt.Fprintf(p.out, "\r%s\r", strings.Repeat(" ", p.line))
		p.line = 0
	}
}

// binarySize is a number of bytes for people.
func binarySize(n int64) string {
	f, unit := float64(n), ""
	for _, unit = range []string{"B", "KiB", "MiB", "GiB", "TiB"} {
		if f < 1024 || unit == "TiB" {
			break
		}
		f /= 1024
	}
	if f < 10 && unit != "B" {
		return fmt.Sprintf("%.1f %s", f, unit)
	}
	return fmt.Sprintf("%.0f %s", f, unit)
}
