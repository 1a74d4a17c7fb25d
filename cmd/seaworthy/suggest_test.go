package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seaworthy/seaworthy/collector/demo"
	"github.com/seaworthy/seaworthy/node/capture"
)

// captureOf writes a copy of a recorded node, changed by edit, to a file.
func captureOf(t *testing.T, name string, edit func(*capture.Tape)) string {
	t.Helper()
	tape, err := demo.Tape(name)
	if err != nil {
		t.Fatal(err)
	}
	edit(tape)
	file := filepath.Join(t.TempDir(), "node.capture")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := tape.Write(f); err != nil {
		t.Fatal(err)
	}
	return file
}

// mounted adds lines to the mount table of process 1; ROOT is the number of what
// is mounted on /.
func mounted(lines ...string) func(*capture.Tape) {
	return func(tape *capture.Tape) {
		b, err := tape.Host().ReadFile("proc/1/mountinfo", 1<<20)
		if err != nil {
			panic(err)
		}
		root := ""
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); f[4] == "/" {
				root = f[0]
			}
		}
		tape.Content("proc/1/mountinfo", string(b)+strings.ReplaceAll(strings.Join(lines, "\n"), "ROOT", root)+"\n")
	}
}

const (
	driver  = "900 ROOT 8:90 / /data/driver rw,relatime - ext4 /dev/sdz rw"
	scratch = "901 ROOT 8:91 / /data/scratch rw,relatime - ext4 /dev/sdy rw"
)

func TestSuggestedExpectationsSettleWhatTheyAreOf(t *testing.T) {
	captures := []string{captureOf(t, "composed-microos", mounted(driver)), captureOf(t, "composed-microos", mounted(driver, scratch))}
	var out, errOut bytes.Buffer
	if err := suggest(t.Context(), &out, &errOut, captures, ""); err != nil {
		t.Fatal(err)
	}
	const want = `--- /dev/null
+++ site.yaml
@@ -0,0 +1,8 @@
+name: # of your site
+expectations:
+  - for: {profile: microos}
+    owner: # who answers for it
+    reason: # why it is needed
+    review: # a day like 2027-03-01
+    mounts:
+      - path: /data/driver
`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
	if got := errOut.String(); !strings.Contains(got, "only "+captures[1]+" of 2 microos nodes show it: mounts /data/scratch") {
		t.Errorf("what one node shows: got %q", got)
	}

	// The file is refused until somebody answers for it, and then settles it.
	site := filepath.Join(t.TempDir(), "site.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(site, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text := added(out.String())
	write(text)
	if _, err := readOverlay(site); err == nil {
		t.Error("an overlay without owner, reason and review date was accepted")
	}
	text = strings.NewReplacer("# of your site", "example", "# who answers for it", "team@example.org", "# why it is needed", "driver", "# a day like 2027-03-01", "2027-03-01").Replace(text)
	write(text)
	out.Reset()
	if err := suggest(t.Context(), &out, &errOut, captures[:1], site); err != nil || out.Len() > 0 {
		t.Errorf("with the overlay: got %v and\n%s", err, out.String())
	}

	// The next suggestion goes to the end of it.
	if err := suggest(t.Context(), &out, &errOut, captures[1:], site); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"--- " + site, "@@ -6,3 +6,9 @@", "       - path: /data/driver", "+      - path: /data/scratch"} {
		if !strings.Contains(out.String(), line+"\n") {
			t.Errorf("no line %q in\n%s", line, out.String())
		}
	}
}

// added is what a diff adds.
func added(diff string) string {
	var b strings.Builder
	for line := range strings.Lines(diff) {
		if text, ok := strings.CutPrefix(line, "+"); ok && !strings.HasPrefix(line, "+++") {
			b.WriteString(text)
		}
	}
	return b.String()
}

func TestSuggestRefusesANodeThatIsNotSound(t *testing.T) {
	file := captureOf(t, "composed-flatcar", mounted("900 ROOT 0:90 / /usr rw,relatime - overlay overlay rw,lowerdir=/usr,upperdir=/var/u,workdir=/var/w"))
	err := suggest(t.Context(), &bytes.Buffer{}, &bytes.Buffer{}, []string{file}, "")
	if err == nil || !strings.Contains(err.Error(), "the node is not sound: image-read-only") {
		t.Errorf("got %v", err)
	}
}

func TestQuoteYAML(t *testing.T) {
	for text, want := range map[string]string{
		"/opt/bin/kubelet":       "/opt/bin/kubelet",
		"/opt/a b":               "'/opt/a b'",
		"/opt/it's":              "'/opt/it''s'",
		"container:control":      "'container:control'",
		"/opt/x: # no comment\n": "'/opt/x: # no comment\n'",
	} {
		if got := quoteYAML(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}
