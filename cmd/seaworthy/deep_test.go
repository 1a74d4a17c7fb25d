package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestParseRate(t *testing.T) {
	for text, want := range map[string]int64{"": 0, "50MiB/s": 50 << 20, "50Mi": 50 << 20, "1 GiB/s": 1 << 30, "100MB/s": 1e8, "65536": 65536, "64KiB": 65536, "70000B/s": 70000} {
		if got, err := parseRate("--limit", text); err != nil || got != want {
			t.Errorf("%q: got %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"fast", "-1", "50MiB/h", "0", "1KiB/s", "MiB", "1e9", "9999999999999MiB", "999999999999GiB", "5 0MiB"} {
		if got, err := parseRate("--limit", text); err == nil {
			t.Errorf("%q: got %d, want an error", text, got)
		}
	}
}

// The line is written anew on a terminal, shorter than it is wide, and taken away
// at the end; elsewhere there is none.
func TestProgress(t *testing.T) {
	var out bytes.Buffer
	at := time.Unix(0, 0)
	p := &progress{out: &out, style: style{width: 60}, now: func() time.Time { return at }}
	p.tell("usr", 0, 1<<30)
	at = at.Add(50 * time.Millisecond)
	p.tell("usr", 1<<20, 1<<30) // too soon
	at = at.Add(950 * time.Millisecond)
	p.tell("usr", 256<<20, 1<<30)
	at = at.Add(time.Second)
	p.tell("/sysroot/ostree/repo/objects", 5<<20, 0)
	at = at.Add(time.Second)
	p.tell("/sysroot/ostree/repo/objects", 15<<20, 0)
	p.end()
	p.end()
	var lines []string
	for line := range strings.SplitSeq(out.String(), "\r") {
		lines = append(lines, strings.TrimRight(line, " "))
	}
	want := []string{"",
		"usr  [....................]    0%  0 B of 1.0 GiB",
		"usr  [#####...............]   25%  256 MiB of 1.0 GiB  256",
		"/sysroot/ostree/repo/objects  5.0 MiB",
		"/sysroot/ostree/repo/objects  15 MiB  15 MiB/s",
		"", ""}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	if w := (&progress{}).words(256<<20, 1<<30, time.Second); !strings.HasSuffix(w, "256 MiB/s  3s left") {
		t.Errorf("got %q", w)
	}
	var nobody *progress
	nobody.tell("usr", 1, 2)
	nobody.end()
	out.Reset()
	quiet := newProgress(&out)
	quiet.tell("usr", 1, 2)
	if quiet.end(); out.Len() > 0 {
		t.Errorf("to what is no terminal it wrote %q", out.String())
	}
}

func TestBinarySize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 15 << 20: "15 MiB", 1<<30 + 1<<29: "1.5 GiB", 5 << 50: "5120 TiB"} {
		if got := binarySize(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

// An image that veritysetup made is proven, and one that was changed is not.
func TestVerity(t *testing.T) {
	if _, err := exec.LookPath("veritysetup"); err != nil {
		t.Skip("veritysetup is not installed: no image is proven")
	}
	dir := t.TempDir()
	data, tree := filepath.Join(dir, "data"), filepath.Join(dir, "tree")
	content := bytes.Repeat([]byte("seaworthy"), 300*4096/9+1)[:300*4096]
	put := func() {
		if err := os.WriteFile(data, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put()
	format := func(args ...string) (root string) {
		out, err := exec.Command("veritysetup", append([]string{"format", "--salt=ab"}, args...)...).Output()
		_, after, ok := strings.Cut(string(out), "Root hash:")
		if err != nil || !ok {
			t.Fatalf("veritysetup format: %v\n%s", err, out)
		}
		return strings.Fields(after)[0]
	}
	root := format(data, tree)
	one := filepath.Join(dir, "one")
	if err := os.WriteFile(one, content, 0o600); err != nil {
		t.Fatal(err)
	}
	offset := strconv.Itoa(len(content))
	format(one, one, "--data-blocks=300", "--hash-offset="+offset)

	prove := func(args ...string) (int, string) {
		var out, errOut bytes.Buffer
		code := run(append([]string{"verity"}, args...), &out, &errOut)
		return code, out.String() + errOut.String()
	}
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{data, tree, "--root-hash", root}, exitGood, "intact: all 300 blocks of 4096 bytes and their hash tree come to the root hash " + root},
		{[]string{data, tree, "--root-hash", strings.ToUpper(root), "--limit", "100MiB/s"}, exitGood, "intact"},
		{[]string{one, "--hash-offset", offset, "--root-hash", root}, exitGood, "intact"},
		{[]string{data, tree, "--table", "1 a b 4096 4096 300 1 sha256 " + root + " ab"}, exitGood, "intact"},
		{[]string{data, tree, "--root-hash", strings.Repeat("0", 64)}, exitFailed, "level 1 of the hash tree: 0000"},
		{[]string{data, tree, "--table", "1 a b 4096 4096 3000 1 sha256 " + root + " ab"}, exitUnknown, "it ends there; 300 of 3000 blocks"},
		{[]string{data, tree, "--root-hash", "abcd"}, exitBroke, "is not one of sha256"},
		{[]string{tree, data, "--root-hash", root}, exitBroke, "not with \"verity\""},
		{[]string{filepath.Join(dir, "none"), tree, "--root-hash", root}, exitBroke, "no such file"},
		{[]string{dir, tree, "--root-hash", root}, exitBroke, ""},
		{[]string{data, tree}, exitUsage, "--root-hash is missing"},
		{[]string{data, "--root-hash", root}, exitUsage, "--hash-offset does not say where"},
		{[]string{data, tree, "--root-hash", root, "--hash-offset", "-1"}, exitUsage, "--hash-offset -1"},
		{[]string{data, tree, "--root-hash", "zz"}, exitUsage, `--root-hash "zz": it is written in hexadecimal`},
		{[]string{data, tree, "--root-hash", root, "--limit", "fast"}, exitUsage, "--limit"},
		{[]string{data, tree, "--root-hash", root, "--table", "x"}, exitUsage, "--table has"},
		{[]string{data, tree, "--table", "x"}, exitUsage, "want at least 10"},
		{[]string{}, exitUsage, "it takes a device or file"},
	} {
		if code, says := prove(tt.args...); code != tt.code || !strings.Contains(says, tt.says) {
			t.Errorf("%q: exit %d, %s; want %d, %q", tt.args, code, says, tt.code, tt.says)
		}
	}

	content[77*4096+5] ^= 1
	put()
	if code, says := prove(data, tree, "--root-hash", root); code != exitFailed || !strings.Contains(says, "bad: data block 77 of "+data+", at byte 315392: ") {
		t.Errorf("one bit was flipped: exit %d, %s", code, says)
	}
	content[77*4096+5] ^= 1
	put()
	if err := os.Truncate(data, 200*4096); err != nil {
		t.Fatal(err)
	}
	if code, says := prove(data, tree, "--root-hash", root); code != exitUnknown || !strings.Contains(says, "could not be read at byte 819200: it ends there; 200 of 300 blocks") {
		t.Errorf("it was cut: exit %d, %s", code, says)
	}
}

// Flags of scan that make no sense are refused before anything is read.
func TestScanDeepFlags(t *testing.T) {
	for _, args := range [][]string{
		{"scan", "--deep", "--root", "/"},
		{"scan", "--deep", "--capture", "x"},
		{"scan", "--deep-limit", "50MiB/s"},
		{"scan", "--deep", "--deep-limit", "fast"},
		{"capture", "--deep"},
	} {
		var out, errOut bytes.Buffer
		if code := run(args, &out, &errOut); code != exitUsage {
			t.Errorf("%q: exit %d, want %d: %s", args, code, exitUsage, errOut.String())
		}
	}
}
